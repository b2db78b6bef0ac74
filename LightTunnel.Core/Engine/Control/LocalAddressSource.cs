using System.Net.NetworkInformation;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Traversal;
using LightTunnel.Tun;

namespace LightTunnel.Engine.Control;

/// <summary>The machine's own addresses, and when they change; replaced in tests.</summary>
internal interface ILocalAddressSource
{
    /// <summary>Every address of every interface, now.</summary>
    IReadOnlyList<LocalAddressInfo> Read();

    /// <summary>The interface that packets to an address leave by; 0 when it is not known.</summary>
    int InterfaceTowards(TunnelAddress destination) => 0;

    /// <summary>True when an interface is a tunnel, this one's own or another; false when it is not known.</summary>
    bool IsTunnel(int index) => false;

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
        Dictionary<string, (int Index, InterfaceKind Kind)> links = ReadKinds();
        foreach (NetworkInterface each in NetworkInterface.GetAllNetworkInterfaces())
        {
            (int index, InterfaceKind kind) = links.GetValueOrDefault(each.Name);
            LocalAddressFlags flags = LocalAddressFlags.None;
            if (each.NetworkInterfaceType == NetworkInterfaceType.Loopback)
                flags |= LocalAddressFlags.Loopback;
            if (each.OperationalStatus == OperationalStatus.Down)
                flags |= LocalAddressFlags.Down;
            foreach (UnicastIPAddressInformation address in each.GetIPProperties().UnicastAddresses)
            {
                addresses.Add(new LocalAddressInfo(
                    each.Name, TunnelAddress.FromIPAddress(address.Address), flags, address.PrefixLength, kind, index));
            }
        }

        return addresses;
    }

    /// <inheritdoc/>
    public int InterfaceTowards(TunnelAddress destination) => InterfaceKinds.Towards(destination);

    /// <inheritdoc/>
    public bool IsTunnel(int index) => ReadKinds().Values.Any(link => link.Index == index && link.Kind == InterfaceKind.Tunnel);

    private static Dictionary<string, (int Index, InterfaceKind Kind)> ReadKinds()
    {
        if (OperatingSystem.IsLinux())
            return InterfaceKinds.ReadLinux().ToDictionary(link => link.Value.Name, link => (link.Key, link.Value.Kind));
        return NetworkInterface.GetAllNetworkInterfaces()
            .DistinctBy(each => each.Name)
            .ToDictionary(each => each.Name, each => (LocalAddresses.IndexOf(each), InterfaceKinds.OfWindows(each)));
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
/// Another source's addresses as they were last, while it cannot be asked (no descriptor is left, an interface went while it was looked
/// at): said once in the log, and tried again until it works.
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
    public int InterfaceTowards(TunnelAddress destination) => Ask(() => source.InterfaceTowards(destination)) ?? 0;

    /// <inheritdoc/>
    public bool IsTunnel(int index) => Ask(() => source.IsTunnel(index)) ?? false;

    /// <summary>What is not to be had is not known: the next question will show it.</summary>
    private static T? Ask<T>(Func<T> question)
        where T : struct
    {
        try
        {
            return question();
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            return null;
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
            {
                log.Warning(
                    "The machine's own addresses cannot be read ({Reason}): taken as they were, and tried again", exception.Message);
            }
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
