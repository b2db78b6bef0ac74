using System.Text;
using LightTunnel.Configuration;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using LightTunnel.Routing;
using LightTunnel.WireGuard;
using Xunit;
using static LightTunnel.Tests.Membership.ControlMessageTests;

namespace LightTunnel.Tests.Configuration;

/// <summary>State files as the versions before this one wrote them, byte by byte: nothing in them is lost.</summary>
public sealed class FirstStateFileTests : IDisposable
{
    /// <summary>A server's, of version 1.</summary>
    public const string Server =
        """{"format":"LightTunnel state","version":1,"sha256":"d56e70a96d790465f91916d70a775a59ad885a02229bd68d881a23ae8e7fd3e""" +
        """c"}""" + "\n" +
        """{"role":"server","privateKey":"RtCGgkCX5KOVz/9GaZxzxKHNEDQTW06jb4SlSt96DqA=","networkKey":"cZPGlSS54298OJi33SALwRYe7""" +
        """C7wvRZG8qnmk2xiaTM=","networkName":"home","nextMemberId":9,"leases":[{"id":2,"publicKey":"cZPGlSS54298OJi33SALwRYe7C""" +
        """7wvRZG8qnmk2xiaTM=","name":"laptop","addresses":["10.0.0.2","fd00::2"],"created":"2026-01-01T02:03:04.5670000\u002B0""" +
        """1:00","lastSeen":"2026-02-01T02:03:04.5670000\u002B00:00","used":false},{"id":3,"publicKey":"nVYFqQfb4zpjoDInUKSjvYx""" +
        """uyCfMH97qdc8n3fhKxcc=","name":"b","addresses":[],"created":"0001-01-01T00:00:00.0000000\u002B00:00","lastSeen":"0001""" +
        """-01-01T00:00:00.0000000\u002B00:00","used":false},{"id":7,"publicKey":"yBlFvOv94gZKCMyYxCc6ugG/pCCogaaN+fVoJ4QyIFo""" +
        """=","name":"nas","addresses":["10.0.0.20"],"created":"2026-01-01T02:03:04.5670000\u002B01:00","lastSeen":"2026-02-01T""" +
        """02:03:04.5670000\u002B00:00"}]}""" + "\n";

    /// <summary>A client's, of version 1.</summary>
    public const string Client =
        """{"format":"LightTunnel state","version":1,"sha256":"20881fcc7552102ac920a2dc4d1a16c315047e04916f77378a00f4b002def24""" +
        """7"}""" + "\n" +
        """{"role":"client","privateKey":"ouqEHFym3//OEszMBrkxqUxS8P/1bY++iLGsl0K56To=","lastAddresses":{"9N2Fz84e4tExcWUJOKvSt""" +
        """3YQgBqE5G4wfBqpcBAafO0=":["10.0.0.7/24","fd00::7/64"]},"peerPolicies":{"H6DE4rFA4Z0Y2f96qy5qs\u002BxgXBNgRjfU/0Dqup0""" +
        """B14E=":"DirectOnly","S2ME9pVi4Wj/QZnqH7IBsGGxOA08qP93gmYqBCnpMhQ=":"Auto"}}""" + "\n";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Server_OfVersion1_IsTakenOver_AndIsWrittenAsVersion2()
    {
        using StateStore store = StateStore.Open(_folder.File("s"));
        File.WriteAllText(store.FilePath, Server);
        using (NodeState first = store.Load(TunnelRole.Server)!)
        {
            AssertServer(first);
            store.Save(first);
        }

        Assert.StartsWith("""{"format":"LightTunnel state","version":2,""", File.ReadAllText(store.FilePath), StringComparison.Ordinal);
        using NodeState second = store.Load(TunnelRole.Server)!;
        AssertServer(second);
    }

    [Fact]
    public void Leases_OfVersion1_AreThoseOfTheMembers()
    {
        using NodeState state = StateFile.Decode(Encoding.ASCII.GetBytes(Server), "x");
        var leases = new Leases([Interface("10.0.0.1/24"), Interface("fd00::1/64")], serverName: "home");
        leases.TakeOver(state.Network.ChangesAfter(0));

        Assert.False(leases.HasChanges);
        Assert.False(leases.IsInvitedOnly);
        Assert.Equal(9u, leases.NextMemberId);
        Assert.Equal(Key(4), leases.ByName("nas")!.PublicKey);
        Assert.Equal(Key(2), leases.ByAddress(Address("fd00::2"))!.PublicKey);
        DateTimeOffset now = new(2026, 3, 1, 0, 0, 0, TimeSpan.Zero);
        Assert.Equal([Address("10.0.0.2"), Address("fd00::2")], leases.Acquire(Key(2), "laptop", [], now).Lease!.Addresses);
        Assert.Equal(RefusalReason.AddressTaken, leases.Acquire(Key(9), "new", [Address("10.0.0.20")], now).Refusal!.Reason);
        Assert.Equal(9u, leases.Acquire(Key(9), "new", [], now).Lease!.MemberId);
    }

    [Fact]
    public void Client_IsReadAndWrittenAsEver()
    {
        byte[] content = Encoding.ASCII.GetBytes(Client);
        using NodeState state = StateFile.Decode(content, "x");

        Assert.Equal(TunnelRole.Client, state.Role);
        Assert.Equal("ouqEHFym3//OEszMBrkxqUxS8P/1bY++iLGsl0K56To=", Convert.ToBase64String(state.PrivateKey));
        Assert.Equal([Interface("10.0.0.7/24"), Interface("fd00::7/64")], state.LastAddresses[Key(5)]);
        Assert.Equal((PathPolicy.DirectOnly, PathPolicy.Auto), (state.PeerPolicies[Key(6)], state.PeerPolicies[Key(7)]));
        Assert.Equal(Client, Encoding.ASCII.GetString(StateFile.Encode(state)));
    }

    private static void AssertServer(NodeState state)
    {
        Assert.Equal(TunnelRole.Server, state.Role);
        Assert.Equal("RtCGgkCX5KOVz/9GaZxzxKHNEDQTW06jb4SlSt96DqA=", Convert.ToBase64String(state.PrivateKey));
        Assert.Equal("cZPGlSS54298OJi33SALwRYe7C7wvRZG8qnmk2xiaTM=", Convert.ToBase64String(state.NetworkKeys!.Key));
        Assert.True(LeaseCodec.TryReadNetwork(
            state.Network.Entries.Single(entry => entry.Key == StoreKeys.Network).Value, out string? name, out uint next,
            out bool isInvitedOnly));
        Assert.Equal(("home", 9u, false), (name, next, isInvitedOnly));

        IReadOnlyList<Lease> leases = LeaseCodec.ReadAll(state.Network);
        Assert.Equal([(2u, Key(2), "laptop", false), (3u, Key(3), "b", false), (7u, Key(4), "nas", true)], leases.Select(Facts));
        Assert.Equal([[Address("10.0.0.2"), Address("fd00::2")], [], [Address("10.0.0.20")]], leases.Select(lease => lease.Addresses));
        Assert.Equal(new DateTimeOffset(2026, 1, 1, 2, 3, 4, 567, TimeSpan.FromHours(1)), leases[0].Created);
        Assert.Equal(new DateTimeOffset(2026, 2, 1, 2, 3, 4, 567, TimeSpan.Zero), leases[0].LastSeen);
        Assert.Equal(default, leases[1].LastSeen);
    }

    private static (uint Id, PublicKey Key, string Name, bool Used) Facts(Lease lease) =>
        (lease.MemberId, lease.PublicKey, lease.Name, lease.Used);
}
