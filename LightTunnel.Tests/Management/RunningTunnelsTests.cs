using System.Runtime.Versioning;
using LightTunnel.Management;
using LightTunnel.Membership;
using Xunit;

namespace LightTunnel.Tests.Management;

[SupportedOSPlatform("linux")]
public sealed class RunningTunnelsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lt-running");

    public RunningTunnelsTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "Unix sockets with peer credentials are Linux's.");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void TunnelThatBegins_WhileTheLastOneEnds_IsSeenByOthers()
    {
        var (first, second) = (new FakeTunnel("first", TunnelRole.Client), new FakeTunnel("second", TunnelRole.Client));
        RunningTunnels? running = null;
        Thread? beginning = null;
        using var transport = new SlowTransport(new UnixControlTransport(_folder.FullName, "1"), beforeEnd: () =>
        {
            if (beginning is not null)
                return;

            // The second tunnel has begun, or can go no further, before the first one's socket is taken away.
            beginning = new Thread(() => running!.Add(second)) { IsBackground = true };
            beginning.Start();
            for (int waits = 0; beginning.IsAlive && waits < 100; Thread.Sleep(1))
                waits = beginning.ThreadState.HasFlag(ThreadState.WaitSleepJoin) ? waits + 1 : 0;
        });
        running = new RunningTunnels(() => transport);

        Assert.Null(running.Add(first));
        running.Remove(first);
        beginning!.Join();

        Assert.Equal([second], running.All);
        string socket = Path.Combine(_folder.FullName, "net-1", Environment.ProcessId + ".sock");
        Assert.True(File.Exists(socket));
        running.Remove(second);
        Assert.False(File.Exists(socket));
    }

    [Fact]
    public void FolderThatOthersMayWrite_HidesTheTunnel_AndMattersForSecurity()
    {
        File.SetUnixFileMode(_folder.FullName, File.GetUnixFileMode(_folder.FullName) | UnixFileMode.OtherWrite);
        var running = new RunningTunnels(() => new UnixControlTransport(_folder.FullName, "1"));
        var tunnel = new FakeTunnel("first", TunnelRole.Client);

        Assert.True(running.Add(tunnel)!.IsSuspicious);
        Assert.Equal([tunnel], running.All);
    }

    /// <summary>A transport that lets something happen before a listener goes.</summary>
    private sealed class SlowTransport(ControlTransport inner, Action beforeEnd) : ControlTransport, IDisposable
    {
        private readonly List<Listener> _listeners = [];

        public override IReadOnlyList<int> FindProcesses(ICollection<string> warnings) => inner.FindProcesses(warnings);

        public override Task<Stream?> ConnectAsync(int processId, CancellationToken cancellationToken) =>
            inner.ConnectAsync(processId, cancellationToken);

        public override ControlListener Listen()
        {
            var listener = new Listener(inner.Listen(), beforeEnd);
            _listeners.Add(listener);
            return listener;
        }

        public void Dispose() => _listeners.ForEach(listener => listener.Dispose());

        private sealed class Listener(ControlListener inner, Action beforeEnd) : ControlListener
        {
            public override Task<Stream?> AcceptAsync(CancellationToken cancellationToken) => inner.AcceptAsync(cancellationToken);

            public override void Dispose()
            {
                beforeEnd();
                inner.Dispose();
            }
        }
    }
}
