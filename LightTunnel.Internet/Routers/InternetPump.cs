namespace LightTunnel.Internet.Routers;

/// <summary>A thread that lets packets of a <see cref="VirtualInternet"/> arrive in real time.</summary>
internal sealed class InternetPump : IDisposable
{
    private readonly VirtualInternet _internet;
    private readonly ManualResetEventSlim _wake = new();
    private readonly Thread _thread;
    private volatile bool _stopping;

    /// <param name="internet">Must use the system's clock.</param>
    public InternetPump(VirtualInternet internet)
    {
        _internet = internet;
        internet.NextChanged += _wake.Set;
        _thread = new Thread(Run) { IsBackground = true, Name = "internet" };
        _thread.Start();
    }

    public void Dispose()
    {
        _internet.NextChanged -= _wake.Set;
        _stopping = true;
        _wake.Set();
        _thread.Join();
        _wake.Dispose();
    }

    private void Run()
    {
        while (!_stopping)
        {
            _wake.Reset();
            if (_internet.RunDue() is not { } wait)
                _wake.Wait();
            else if (wait >= TimeSpan.FromMilliseconds(1))
                _wake.Wait((int)wait.TotalMilliseconds);
            else if (wait > TimeSpan.Zero)
                // Waits that can be woken are whole milliseconds; the rest is slept through, never longer than one.
                _ = Tmds.Linux.LibC.usleep((uint)wait.TotalMicroseconds + 1);
        }
    }
}
