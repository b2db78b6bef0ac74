using System.Globalization;
using System.Net.NetworkInformation;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Packets;

namespace LightTunnel.Tun;

/// <summary>
/// A TUN interface of Windows by Wintun: two rings of packets shared with the driver. The adapter goes with the process that created it,
/// so a crash leaves nothing behind.
/// </summary>
internal sealed unsafe class WintunDevice : ITunDevice, IConfiguredInterface, IWindowsAdapter
{
    /// <summary>Bytes of each ring; Wintun takes 128 KiB to 64 MiB.</summary>
    internal const uint RingCapacity = 8 * 1024 * 1024;

    /// <summary>Longest packet that Wintun carries, bytes (WINTUN_MAX_IP_PACKET_SIZE).</summary>
    internal const int MaximumPacket = 0xFFFF;

    internal const int ErrorFileNotFound = 2, ErrorAccessDenied = 5, ErrorHandleEof = 38, ErrorDuplicateName = 52,
        ErrorBufferOverflow = 111, ErrorAlreadyExists = 183, ErrorNoMoreItems = 259, ErrorNotFound = 1168, ErrorAlreadyInitialized = 1247,
        ErrorObjectAlreadyExists = 5010;

    private const string TunnelType = "LightTunnel", GateName = "LightTunnel.Adapter";
    private const int MaximumNameLength = 127;
    private const string PrivilegeRemedy = "Run PowerShell as administrator.";

    private readonly IWintunApi _api;
    private readonly IIpHelper _system;
    private readonly Session _session;
    private readonly WintunWriter _writer;
    private readonly ulong _luid;
    private readonly ManualResetEvent _closeEvent = new(initialState: false);
    private readonly WaitHandle[] _waited;
    private readonly Lock _gate = new();
    private readonly WindowsInterfaceSettings _settings;
    private IDisposable? _watch;
    private NetworkAddressChangedEventHandler? _onChanged;
    private int _closed;

    private WintunDevice(IWintunApi api, IIpHelper system, Session session, ulong luid, string name, bool merges)
    {
        _api = api;
        _writer = new WintunWriter(api, merges);
        _system = system;
        _session = session;
        _luid = luid;
        _settings = new WindowsInterfaceSettings(system, luid);
        Name = name;
        InterfaceIndex = system.IndexOf(luid);
        Id = system.IdOf(luid);
        _waited = [_closeEvent, api.GetReadWaitEvent(session.Value)];
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public Guid Id { get; }

    /// <inheritdoc/>
    public int Queues => 1;

    /// <inheritdoc/>
    public bool ReadsSuperPackets => false;

    /// <inheritdoc/>
    public int InterfaceIndex { get; }

    /// <inheritdoc/>
    public int Mtu { get; private set; } = 1500;

    /// <inheritdoc/>
    public long WriteErrors => _writer.Errors;

    /// <summary>Creates the adapter.</summary>
    /// <param name="name">Its name; null takes the first free "lt0", "lt1", ...</param>
    /// <param name="options">Whether TCP segments are merged (<see cref="Offloads.TunTcp"/>); null for what is best here.</param>
    /// <param name="id">Its GUID, if no adapter has it; null for one at random.</param>
    /// <exception cref="LightTunnelException">No administrator, no wintun.dll, or the name is in use or impossible.</exception>
    [SupportedOSPlatform("windows")]
    public static WintunDevice Create(string? name, DataPathOptions? options = null, Guid? id = null)
    {
        if (!Environment.IsPrivilegedProcess)
            throw TunErrors.PrivilegeRequired(PrivilegeRemedy);
        return Create(name, Wintun.Instance, new IpHelper(), options, id);
    }

    /// <summary>The same on a given driver and system.</summary>
    internal static WintunDevice Create(
        string? name, IWintunApi api, IIpHelper system, DataPathOptions? options = null, Guid? id = null)
    {
        if (name is not null)
            CheckName(name);
        // Whom Wintun finds under the name it renames, whoever's it is: so no two tunnels may look for a free one at the same time.
        using MachineGate held = MachineGate.Enter(GateName);
        string chosen = name ?? FirstFreeName(system);
        // An adapter goes with the process that made it, so one that is there is in use, by whomever.
        if (system.FindByName(chosen) is not null)
            throw TunErrors.NameInUse(chosen);
        nint adapter = api.CreateAdapter(chosen, TunnelType, id);
        // The node's identity was copied, and runs here as well: then this adapter is another network to Windows.
        if (adapter == 0 && id is not null && api.LastError is ErrorAlreadyExists or ErrorDuplicateName)
            adapter = api.CreateAdapter(chosen, TunnelType, id: null);
        if (adapter == 0)
            throw Failure(chosen, "create", api.LastError);
        nint session = api.StartSession(adapter, RingCapacity);
        if (session == 0)
        {
            int error = api.LastError;
            api.CloseAdapter(adapter);
            throw Failure(chosen, "open", error);
        }

        bool merges = (options ?? DataPathOptions.Default).Offloads.HasFlag(Offloads.TunTcp);
        return new WintunDevice(api, system, new Session(api, adapter, session), api.GetAdapterLuid(adapter), chosen, merges);
    }

    /// <inheritdoc/>
    public bool Read(PacketBatch batch, int queue = 0)
    {
        batch.Clear();
        bool held = false;
        try
        {
            _session.DangerousAddRef(ref held);
            while (Volatile.Read(ref _closed) == 0)
            {
                if (!TakeWaiting(batch))
                    return batch.Count > 0;
                if (batch.Count > 0)
                    return true;
                WaitHandle.WaitAny(_waited);
            }

            return false;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
        finally
        {
            if (held)
                _session.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public void Write(PacketBatch batch, int queue = 0)
    {
        bool held = false;
        try
        {
            _session.DangerousAddRef(ref held);
            _writer.Write(_session.Value, batch, _settings.Addresses);
        }
        catch (ObjectDisposedException)
        {
            _writer.AddErrors(batch.Count);
        }
        finally
        {
            if (held)
                _session.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public void Write(ReadOnlySpan<byte> packet)
    {
        bool held = false;
        try
        {
            _session.DangerousAddRef(ref held);
            _writer.Write(_session.Value, packet);
        }
        catch (ObjectDisposedException)
        {
            _writer.AddErrors(1);
        }
        finally
        {
            if (held)
                _session.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public LightTunnelException? Configure(IReadOnlyList<InterfaceAddress> addresses, int mtu)
    {
        using Lock.Scope held = _gate.EnterScope();
        _settings.Remember([], mtu);
        LocalAddresses.ThrowIfInUse(_system.GetOtherAddresses(InterfaceIndex), addresses);
        bool hasIPv4 = addresses.Any(address => address.Address.IsIPv4);
        int error = SetMtu(isIPv4: true, mtu, hasIPv4);
        if (hasIPv4)
            ThrowIfFailed(error, "set the MTU of");
        LightTunnelException? missing = SetMtuIPv6(addresses, mtu);
        Mtu = mtu;
        IReadOnlyList<InterfaceAddress> present = _system.GetAddresses(_luid);
        foreach (InterfaceAddress address in present)
        {
            // The system's own link-local address may stay: it does no harm, and comes back by itself.
            if (!addresses.Contains(address) && !address.Address.ToIPAddress().IsIPv6LinkLocal)
                ThrowIfFailed(_system.RemoveAddress(_luid, address), "take an address from");
        }

        foreach (InterfaceAddress address in addresses)
        {
            if (!present.Contains(address) && (missing is null || address.Address.IsIPv4))
                Give(address);
        }

        _settings.Remember([.. addresses.Where(address => missing is null || address.Address.IsIPv4)], mtu);
        return missing;
    }

    /// <inheritdoc/>
    public IReadOnlyDictionary<IpPrefix, string> SetRoutes(IReadOnlyList<IpPrefix> prefixes)
    {
        using Lock.Scope held = _gate.EnterScope();
        return _settings.SetRoutes(prefixes);
    }

    /// <inheritdoc/>
    public void Watch(Action changed)
    {
        _watch = _system.Watch(_luid, () => _settings.Addresses, changed);
        if (_watch is null)
        {
            _onChanged = (_, _) => changed();
            NetworkChange.NetworkAddressChanged += _onChanged;
        }

        if (Volatile.Read(ref _closed) != 0)
            EndWatch();
    }

    /// <inheritdoc/>
    public InterfaceCheck Check(bool restore)
    {
        using Lock.Scope held = _gate.EnterScope();
        IReadOnlyList<string> found = _settings.Differences();
        if (found.Count == 0)
            return InterfaceCheck.Right;
        if (!restore)
            return new InterfaceCheck(found);
        string? failure = _settings.Restore();
        IReadOnlyList<string> left = failure is null ? _settings.Differences() : [];
        return new InterfaceCheck(found, failure ?? (left.Count == 0 ? null : string.Join(", ", left)));
    }

    /// <inheritdoc/>
    public void Close()
    {
        if (Interlocked.Exchange(ref _closed, 1) != 0)
            return;
        _closeEvent.Set();
        EndWatch();
    }

    /// <summary>Ends the session and removes the adapter as soon as no thread is inside a call any more.</summary>
    public void Dispose()
    {
        // The event itself is left to the collector: a reader may be about to wait for it.
        Close();
        _session.Dispose();
    }

    private void EndWatch()
    {
        Interlocked.Exchange(ref _watch, null)?.Dispose();
        if (Interlocked.Exchange(ref _onChanged, null) is { } handler)
            NetworkChange.NetworkAddressChanged -= handler;
    }

    private static void CheckName(string name)
    {
        if (name.Length is 0 or > MaximumNameLength || name.Trim() != name || name.Any(c => char.IsControl(c) || "\\/:*?\"<>|".Contains(c)))
            throw TunErrors.InvalidName(name, "Choose a name of 1 to 127 characters, none of them \\ / : * ? \" < > |.");
    }

    private static string FirstFreeName(IIpHelper system)
    {
        for (int number = 0; ; number++)
        {
            string candidate = string.Create(CultureInfo.InvariantCulture, $"lt{number}");
            if (system.FindByName(candidate) is null)
                return candidate;
        }
    }

    private static LightTunnelException Failure(string name, string what, int error) => error switch
    {
        ErrorAccessDenied => TunErrors.PrivilegeRequired(PrivilegeRemedy),
        ErrorDuplicateName or ErrorAlreadyExists or ErrorAlreadyInitialized => TunErrors.NameInUse(name),
        _ => TunErrors.Unavailable(
            $"Wintun could not {what} interface '{name}': {SystemError.Describe(error)}.",
            "Check that drivers may be installed on this machine, and try the newest wintun.dll from https://www.wintun.net."),
    };

    /// <summary>Takes what waits in the ring; false when the adapter is gone.</summary>
    private bool TakeWaiting(PacketBatch batch)
    {
        while (!batch.IsFull)
        {
            byte* packet = _api.ReceivePacket(_session.Value, out uint length);
            if (packet is null)
                return _api.LastError == ErrorNoMoreItems;
            batch.TryAdd(new ReadOnlySpan<byte>(packet, (int)length)); // Too long for a slot: dropped.
            _api.ReleaseReceivePacket(_session.Value, packet);
        }

        return true;
    }

    /// <summary>An adapter from which IPv6 was taken has no IP interface of that family.</summary>
    private LightTunnelException? SetMtuIPv6(IReadOnlyList<InterfaceAddress> addresses, int mtu)
    {
        InterfaceAddress[] asked = [.. addresses.Where(address => !address.Address.IsIPv4)];
        int error = SetMtu(isIPv4: false, mtu, required: asked.Length > 0);
        if (asked.Length == 0 || error == 0)
            return null;
        if (asked.Length == addresses.Count || error == ErrorAccessDenied)
            ThrowIfFailed(error, "set the MTU of");
        return TunErrors.IPv6Disabled(
            asked[0], $"Run 'Enable-NetAdapterBinding -Name {Name} -ComponentID ms_tcpip6', set DisabledComponents in "
                + "HKLM\\SYSTEM\\CurrentControlSet\\Services\\Tcpip6\\Parameters to 0");
    }

    private int SetMtu(bool isIPv4, int mtu, bool required)
    {
        // A new adapter gets its IP interfaces a moment after it was created.
        const int Attempts = 50;
        const int Pause = 100; // ms
        int error = _system.SetMtu(_luid, isIPv4, mtu);
        for (int attempt = 1; required && attempt < Attempts && error is ErrorNotFound or ErrorFileNotFound; attempt++)
        {
            if (_closeEvent.WaitOne(Pause))
                break;
            error = _system.SetMtu(_luid, isIPv4, mtu);
        }

        return error;
    }

    private void Give(InterfaceAddress address)
    {
        int error = _settings.AddAddress(address);
        if (error == ErrorObjectAlreadyExists)
            throw TunErrors.AddressInUseUnseen(address);
        ThrowIfFailed(error, $"give {address} to");
    }

    private void ThrowIfFailed(int error, string what)
    {
        if (error == ErrorAccessDenied)
            throw TunErrors.PrivilegeRequired(PrivilegeRemedy);
        if (error != 0)
            throw TunErrors.Refused(what, Name, SystemError.Describe(error));
    }

    /// <summary>The session with its adapter: ended when the last call inside it has returned.</summary>
    private sealed class Session : SafeHandle
    {
        private readonly IWintunApi _api;
        private readonly nint _adapter;

        public Session(IWintunApi api, nint adapter, nint session)
            : base(0, ownsHandle: true)
        {
            _api = api;
            _adapter = adapter;
            SetHandle(session);
        }

        public nint Value => handle;

        public override bool IsInvalid => handle == 0;

        protected override bool ReleaseHandle()
        {
            _api.EndSession(handle);
            _api.CloseAdapter(_adapter);
            return true;
        }
    }
}
