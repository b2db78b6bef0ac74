using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Timing;

namespace LightTunnel.Transport;

/// <summary>
/// How much a node sends to addresses at which nobody has shown to receive it: answers to strangers, whose source may be forged, and probes
/// to what others name. Neither may a third be flooded by it, nor this machine kept busy with neighbours that do not exist, of whom each
/// takes memory of the system for three seconds. For the control loop.
/// </summary>
/// <remarks>
/// Linux keeps a datagram for a neighbour that does not answer for three seconds, at the expense of the socket that sent it, and whoever
/// forges sources or names candidates can make a node send to hundreds of such. So it never waits with the rest: one more socket has the
/// node's port (<see cref="PathHandle.IsUnproven"/>), and from it leave answers to handshakes of strangers, probes on paths that are not
/// proven, and whatever goes to a member that is heard from a new address, until that member has answered a ping there or agreed on keys.
/// What finds no room there is lost. The budget bounds it besides, for an address of IPv6 by its first 64 bits; none is needed for an
/// address at which somebody with keys was within ten minutes (<see cref="ProvenAddresses"/>). Elsewhere than on Linux there is the budget
/// alone, and the control loop asks for room before it sends; it never waits for a socket.
/// </remarks>
/// <param name="time">The clock.</param>
/// <param name="salt">Where the addresses are counted; seeded in simulations.</param>
internal sealed class UnprovenBudget(TimeProvider time, Random salt)
{
    /// <summary>Datagrams to one address that nobody vouches for: at once, and then per second.</summary>
    public const int Burst = 128;
    private const double Rate = 16;

    /// <summary>
    /// The same for an address that the server vouches for, as it sees the member there: some pairs guess ports there at once, each with
    /// 200 datagrams a second, and others are introduced meanwhile whose NAT is the same.
    /// </summary>
    public const int VouchedBurst = 2500;
    private const double VouchedRate = 1000;

    /// <summary>The same for an address in a network of this machine's own.</summary>
    public const int NeighbourBurst = 16;
    private const double NeighbourRate = 2;

    /// <summary>
    /// The same for all neighbours together. The system keeps a datagram for three seconds when there is no such neighbour.
    /// </summary>
    public const int NeighboursBurst = 512;
    private const double NeighboursRate = 256;

    /// <summary>The same for everybody.</summary>
    public const int AllBurst = 8192;
    private const double AllRate = 8192;

    private readonly AddressBuckets _addresses = new(salt, Rate, Burst);
    private readonly AddressBuckets _vouched = new(salt, VouchedRate, VouchedBurst);
    private readonly AddressBuckets _neighbours = new(salt, NeighbourRate, NeighbourBurst);
    private TokenBucket _allNeighbours;
    private TokenBucket _all;

    /// <summary>The networks of this machine's own interfaces.</summary>
    public IReadOnlyList<IpPrefix> Neighbourhood { get; set; } = [];

    /// <summary>Addresses that need no budget of their own, as somebody is there.</summary>
    public ProvenAddresses Proven { get; } = new(time);

    /// <summary>Datagrams that were not sent.</summary>
    public long Refused { get; private set; }

    /// <summary>Asks for one datagram; false when it is to be lost.</summary>
    /// <param name="destination">Where it goes.</param>
    /// <param name="isVouched">True when the server sees a member at that address.</param>
    public bool TryTake(in UdpEndpoint destination, bool isVouched = false)
    {
        Timestamp now = time.Now();
        bool isTaken = _all.HasToken(now, AllRate, AllBurst) && TryTakeOf(destination, isVouched, now);
        if (isTaken)
            _all.TryTake(now, AllRate, AllBurst);
        else
            Refused++;
        return isTaken;
    }

    private bool TryTakeOf(in UdpEndpoint destination, bool isVouched, Timestamp now)
    {
        if (Proven.Contains(destination))
            return true;
        if (isVouched)
            return _vouched.TryTake(destination.Subscriber, now);
        return IsNeighbour(destination)
            ? _neighbours.HasToken(destination.MappedAddress, now)
                && _allNeighbours.TryTake(now, NeighboursRate, NeighboursBurst)
                && _neighbours.TryTake(destination.MappedAddress, now)
            : _addresses.TryTake(destination.Subscriber, now);
    }

    private bool IsNeighbour(in UdpEndpoint destination)
    {
        if (Neighbourhood.Count == 0)
            return false;
        var address = TunnelAddress.FromIPAddress(destination.Address);
        foreach (IpPrefix prefix in Neighbourhood)
        {
            if (prefix.Contains(address))
                return true;
        }

        return false;
    }
}
