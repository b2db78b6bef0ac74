using LightTunnel.Addressing;
using LightTunnel.Timing;

namespace LightTunnel.PortMapping;

/// <summary>Where a <see cref="GatewayDialogue"/> stands.</summary>
internal enum DialogueState
{
    /// <summary>The gateway is being asked; nothing is mapped.</summary>
    Asking,

    /// <summary>The port is forwarded, and is kept so.</summary>
    Mapped,

    /// <summary>The end: the gateway did not answer, or no longer and the lease ran out.</summary>
    Silent,

    /// <summary>The end: the gateway says that it speaks neither protocol.</summary>
    NotSupported,

    /// <summary>The end: the gateway said no.</summary>
    Refused,
}

/// <summary>
/// What a node says to its gateway at port 5351, and makes of the answers, to have one UDP port forwarded: by PCP, or by NAT-PMP when the
/// gateway does not speak that or not with us. It does no I/O and has no timer: call <see cref="TakeRequest"/> at first, after every other
/// call and when <see cref="UntilNext"/> is over. For one thread.
/// </summary>
internal sealed class GatewayDialogue
{
    /// <summary>Room for the longest request.</summary>
    public const int MaximumRequestLength = PcpMessages.MapLength;

    // Retransmission of RFC 6887 section 8.1.1 and of RFC 6886 section 3.1. Those who search are content with fewer attempts than the RFCs
    // allow: most routers speak neither protocol. Those who renew go on, more and more slowly, until the lease is over.
    private const int PcpAttempts = 2, NatPmpAttempts = 4;
    private static readonly TimeSpan FirstPcpTimeout = TimeSpan.FromSeconds(3), LongestPcpTimeout = TimeSpan.FromSeconds(1024);
    private static readonly TimeSpan FirstNatPmpTimeout = TimeSpan.FromMilliseconds(250), LongestNatPmpTimeout = TimeSpan.FromSeconds(64);

    private readonly TimeProvider _time;
    private readonly Func<double> _chance;
    private readonly UdpEndpoint _client;
    private readonly UInt128 _nonce;
    private readonly GatewayEpoch _epoch;
    private Question _question = Question.Pcp;
    private bool _waits = true;
    private int _sent;
    private TimeSpan _timeout;
    private Timestamp _next;
    private Timestamp _leaseEnd;
    private UdpEndpoint _address;
    private PortMappingProtocol _refusedIn;

    /// <param name="time">The time.</param>
    /// <param name="chance">Numbers from 0 to 1, for jitter.</param>
    /// <param name="client">The node's own address towards the gateway, and its port.</param>
    /// <param name="nonce">A secret of the node, the same for the same gateway; <see cref="PcpMessages.NonceBits"/> bits.</param>
    /// <param name="suggested">Where the node would like to be reached: its last external endpoint, or 0.0.0.0 with its own port.</param>
    public GatewayDialogue(TimeProvider time, Func<double> chance, in UdpEndpoint client, UInt128 nonce, in UdpEndpoint suggested)
    {
        _time = time;
        _chance = chance;
        _client = client;
        _nonce = nonce;
        _epoch = new GatewayEpoch(time);
        Wish = suggested;
        _next = time.Now();
    }

    private enum Question
    {
        Pcp,
        NatPmpAddress,
        NatPmpMap,
    }

    /// <summary>Where it stands.</summary>
    public DialogueState State { get; private set; }

    /// <summary>What the mapping was granted in, or the first refusal spoken; until then what is being asked in.</summary>
    public PortMappingProtocol Protocol => State == DialogueState.Refused ? _refusedIn : Asking;

    /// <summary>Where others reach the node; unspecified unless <see cref="DialogueState.Mapped"/>.</summary>
    public UdpEndpoint External { get; private set; }

    /// <summary>Where the node would like to be reached: where it was at last.</summary>
    public UdpEndpoint Wish { get; private set; }

    /// <summary>How long the mapping lasts from now unless it is renewed.</summary>
    public TimeSpan LeaseLeft => State == DialogueState.Mapped ? Until(_leaseEnd) : TimeSpan.Zero;

    /// <summary>What the gateway gave as its reason, as a sentence; null when it did not refuse.</summary>
    public string? Refusal { get; private set; }

    /// <summary>True when there is nothing more to say.</summary>
    public bool IsOver => State is not (DialogueState.Asking or DialogueState.Mapped);

    /// <summary>How long until <see cref="TakeRequest"/> is to be called though nothing has arrived.</summary>
    public TimeSpan UntilNext => IsOver ? Timeout.InfiniteTimeSpan : Until(_next);

    /// <summary>Writes the request that is due.</summary>
    /// <param name="destination">At least <see cref="MaximumRequestLength"/> bytes.</param>
    /// <returns>The number of bytes to send, 0 when nothing is due.</returns>
    public int TakeRequest(Span<byte> destination)
    {
        if (IsOver || Until(_next) > TimeSpan.Zero)
            return 0;
        if (State == DialogueState.Mapped && Until(_leaseEnd) <= TimeSpan.Zero)
        {
            State = DialogueState.Silent;
            External = default;
            return 0;
        }

        if (!_waits)
            Ask(_question == Question.NatPmpMap ? Question.NatPmpAddress : _question);
        else if (State == DialogueState.Asking && _sent >= Attempts)
            GiveUp(DialogueState.Silent);
        return IsOver ? 0 : Write(destination);
    }

    /// <summary>Writes a request to forward the port no longer.</summary>
    /// <returns>The number of bytes to send; the gateway answers, but nothing hangs on it.</returns>
    public int WriteRemoval(Span<byte> destination) => _question == Question.Pcp
        ? PcpMessages.WriteMap(destination, _client, _nonce, UdpEndpoint.FromIPv4(0, 0), TimeSpan.Zero)
        : NatPmpMessages.WriteMap(destination, _client.Port, suggestedPort: 0, TimeSpan.Zero);

    /// <summary>
    /// Takes a datagram that came from the gateway's port to ours. Anything but an answer to a question of ours is ignored.
    /// </summary>
    /// <returns>True when a mapping was made, renewed, changed or lost by it.</returns>
    public bool Receive(ReadOnlySpan<byte> answer)
    {
        if (IsOver || answer.IsEmpty)
            return false;
        (DialogueState, UdpEndpoint, Timestamp) before = (State, External, _leaseEnd);
        if (answer[0] != NatPmpMessages.Version)
            ReceivePcp(answer);
        else if (_waits)
            ReceiveNatPmp(answer);
        return before != (State, External, _leaseEnd);
    }

    /// <summary>
    /// Takes a datagram that the gateway sent to all hosts. Anybody could have sent it, so it changes nothing: it can make us ask again.
    /// </summary>
    public void ReceiveAnnouncement(ReadOnlySpan<byte> announcement)
    {
        if (State != DialogueState.Mapped || _waits)
            return;
        bool news = PcpMessages.TryReadAnnouncement(announcement, out uint epoch)
            ? !_epoch.Continues(epoch)
            : NatPmpMessages.TryReadAddress(announcement, out NatPmpAddressAnswer answer) && answer.Result == 0
                && (!_epoch.Continues(answer.Epoch) || answer.Address.MappedAddress != External.MappedAddress);
        if (news)
            _next = _time.Now();
    }

    /// <summary>
    /// The gateway says that nobody listens at its port (ICMP). Anybody could have sent that, so a mapping that there is stays.
    /// </summary>
    public void NobodyListens()
    {
        if (State == DialogueState.Asking)
            State = Refusal is null ? DialogueState.NotSupported : DialogueState.Refused;
    }

    private PortMappingProtocol Asking => _question == Question.Pcp ? PortMappingProtocol.Pcp : PortMappingProtocol.NatPmp;

    private int Attempts => _question == Question.Pcp ? PcpAttempts : NatPmpAttempts;

    private void ReceivePcp(ReadOnlySpan<byte> answer)
    {
        if (State == DialogueState.Asking && _question == Question.Pcp && PcpMessages.IsUnsupportedVersion(answer))
        {
            Ask(Question.NatPmpAddress);
            return;
        }

        // An answer that nobody waits for is an update (section 14.2), or one that comes late: welcome as long as it has our nonce.
        if (!PcpMessages.TryReadMap(answer, out PcpMapAnswer map) || map.Nonce != _nonce || map.InternalPort != _client.Port)
            return;
        _epoch.Continues(map.Epoch);
        if (map.Result == 0)
            Accept(Question.Pcp, map.External, map.Lifetime);
        else if (_waits && _question == Question.Pcp)
            Refuse(GatewayResults.Describe(PortMappingProtocol.Pcp, map.Result));
    }

    private void ReceiveNatPmp(ReadOnlySpan<byte> answer)
    {
        switch (_question)
        {
            case Question.Pcp when State == DialogueState.Asking && NatPmpMessages.IsUnsupportedVersion(answer):
                Ask(Question.NatPmpAddress);
                break;
            case not Question.Pcp when State == DialogueState.Asking && NatPmpMessages.IsUnsupportedVersion(answer):
                GiveUp(DialogueState.NotSupported);
                break;
            case Question.NatPmpAddress when NatPmpMessages.TryReadAddress(answer, out NatPmpAddressAnswer address):
                _epoch.Continues(address.Epoch);
                _address = address.Address;
                if (address.Result != 0)
                    Refuse(GatewayResults.Describe(PortMappingProtocol.NatPmp, address.Result));
                else
                    Ask(Question.NatPmpMap);
                break;
            case Question.NatPmpMap when NatPmpMessages.TryReadMap(answer, out NatPmpMapAnswer map)
                && (map.Result != 0 || map.InternalPort == _client.Port):
                _epoch.Continues(map.Epoch);
                if (map.Result != 0)
                    Refuse(GatewayResults.Describe(PortMappingProtocol.NatPmp, map.Result));
                else
                    Accept(Question.NatPmpMap, new UdpEndpoint(_address.MappedAddress, map.ExternalPort), map.Lifetime);
                break;
        }
    }

    private void Accept(Question question, in UdpEndpoint external, TimeSpan lifetime)
    {
        if (lifetime == TimeSpan.Zero)
            return; // The late answer to a removal.
        if (!external.IsIPv4 || !Candidate.IsUsable(external))
        {
            Refuse(GatewayResults.NoAddress);
            return;
        }

        _question = question;
        _waits = false;
        Wish = External = external;
        lifetime = MappingLease.Limit(lifetime);
        _leaseEnd = After(lifetime);
        _next = After(MappingLease.RenewAfter(lifetime, _chance()));
        Refusal = null;
        State = DialogueState.Mapped;
    }

    private void Refuse(string reason)
    {
        if (Refusal is null)
            (Refusal, _refusedIn) = (reason, Asking);
        GiveUp(DialogueState.Refused);
    }

    /// <summary>
    /// PCP leads nowhere: NAT-PMP may, if only because it has no nonce that a node forgets when it is killed. When that leads nowhere
    /// either it is over.
    /// </summary>
    private void GiveUp(DialogueState state)
    {
        if (_question == Question.Pcp)
        {
            State = DialogueState.Asking;
            External = default;
            Ask(Question.NatPmpAddress);
            return;
        }

        State = Refusal is null ? state : DialogueState.Refused;
        External = default;
    }

    private void Ask(Question question)
    {
        _question = question;
        _waits = true;
        _sent = 0;
        _next = _time.Now();
    }

    private int Write(Span<byte> destination)
    {
        bool isPcp = _question == Question.Pcp;
        TimeSpan first = isPcp ? FirstPcpTimeout : FirstNatPmpTimeout, longest = isPcp ? LongestPcpTimeout : LongestNatPmpTimeout;
        _timeout = _sent++ == 0 ? first : _timeout * 2 < longest ? _timeout * 2 : longest;
        _next = After(_timeout * (0.9 + (0.2 * _chance())));
        if (State == DialogueState.Mapped)
            _next = Timestamp.Earliest(_next, _leaseEnd);
        return _question switch
        {
            Question.Pcp => PcpMessages.WriteMap(destination, _client, _nonce, Wish, MappingLease.Requested),
            Question.NatPmpAddress => NatPmpMessages.WriteAddress(destination),
            _ => NatPmpMessages.WriteMap(destination, _client.Port, Wish.Port, MappingLease.Requested),
        };
    }

    private Timestamp After(TimeSpan span) => _time.Now() + span;

    private TimeSpan Until(Timestamp moment)
    {
        TimeSpan left = moment - _time.Now();
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }
}
