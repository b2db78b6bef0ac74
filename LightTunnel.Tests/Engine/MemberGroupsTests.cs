using System.Formats.Cbor;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.Membership.Cbor;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>Which groups a member is in, its server's admin says, and nobody else.</summary>
public sealed class MemberGroupsTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    private readonly SimulatedNetwork _network = new() { IsDirectBlocked = true };

    public void Dispose() => _network.Dispose();

    /// <summary>Written against the wire: a registration that has what a lease has of groups, under every key there could be.</summary>
    [Fact]
    public void MemberThatSpoofsAGroup_IsInNone()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode mallory = _network.AddClient("mallory");
        Assert.True(_network.RunUntil(() => mallory.IsUp, Soon));
        uint before = mallory.Client.Session!.Conversation;
        byte[] spoofed = WithGroups(ControlMessageCodec.Encode(new RegisterMessage { Name = "group.admins" }));
        mallory.Node.Post(() =>
        {
            byte[] frame = new byte[ControlFrame.MaximumLength];
            int length = new ControlFrame(ControlFrameKind.Data, before ^ 2, 1, spoofed).Write(frame);
            mallory.Node.Sender.Frame(mallory.Client.Server.Link!, frame.AsSpan(0, length));
        });
        mallory.MarkReady();

        Assert.True(_network.RunUntil(() => Statuses(server).Single().Name == "group.admins", Soon));
        _network.Run(Soon);
        Assert.Empty(Statuses(server).Single().Groups);
        Assert.All(_network.SavedLeases, lease => Assert.Empty(lease.Groups));
    }

    private static IReadOnlyList<MemberStatus> Statuses(SimulatedNode server) => ((ServerRole)server.Node.Role).Administration.List();

    private static byte[] WithGroups(byte[] message)
    {
        Assert.True(CborMap.TryRead(message, out CborMap? map));
        var writer = new CborWriter(CborConformanceMode.Canonical, convertIndefiniteLengthEncodings: true);
        writer.WriteStartMap(null);
        foreach (int key in Enumerable.Range(0, 40))
        {
            if (!map.Values.TryGetValue(key, out ReadOnlyMemory<byte> value) && key is <= 13 or 30)
                continue;
            writer.WriteInt32(key);
            if (key <= 11)
            {
                writer.WriteEncodedValue(value.Span);
                continue;
            }

            writer.WriteStartArray(1);
            writer.WriteTextString("admins");
            writer.WriteEndArray();
        }

        writer.WriteEndMap();
        return writer.Encode();
    }
}
