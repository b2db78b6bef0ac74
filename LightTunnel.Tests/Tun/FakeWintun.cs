using System.Runtime.InteropServices;
using LightTunnel.Tun;
using Xunit;

namespace LightTunnel.Tests.Tun;

/// <summary>wintun.dll in memory: packets lie in native memory until released or sent.</summary>
internal sealed unsafe class FakeWintun : IWintunApi, IDisposable
{
    private const int Adapter = 1000, SessionHandle = 2000;

    private readonly AutoResetEvent _readEvent = new(initialState: false);
    private readonly Queue<byte[]> _waiting = new();
    private readonly Dictionary<nint, uint> _outstanding = [];
    private readonly byte* _scratch = (byte*)NativeMemory.Alloc(WintunDevice.MaximumPacket);
    private bool _ended;

    [ThreadStatic]
    private static int _lastError;

    public int CreateError { get; set; }

    public int SessionError { get; set; }

    /// <summary>Called with the name while an adapter is made.</summary>
    public Action<string>? Creating { get; set; }

    public bool Terminated { get; set; }

    public bool SendRingFull { get; set; }

    /// <summary>Longest packet for which the sending ring has room, bytes.</summary>
    public int LongestSend { get; set; } = int.MaxValue;

    /// <summary>Bytes of packets that the sending ring takes before it is full.</summary>
    public int Room { get; set; } = int.MaxValue;

    /// <summary>True to forget what is sent: then the driver allocates nothing.</summary>
    public bool Forgets { get; set; }

    /// <summary>Packets sent.</summary>
    public int SentCount { get; private set; }

    public bool CalledAfterEnd { get; private set; }

    public uint Capacity { get; private set; }

    public List<string> Calls { get; } = [];

    public List<byte[]> Sent { get; } = [];

    public ManualResetEventSlim FoundEmpty { get; } = new();

    public void Dispose()
    {
        NativeMemory.Free(_scratch);
        _readEvent.Dispose();
        FoundEmpty.Dispose();
    }

    public int LastError => _lastError;

    public int Outstanding => _outstanding.Count;

    public void Deliver(byte[] packet)
    {
        lock (_waiting)
            _waiting.Enqueue(packet);
        _readEvent.Set();
    }

    /// <summary>The GUID that another adapter has.</summary>
    public Guid? TakenId { get; set; }

    /// <summary>The GUIDs that adapters were made with.</summary>
    public List<Guid?> Ids { get; } = [];

    public nint CreateAdapter(string name, string tunnelType, Guid? id)
    {
        if (id is not null && id == TakenId)
        {
            _lastError = WintunDevice.ErrorAlreadyExists;
            return 0;
        }

        Ids.Add(id);
        Record("create " + name);
        Creating?.Invoke(name);
        _lastError = CreateError;
        return CreateError == 0 ? Adapter : 0;
    }

    public void CloseAdapter(nint adapter) => Record("close");

    public ulong GetAdapterLuid(nint adapter) => 42;

    public nint StartSession(nint adapter, uint ringCapacity)
    {
        if (SessionError != 0)
        {
            _lastError = SessionError;
            return 0;
        }

        Record("start");
        Capacity = ringCapacity;
        return SessionHandle;
    }

    public void EndSession(nint session)
    {
        _ended = true;
        Record("end");
    }

    public WaitHandle GetReadWaitEvent(nint session) => _readEvent;

    public byte* ReceivePacket(nint session, out uint length)
    {
        CalledAfterEnd |= _ended;
        length = 0;
        lock (_waiting)
        {
            if (!_waiting.TryDequeue(out byte[]? packet))
            {
                _lastError = Terminated ? WintunDevice.ErrorHandleEof : WintunDevice.ErrorNoMoreItems;
                FoundEmpty.Set();
                return null;
            }

            byte* memory = Allocate((uint)packet.Length);
            packet.CopyTo(new Span<byte>(memory, packet.Length));
            length = (uint)packet.Length;
            return memory;
        }
    }

    public void ReleaseReceivePacket(nint session, byte* packet) => Free(packet);

    public byte* AllocateSendPacket(nint session, uint length)
    {
        CalledAfterEnd |= _ended;
        _lastError = WintunDevice.ErrorBufferOverflow;
        if (SendRingFull || length > LongestSend || length > Room)
            return null;
        if (Room != int.MaxValue)
            Room -= (int)length;
        return Forgets ? _scratch : Allocate(length);
    }

    public void SendPacket(nint session, byte* packet)
    {
        SentCount++;
        if (Forgets)
            return;
        Sent.Add(new Span<byte>(packet, (int)_outstanding[(nint)packet]).ToArray());
        Free(packet);
    }

    private byte* Allocate(uint length)
    {
        byte* memory = (byte*)NativeMemory.Alloc(length);
        _outstanding.Add((nint)memory, length);
        return memory;
    }

    private void Free(byte* memory)
    {
        Assert.True(_outstanding.Remove((nint)memory));
        NativeMemory.Free(memory);
    }

    private void Record(string call)
    {
        lock (Calls)
            Calls.Add(call);
    }
}
