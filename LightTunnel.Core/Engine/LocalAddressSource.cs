using System.Net.NetworkInformation;
using LightTunnel.Diagnostics;
using LightTunnel.Packets;
using LightTunnel.Traversal;

namespace LightTunnel.Engine;

/// <summary>The machine's own addresses, and when they change; replaced in tests.</summary>
internal interface ILocalAddressSource
{
    /// <summary>Every address of every interface, now.</summary>
    IReadOnlyList<LocalAddressInfo> Read();

    /// <summary>Calls back, on any thread, after addresses have changed, until the result is disposed.</summary>
    IDisposable Watch(Action changed);
}

/// <summary>The system's interfaces.</summary>
internal sealed class SystemLocalAddresses : ILocalAddressSource
{
    /// <inheritdoc/>
    public IReadOnlyList<LocalAddressInfo> Read()
    {
        var addresses = new List<LocalAddressInfo>();
        foreach (NetworkInterface each in NetworkInterface.GetAllNetworkInterfaces())
        {
            LocalAddressFlags flags = LocalAddressFlags.None;
            if (each.NetworkInterfaceType == NetworkInterfaceType.Loopback)
                flags |= LocalAddressFlags.Loopback;
            if (each.OperationalStatus == OperationalStatus.Down)
                flags |= LocalAddressFlags.Down;
            foreach (UnicastIPAddressInformation address in each.GetIPProperties().UnicastAddresses)
                addresses.Add(new LocalAddressInfo(each.Name, TunnelAddress.FromIPAddress(address.Address), flags, address.PrefixLength));
        }

        return addresses;
    }

    /// <inheritdoc/>
    public IDisposable Watch(Action changed) => new Subscription(changed);

    private sealed class Subscription : IDisposable
    {
        private readonly NetworkAddressChangedEventHandler _handler;

        public Subscription(Action changed)
        {
            _handler = (_, _) => changed();
            NetworkChange.NetworkAddressChanged += _handler;
        }

        public void Dispose() => NetworkChange.NetworkAddressChanged -= _handler;
    }
}

/// <summary>
/// Another source's addresses as they were last, while it cannot be asked (no descriptor is left, an interface went while it was looked at): said once in the log,
/// and tried again until it works.
/// </summary>
/// <param name="source">The source.</param>
/// <param name="log">The tunnel's log.</param>
/// <param name="time">The clock.</param>
internal sealed class RememberedAddresses(ILocalAddressSource source, TunnelLog log, TimeProvider time) : ILocalAddressSource
{
    /// <summary>After this time the source is asked again.</summary>
    internal static readonly TimeSpan Retry = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private IReadOnlyList<LocalAddressInfo> _last = [];
    private Action? _runLater;
    private bool _fails;

    /// <inheritdoc/>
    public IReadOnlyList<LocalAddressInfo> Read()
    {
        lock (_gate)
        {
            if (Try(() => _last = source.Read()))
                _fails = false;
            else
                _runLater?.Invoke();
            return _last;
        }
    }

    /// <inheritdoc/>
    public IDisposable Watch(Action changed)
    {
        lock (_gate)
        {
            var subscription = new Subscription(this, changed);
            _runLater = subscription.RunLater;
            subscription.Begin();
            return subscription;
        }
    }

    private bool Try(Action action)
    {
        try
        {
            action();
            return true;
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            if (!_fails)
                log.Warning("The machine's own addresses cannot be read ({Reason}): taken as they were, and tried again", exception.Message);
            _fails = true;
            return false;
        }
    }

    private sealed class Subscription : IDisposable
    {
        private readonly RememberedAddresses _owner;
        private readonly Action _changed;
        private readonly ITimer _timer;
        private IDisposable? _watch;
        private bool _disposed;

        public Subscription(RememberedAddresses owner, Action changed)
        {
            _owner = owner;
            _changed = changed;
            _timer = owner.TimerFor(Run);
        }

        public void Begin()
        {
            if (!_owner.Try(() => _watch = _owner.SourceWatch(_changed)))
                RunLater();
        }

        public void RunLater() => _timer.Change(Retry, Timeout.InfiniteTimeSpan);

        public void Dispose()
        {
            lock (_owner._gate)
            {
                _disposed = true;
                _owner._runLater = null;
                _timer.Dispose();
                _watch?.Dispose();
            }
        }

        private void Run()
        {
            lock (_owner._gate)
            {
                if (_disposed)
                    return;
                if (_watch is null)
                    Begin();
            }

            _changed();
        }
    }

    private ITimer TimerFor(Action run) => time.CreateTimer(_ => run(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    private IDisposable SourceWatch(Action changed) => source.Watch(changed);
}
