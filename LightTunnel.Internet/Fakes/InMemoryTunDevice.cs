using System.Diagnostics.CodeAnalysis;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Internet.Simulation;
using LightTunnel.Packets;
using LightTunnel.Tun;

namespace LightTunnel.Internet.Fakes;

/// <summary>
/// A TUN device without a system behind it, for tests: <see cref="Inject"/> plays the system sending, <see cref="TryCollect"/> the
/// system receiving. <see cref="TryRead"/> drives a node without threads.
/// </summary>
internal sealed class InMemoryTunDevice(string name = "lt0", int interfaceIndex = 1) : ITunDevice, IConfiguredInterface, IWindowsAdapter
{
    private readonly Queue<byte[]> _injected = new();
    private readonly Queue<byte[]> _written = new();
    private IReadOnlyList<InterfaceAddress> _configured = [];
    private Action? _changed;
    private bool _closed;

    /// <inheritdoc/>
    public string Name { get; } = name;

    /// <inheritdoc/>
    public int Queues => 1;

    /// <inheritdoc/>
    public bool ReadsSuperPackets => false;

    /// <inheritdoc/>
    public int InterfaceIndex { get; } = interfaceIndex;

    /// <inheritdoc/>
    public Guid Id { get; } = new(interfaceIndex, 0, 0, new byte[8]);

    /// <inheritdoc/>
    public int Mtu { get; private set; } = 1500;

    /// <summary>The machine that it stands for has IPv6 switched off.</summary>
    public bool IsIPv6Disabled { get; set; }

    /// <summary>Why addresses that were taken cannot be given back, or null.</summary>
    public string? Refusal { get; set; }

    /// <summary>What <see cref="Configure"/> was last given and took, less what others took.</summary>
    public IReadOnlyList<InterfaceAddress> Addresses { get; private set; } = [];

    /// <summary>Looks at what the device is to be given, and may refuse it as a system would.</summary>
    public Action<IReadOnlyList<InterfaceAddress>>? Configuring { get; set; }

    /// <inheritdoc/>
    public long WriteErrors { get; private set; }

    /// <summary>True after <see cref="Dispose"/>: a system's interface is gone then.</summary>
    public bool IsDisposed { get; private set; }

    /// <summary>True after <see cref="Close"/>.</summary>
    public bool IsClosed
    {
        get
        {
            lock (_injected)
                return _closed;
        }
    }

    /// <summary>Number of packets that wait to be collected.</summary>
    public int WrittenCount
    {
        get
        {
            lock (_written)
                return _written.Count;
        }
    }

    /// <summary>The system sends a packet into the interface.</summary>
    public void Inject(ReadOnlySpan<byte> packet)
    {
        lock (_injected)
        {
            _injected.Enqueue(packet.ToArray());
            Monitor.PulseAll(_injected);
        }
    }

    /// <summary>Takes the oldest packet that was written to the interface.</summary>
    public bool TryCollect([NotNullWhen(true)] out byte[]? packet)
    {
        lock (_written)
            return _written.TryDequeue(out packet);
    }

    /// <summary>Waits for a packet to be written to the interface; null when none came in time.</summary>
    public byte[]? Collect(TimeSpan timeout)
    {
        lock (_written)
        {
            while (_written.Count == 0)
            {
                if (!Monitor.Wait(_written, timeout))
                    return null;
            }

            return _written.Dequeue();
        }
    }

    /// <summary>Takes what was injected without waiting, up to the batch's capacity. The batch is cleared first.</summary>
    /// <returns>True when there is a packet in the batch.</returns>
    public bool TryRead(PacketBatch batch)
    {
        batch.Clear();
        if (_injected.Count == 0)
            return false; // What is being injected at this moment is there the next time; a simulation asks often.
        lock (_injected)
            TakeInjected(batch);
        return batch.Count > 0;
    }

    /// <inheritdoc/>
    public bool Read(PacketBatch batch, int queue = 0)
    {
        batch.Clear();
        lock (_injected)
        {
            while (!_closed)
            {
                if (TakeInjected(batch))
                    return true;
                Monitor.Wait(_injected);
            }

            return false;
        }
    }

    /// <inheritdoc/>
    public void Write(PacketBatch batch, int queue = 0)
    {
        for (int i = 0; i < batch.Count; i++)
        {
            if (batch[i].Length > 0)
                Write(batch.Packet(i));
        }
    }

    /// <inheritdoc/>
    public void Write(ReadOnlySpan<byte> packet)
    {
        lock (_written)
        {
            // As the kernel does: what is neither IPv4 nor IPv6 is refused.
            if (IpPacket.Version(packet) is not (4 or 6))
            {
                WriteErrors++;
                return;
            }

            _written.Enqueue(packet.ToArray());
            Monitor.PulseAll(_written);
        }
    }

    /// <inheritdoc/>
    public LightTunnelException? Configure(IReadOnlyList<InterfaceAddress> addresses, int mtu)
    {
        ControlTurn.ThrowIfRunning();
        Configuring?.Invoke(addresses);
        InterfaceAddress[] possible = [.. addresses.Where(address => address.Address.IsIPv4 || !IsIPv6Disabled)];
        LightTunnelException? missing = possible.Length == addresses.Count
            ? null : TunErrors.IPv6Disabled(addresses.First(address => !address.Address.IsIPv4), "Switch it on");
        if (missing is not null && possible.Length == 0)
            throw missing;
        Addresses = _configured = possible;
        Mtu = mtu;
        return missing;
    }

    /// <summary>What <see cref="SetRoutes"/> was last given and took.</summary>
    public IReadOnlyList<IpPrefix> Routes { get; private set; } = [];

    /// <summary>Networks that the system routes elsewhere.</summary>
    public HashSet<IpPrefix> RoutedElsewhere { get; } = [];

    /// <inheritdoc/>
    public IReadOnlyDictionary<IpPrefix, string> SetRoutes(IReadOnlyList<IpPrefix> prefixes)
    {
        ControlTurn.ThrowIfRunning();
        Routes = [.. prefixes.Where(prefix => !RoutedElsewhere.Contains(prefix))];
        return prefixes.Where(RoutedElsewhere.Contains).ToDictionary(prefix => prefix, _ => "it routes it elsewhere");
    }

    /// <summary>Somebody takes all addresses from the interface.</summary>
    public void Flush()
    {
        Addresses = [];
        _changed?.Invoke();
    }

    /// <inheritdoc/>
    public void Watch(Action changed) => _changed = changed;

    /// <inheritdoc/>
    public InterfaceCheck Check(bool restore)
    {
        string[] gone = [.. _configured.Except(Addresses).Select(address => $"address {address} is gone")];
        if (restore && Refusal is null)
            Addresses = _configured;
        return gone.Length == 0 ? InterfaceCheck.Right : new InterfaceCheck(gone, restore ? Refusal : null);
    }

    /// <inheritdoc/>
    public void Close()
    {
        lock (_injected)
        {
            _closed = true;
            Monitor.PulseAll(_injected);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Close();
        IsDisposed = true;
    }

    /// <summary>True when there was a packet, also one too long for the batch, which is lost as with a real device.</summary>
    private bool TakeInjected(PacketBatch batch)
    {
        bool any = false;
        while (!batch.IsFull && _injected.TryDequeue(out byte[]? packet))
        {
            batch.TryAdd(packet);
            any = true;
        }

        return any;
    }
}

/// <summary>Makes in-memory devices and keeps them, so that a test finds the one that its node was given.</summary>
internal sealed class InMemoryTunDeviceFactory : ITunDeviceFactory
{
    private readonly List<InMemoryTunDevice> _devices = [];

    /// <summary>All devices made so far.</summary>
    public IReadOnlyList<InMemoryTunDevice> Devices
    {
        get
        {
            lock (_devices)
                return [.. _devices];
        }
    }

    /// <inheritdoc cref="ITunDeviceFactory.Create"/>
    public InMemoryTunDevice Create(string? name, DataPathOptions? options = null)
    {
        lock (_devices)
        {
            if (name is not null && _devices.Exists(device => device.Name == name && !device.IsClosed))
                throw TunErrors.NameInUse(name);
            var device = new InMemoryTunDevice(name ?? $"lt{_devices.Count}", _devices.Count + 1);
            _devices.Add(device);
            return device;
        }
    }

    ITunDevice ITunDeviceFactory.Create(string? name, DataPathOptions? options, Guid? id) => Create(name);
}
