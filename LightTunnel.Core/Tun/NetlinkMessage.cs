using System.Runtime.InteropServices;
using System.Text;

namespace LightTunnel.Tun;

/// <summary>
/// Builds one rtnetlink request (RFC 3549; linux/netlink.h, linux/rtnetlink.h): header, a fixed part, attributes. All integers are in host
/// order except addresses.
/// </summary>
internal ref struct NetlinkRequest
{
    /// <summary>Bytes of struct nlmsghdr.</summary>
    public const int HeaderLength = 16;

    private readonly Span<byte> _buffer;
    private int _length;

    /// <param name="buffer">Memory for the request; 256 bytes suffice for all that are made here.</param>
    /// <param name="type">RTM_*.</param>
    /// <param name="flags">NLM_F_*.</param>
    /// <param name="sequence">Number that the answer repeats.</param>
    public NetlinkRequest(Span<byte> buffer, ushort type, ushort flags, uint sequence)
    {
        _buffer = buffer;
        _buffer.Clear();
        _length = HeaderLength;
        MemoryMarshal.Write(buffer[4..], type);
        MemoryMarshal.Write(buffer[6..], flags);
        MemoryMarshal.Write(buffer[8..], sequence);
    }

    /// <summary>Appends the fixed part that follows the header.</summary>
    public void Append<TStruct>(in TStruct value)
        where TStruct : unmanaged
    {
        MemoryMarshal.Write(_buffer[_length..], value);
        _length += Align(Marshal.SizeOf<TStruct>());
    }

    /// <summary>Appends an attribute.</summary>
    public void Attribute(ushort type, scoped ReadOnlySpan<byte> value)
    {
        int start = Open(type);
        value.CopyTo(_buffer[_length..]);
        _length += value.Length;
        Close(start);
    }

    /// <summary>Appends an attribute that holds a number.</summary>
    public void Attribute(ushort type, uint value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        MemoryMarshal.Write(bytes, value);
        Attribute(type, bytes);
    }

    /// <summary>Starts an attribute that contains others; give the result to <see cref="Close"/>.</summary>
    public int Open(ushort type)
    {
        int start = _length;
        MemoryMarshal.Write(_buffer[(start + 2)..], type);
        _length += 4;
        return start;
    }

    /// <summary>Ends an attribute.</summary>
    public void Close(int start)
    {
        MemoryMarshal.Write(_buffer[start..], (ushort)(_length - start));
        _length = Align(_length);
    }

    /// <summary>The finished request.</summary>
    public readonly ReadOnlySpan<byte> Finish()
    {
        MemoryMarshal.Write(_buffer, (uint)_length);
        return _buffer[.._length];
    }

    private static int Align(int length) => (length + 3) & ~3;
}

/// <summary>Walks the messages of one answer. Malformed bytes end the walk; nothing is read outside the answer.</summary>
internal ref struct NetlinkReader
{
    public const ushort TypeError = 2, TypeDone = 3;

    private ReadOnlySpan<byte> _rest;

    public NetlinkReader(ReadOnlySpan<byte> answer)
    {
        _rest = answer;
    }

    /// <summary>RTM_*, <see cref="TypeError"/> or <see cref="TypeDone"/>.</summary>
    public ushort Type { get; private set; }

    /// <summary>The number of the request that this answers.</summary>
    public uint Sequence { get; private set; }

    /// <summary>The socket that asked for what this tells of; 0 is the kernel's own.</summary>
    public uint Port { get; private set; }

    /// <summary>What follows the header.</summary>
    public ReadOnlySpan<byte> Body { get; private set; }

    /// <summary>For a message of <see cref="TypeError"/>: the errno, 0 for an acknowledgement; EIO when it is cut short.</summary>
    public readonly int Error => Body.Length >= 4 ? -MemoryMarshal.Read<int>(Body) : 5;

    /// <summary>Goes to the next message; false at the end.</summary>
    public bool MoveNext()
    {
        if (_rest.Length < NetlinkRequest.HeaderLength)
            return false;
        uint length = MemoryMarshal.Read<uint>(_rest);
        if (length < NetlinkRequest.HeaderLength || length > _rest.Length)
            return false;
        Type = MemoryMarshal.Read<ushort>(_rest[4..]);
        Sequence = MemoryMarshal.Read<uint>(_rest[8..]);
        Port = MemoryMarshal.Read<uint>(_rest[12..]);
        Body = _rest[NetlinkRequest.HeaderLength..(int)length];
        _rest = _rest[Math.Min(_rest.Length, ((int)length + 3) & ~3)..];
        return true;
    }
}

/// <summary>Walks the attributes of one message.</summary>
internal ref struct NetlinkAttributes
{
    private ReadOnlySpan<byte> _rest;

    /// <param name="attributes">A message's body behind its fixed part.</param>
    public NetlinkAttributes(ReadOnlySpan<byte> attributes)
    {
        _rest = attributes;
    }

    /// <summary>IFA_*, IFLA_*, RTA_*.</summary>
    public ushort Type { get; private set; }

    /// <summary>The attribute's bytes.</summary>
    public ReadOnlySpan<byte> Value { get; private set; }

    /// <summary>The bytes as text, without the zero at its end.</summary>
    public readonly string Text => Encoding.UTF8.GetString(Value.TrimEnd((byte)0));

    /// <summary>Goes to the next attribute; false at the end.</summary>
    public bool MoveNext()
    {
        if (_rest.Length < 4)
            return false;
        int length = MemoryMarshal.Read<ushort>(_rest);
        if (length < 4 || length > _rest.Length)
            return false;
        Type = (ushort)(MemoryMarshal.Read<ushort>(_rest[2..]) & 0x3FFF); // The upper bits are flags (NLA_TYPE_MASK).
        Value = _rest[4..length];
        _rest = _rest[Math.Min(_rest.Length, (length + 3) & ~3)..];
        return true;
    }
}
