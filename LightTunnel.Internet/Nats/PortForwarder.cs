using System.Buffers.Binary;
using LightTunnel.Addressing;

namespace LightTunnel.Internet.Nats;

/// <summary>
/// The server side of PCP (RFC 6887: MAP for UDP, no options) and of NAT-PMP (RFC 6886: address and UDP mapping) before a
/// <see cref="Nat"/>, as far as its settings say that it has them. Datagrams in, datagrams out.
/// </summary>
/// <param name="nat">What forwards.</param>
internal sealed class PortForwarder(Nat nat)
{
    /// <summary>The UDP port that both protocols use.</summary>
    public const ushort Port = 5351;

    /// <summary>Room for the longest answer.</summary>
    public const int MaximumAnswer = PcpMapLength;

    private const int PcpHeaderLength = 24, PcpMapLength = 60, NatPmpMapLength = 12;
    private const byte PcpVersion = 2, PcpMap = 1, IsAnswer = 0x80, Udp = 17;
    private const byte Success = 0, UnsupportedVersion = 1, NotAuthorized = 2, MalformedRequest = 3, UnsupportedOpcode = 4;
    private const byte NoResources = 8, AddressMismatch = 12;
    private const ushort NatPmpOutOfResources = 4, NatPmpUnsupportedOpcode = 5;
    private const uint LongestLifetime = 24 * 60 * 60;

    /// <summary>Who has a mapping must know its nonce to change it (section 11.3).</summary>
    private readonly Dictionary<UdpEndpoint, UInt128> _nonces = [];
    private TimeSpan _start;

    /// <summary>Begins the epoch anew.</summary>
    public void Reboot(TimeSpan now)
    {
        _start = now;
        _nonces.Clear();
    }

    /// <summary>Answers a request.</summary>
    /// <param name="now">The time.</param>
    /// <param name="from">Where it came from.</param>
    /// <param name="request">The request.</param>
    /// <param name="answer">Room for the answer, <see cref="MaximumAnswer"/> bytes.</param>
    /// <returns>The answer's length; 0 for none.</returns>
    public int Answer(TimeSpan now, in UdpEndpoint from, ReadOnlySpan<byte> request, Span<byte> answer)
    {
        if (nat.Settings.Forwarding == PortForwarding.None || request.Length < 2 || (request[1] & IsAnswer) != 0)
            return 0;
        answer.Clear();
        if (request[0] == PcpVersion && nat.Settings.Forwarding == PortForwarding.Pcp)
            return request.Length < PcpHeaderLength ? 0 : AnswerPcp(now, from, request, answer);
        return AnswerNatPmp(now, from, request, answer);
    }

    private int AnswerPcp(TimeSpan now, in UdpEndpoint from, ReadOnlySpan<byte> request, Span<byte> answer)
    {
        int length = Math.Min(request.Length, PcpMapLength);
        request[..length].CopyTo(answer);
        uint lifetime = Math.Min(BinaryPrimitives.ReadUInt32BigEndian(request[4..]), LongestLifetime);
        byte result = HandlePcp(now, from, request, answer, lifetime);
        answer[1] |= IsAnswer;
        answer[2] = 0;
        answer[3] = result;
        BinaryPrimitives.WriteUInt32BigEndian(answer[4..], lifetime);
        BinaryPrimitives.WriteUInt32BigEndian(answer[8..], Epoch(now));
        answer[12..PcpHeaderLength].Clear();
        return length;
    }

    private byte HandlePcp(TimeSpan now, in UdpEndpoint from, ReadOnlySpan<byte> request, Span<byte> answer, uint lifetime)
    {
        if (request[1] != PcpMap)
            return UnsupportedOpcode;
        if (request.Length < PcpMapLength)
            return MalformedRequest;
        if (BinaryPrimitives.ReadUInt128BigEndian(request[8..]) != from.MappedAddress)
            return AddressMismatch;
        if (request[36] != Udp)
            return UnsupportedOpcode;
        var inside = new UdpEndpoint(from.MappedAddress, BinaryPrimitives.ReadUInt16BigEndian(request[40..]));
        UInt128 nonce = BinaryPrimitives.ReadUInt128BigEndian(request[24..]) >> 32;
        if (_nonces.TryGetValue(inside, out UInt128 known) && known != nonce && nat.IsForwarded(now, NatProtocol.Udp, inside))
            return NotAuthorized;
        _nonces[inside] = nonce;
        if (lifetime == 0)
        {
            nat.StopForwarding(NatProtocol.Udp, inside);
            return Success;
        }

        ushort suggested = BinaryPrimitives.ReadUInt16BigEndian(request[42..]);
        if (!nat.TryForward(now, NatProtocol.Udp, inside, suggested, TimeSpan.FromSeconds(lifetime), out UdpEndpoint outside))
            return NoResources;
        BinaryPrimitives.WriteUInt16BigEndian(answer[42..], outside.Port);
        BinaryPrimitives.WriteUInt128BigEndian(answer[44..], outside.MappedAddress);
        return Success;
    }

    private int AnswerNatPmp(TimeSpan now, in UdpEndpoint from, ReadOnlySpan<byte> request, Span<byte> answer)
    {
        answer[1] = (byte)(request[1] | IsAnswer);
        BinaryPrimitives.WriteUInt32BigEndian(answer[4..], Epoch(now));
        switch (request[0], request[1])
        {
            case (0, 0):
                BinaryPrimitives.WriteUInt32BigEndian(answer[8..], (uint)new UdpEndpoint(nat.OutsideAddress, 0).MappedAddress);
                return 12;
            case (0, 1) when request.Length >= NatPmpMapLength:
                return MapByNatPmp(now, from, request, answer);
            default:
                BinaryPrimitives.WriteUInt16BigEndian(answer[2..], request[0] == 0 ? NatPmpUnsupportedOpcode : UnsupportedVersion);
                return 8;
        }
    }

    private int MapByNatPmp(TimeSpan now, in UdpEndpoint from, ReadOnlySpan<byte> request, Span<byte> answer)
    {
        request.Slice(4, 2).CopyTo(answer[8..]);
        uint lifetime = Math.Min(BinaryPrimitives.ReadUInt32BigEndian(request[8..]), LongestLifetime);
        var inside = new UdpEndpoint(from.MappedAddress, BinaryPrimitives.ReadUInt16BigEndian(request[4..]));
        ushort suggested = BinaryPrimitives.ReadUInt16BigEndian(request[6..]);
        if (lifetime == 0)
            nat.StopForwarding(NatProtocol.Udp, inside);
        else if (nat.TryForward(now, NatProtocol.Udp, inside, suggested, TimeSpan.FromSeconds(lifetime), out UdpEndpoint outside))
            BinaryPrimitives.WriteUInt16BigEndian(answer[10..], outside.Port);
        else
            BinaryPrimitives.WriteUInt16BigEndian(answer[2..], NatPmpOutOfResources);
        BinaryPrimitives.WriteUInt32BigEndian(answer[12..], lifetime);
        return 16;
    }

    private uint Epoch(TimeSpan now) => (uint)(now - _start).TotalSeconds;
}
