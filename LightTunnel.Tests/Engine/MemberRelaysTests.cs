using LightTunnel.Addressing;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Data;
using LightTunnel.Internet.Simulation;
using LightTunnel.Tests.Traversal;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>Whose id is whose, and whose socket is whose.</summary>
public sealed class MemberRelaysTests
{
    [Fact]
    public void MemberGetsAnotherId_TheOneBeforeLeadsNowhere_AndIsNotTakenFromItsNewOwner()
    {
        using var internet = new TestInternet(Nats.Named("Open"), Nats.Named("Open"), seed: 1);
        internet.Exchange();
        internet.Introduce();
        Assert.NotNull(internet.RunUntil(() => internet.BothProven, TimeSpan.FromSeconds(1)));
        PathAddress way = internet.A.Traversal.Paths.First(path => path.IsProven).Key;

        var time = new VirtualTime();
        Member source = NewMember(time, 2), target = NewMember(time, 3), other = NewMember(time, 4);
        source.Traversal = internet.A.Traversal;
        target.UsedPath = new ProbedPath(new PathAddress(UdpEndpoint.FromIPv4(0xC0000203, 3)));
        other.UsedPath = new ProbedPath(new PathAddress(UdpEndpoint.FromIPv4(0xC0000204, 4)));
        var relays = new MemberRelays(new Members(time, new RouteTarget(PeerRoute.Nobody))) { IsRelay = true };
        relays.Update(source);
        Array.ForEach([source, target, other], relays.SetMember);
        Assert.Equal(target.UsedPath.Key, Target(3));

        target.MemberId = 5;
        relays.SetMember(target);
        Assert.Null(Target(3));
        Assert.Equal(target.UsedPath.Key, Target(5));

        other.MemberId = 5;
        relays.SetMember(other);
        relays.RemoveMember(target);
        Assert.Null(Target(4));
        Assert.Equal(other.UsedPath.Key, Target(5));

        PathAddress? Target(uint id) => relays.TryFindTarget(new RelayHeader(2, id), way, out PathAddress found) ? found : null;
    }

    private static Member NewMember(VirtualTime time, uint id)
    {
        byte[] key = new byte[PublicKey.Size];
        key[0] = (byte)id;
        return new Member(new PublicKey(key), time) { MemberId = id };
    }
}
