using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Membership;
using LightTunnel.PortMapping;
using LightTunnel.Timing;
using LightTunnel.Transport;

namespace LightTunnel.Engine.Server;

/// <summary>
/// What of a member's candidates the server passes on. Each makes others send there, and a member may name the address of somebody who has
/// nothing to do with the network: what a NAT shows of it counts only at the address where the server sees it, and addresses that only the
/// member vouches for have a budget, whoever names them and however many identities he has. Owned by the control loop.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="salt">Where addresses are counted; seeded in simulations.</param>
/// <param name="tunnel">The prefixes of the network itself.</param>
internal sealed class CandidateScreen(TimeProvider time, Random salt, IReadOnlyList<IpPrefix> tunnel)
{
    /// <summary>
    /// How often one public address may be named that the server does not see the member at, in introductions of all members together: at
    /// once, and then per second. Each time it is sent some seven probes.
    /// </summary>
    public const int Burst = 256;
    private const double Rate = 4;

    /// <summary>Public addresses (of IPv6 the first 64 bits) in one introduction at which the server does not see the member.</summary>
    public const int MostUnseen = 4;

    private readonly AddressBuckets _named = new(salt, Rate, Burst);

    /// <summary>Candidates that were not passed on, as nobody vouches for them or they were named too often.</summary>
    public long Withheld { get; private set; }

    /// <summary>What is told of a member in one introduction.</summary>
    /// <param name="told">What it told.</param>
    /// <param name="path">Where the server sees it, and whether it has shown to be there.</param>
    public Reachability Pass(Reachability told, in PathAddress path)
    {
        UdpEndpoint seen = Candidate.IsUsable(path.Endpoint) ? path.Endpoint : default;
        Timestamp now = time.Now();
        var passed = new List<Candidate>(Reachability.MaximumCandidates);
        var unseen = new HashSet<UInt128>();

        foreach (Candidate candidate in told.Candidates)
        {
            if (passed.Count < Reachability.MaximumCandidates - 1 && MayPass(candidate, path, seen, unseen, now))
                passed.Add(candidate);
        }

        // Where its socket is seen comes from here alone. Until it has shown to be there, nobody vouches for that either: its datagrams'
        // source may be forged.
        if (seen.IsSpecified && (!path.IsUnproven || IsAffordable(seen, unseen, now)))
            passed.Add(new Candidate(path.IsUnproven ? CandidateKind.PeerReflexive : CandidateKind.ServerReflexive, seen));
        return told with { Candidates = passed };
    }

    private bool MayPass(in Candidate candidate, in PathAddress path, in UdpEndpoint seen, HashSet<UInt128> unseen, Timestamp now)
    {
        if (candidate.Endpoint == seen && candidate.Kind is CandidateKind.ServerReflexive or CandidateKind.PeerReflexive)
            return false; // Told from here.
        bool isSeenThere = seen.IsSpecified && candidate.Endpoint.MappedAddress == seen.MappedAddress;
        bool passes = candidate.Kind switch
        {
            // An older place where it was seen is where it was before its NAT was started again.
            CandidateKind.ServerReflexive => false,
            CandidateKind.PeerReflexive or CandidateKind.Predicted when !isSeenThere => false,
            CandidateKind.PortMapped when !isSeenThere
                && (!candidate.Endpoint.IsIPv4 || PortMappingStatus.IsPublic(candidate.Endpoint)) => false,
            _ => !IsOfNoUse(candidate.Endpoint, seen),
        };
        if (passes && !candidate.Endpoint.IsLocal && (!isSeenThere || path.IsUnproven))
            passes = IsAffordable(candidate.Endpoint, unseen, now);
        if (!passes)
            Withheld++;
        return passes;
    }

    /// <summary>True for addresses that are another machine at each member, loopback, and for those within the network itself.</summary>
    private bool IsOfNoUse(in UdpEndpoint endpoint, in UdpEndpoint seen)
    {
        IPAddress address = endpoint.Address;
        if (IPAddress.IsLoopback(address))
            return !(seen.IsSpecified && IPAddress.IsLoopback(seen.Address)); // All on one machine.
        var inner = TunnelAddress.FromIPAddress(address);
        return tunnel.Any(prefix => prefix.Contains(inner));
    }

    private bool IsAffordable(in UdpEndpoint endpoint, HashSet<UInt128> unseen, Timestamp now)
    {
        // Each port and each address behind a prefix is a naming of its own: each is sent probes.
        UInt128 subscriber = endpoint.Subscriber;
        if ((unseen.Count == MostUnseen && !unseen.Contains(subscriber)) || !_named.TryTake(subscriber, now))
            return false;
        unseen.Add(subscriber);
        return true;
    }
}
