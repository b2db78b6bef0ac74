using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Timing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Access;

/// <summary>The table of flows: what it keeps, for how long, who makes room, and that threads may do as they like with it.</summary>
public sealed class FlowTableTests
{
    private static readonly TunnelAddress Own = RulePackets.Address("10.0.0.1");
    private static readonly TunnelAddress Peer = RulePackets.Address("10.0.0.2");

    private readonly FakeTimeProvider _time = new();

    private Timestamp Now => _time.Now();

    [Fact]
    public void Flow_IsFound_AsItWasEntered_AndNoOtherIs()
    {
        FlowTable table = Make();
        table.Add(Key(1), new FlowState(true, 5), Now);
        Assert.True(table.TryFind(Key(1), true, Now, out FlowState state));
        Assert.Equal(new FlowState(true, 5), state);
        Assert.False(table.TryFind(Key(2), true, Now, out _));
        Assert.False(table.TryFind(Key(1, protocol: IpPacket.ProtocolUdp), true, Now, out _));
        Assert.False(table.TryFind(new FlowKey(Own, Peer, IpPacket.ProtocolTcp, 1), true, Now, out _));
        Assert.False(table.TryFind(new FlowKey(Peer, Own, IpPacket.ProtocolTcp, 1, FlowKind.OwnFragments), true, Now, out _));
        Assert.Equal(1, table.Count);
    }

    [Fact]
    public void Flow_IsRenewed_EnteredAnew_AndEnded()
    {
        FlowTable table = Make();
        table.Add(Key(1), new FlowState(true, 5), Now);
        table.Renew(Key(1), 6);
        Assert.True(table.TryFind(Key(1), true, Now, out FlowState state));
        Assert.Equal(new FlowState(true, 6), state);
        table.Add(Key(1), new FlowState(false, 7), Now);
        Assert.True(table.TryFind(Key(1), true, Now, out state));
        Assert.Equal(new FlowState(false, 7), state);
        Assert.Equal(1, table.Count);
        table.Renew(Key(1), 8, isEnded: true);
        Assert.True(table.TryFind(Key(1), true, Now, out state));
        Assert.Equal(new FlowState(false, 8, IsEnded: true), state);
        _time.Advance(FlowTable.TcpIdle - TimeSpan.FromSeconds(1));
        Assert.True(table.TryFind(Key(1), true, Now, out _)); // It lives no longer for that.
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.False(table.TryFind(Key(1), true, Now, out _));
        table.Renew(Key(2), 8);
        Assert.Equal(0, table.Count);
    }

    [Theory]
    [InlineData(IpPacket.ProtocolTcp, 124)]
    [InlineData(IpPacket.ProtocolUdp, 5)]
    [InlineData(IpPacket.ProtocolIcmp, 1)]
    [InlineData(IpPacket.ProtocolIcmpV6, 1)]
    [InlineData(47, 10)]
    public void Flow_IsOver_AfterItsSilence_AndPacketsKeepItGoing(byte protocol, int minutes)
    {
        FlowTable table = Make();
        table.Add(Key(1, protocol), new FlowState(true, 1), Now);
        for (int i = 0; i < 3; i++)
        {
            _time.Advance(TimeSpan.FromMinutes(minutes) - TimeSpan.FromSeconds(2));
            Assert.True(table.TryFind(Key(1, protocol), i % 2 == 0, Now, out _));
        }

        _time.Advance(TimeSpan.FromMinutes(minutes) + TimeSpan.FromSeconds(2));
        Assert.False(table.TryFind(Key(1, protocol), true, Now, out _));
        Assert.Equal(0, table.Count);
    }

    [Fact]
    public void FullSet_GivesUpWhatIsOver_ThenWhatWasNeverAnswered_ThenTheLongestSilent()
    {
        var table = new FlowTable(_time, 1, setBits: 0);
        Assert.Equal(FlowTable.Ways, table.Capacity);
        for (uint i = 0; i < FlowTable.Ways; i++)
        {
            table.Add(Key(i), new FlowState(true, 1), Now);
            if (i != 3)
                Assert.True(table.TryFind(Key(i), false, Now, out _)); // Answered.
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        table.Add(Key(100), new FlowState(true, 1), Now);
        Assert.False(Knows(table, 3)); // Never answered, though others were silent for longer.
        Assert.Equal(1, table.Displaced);
        Assert.True(table.TryFind(Key(100), false, Now, out _));
        table.Add(Key(101), new FlowState(true, 1), Now);
        Assert.False(Knows(table, 0));
        Assert.True(Knows(table, 1));
        Assert.Equal(2, table.Displaced);

        _time.Advance(TimeSpan.FromMinutes(200));
        table.Add(Key(102), new FlowState(true, 1), Now);
        Assert.Equal((1, 2), (table.Count, table.Displaced));
    }

    [Fact]
    public void FloodOfFlows_TakesNoMemory_AndLeavesThoseThatAreAnswered()
    {
        var table = new FlowTable(_time, 1, setBits: 6);
        for (uint i = 0; i < 64; i++)
        {
            table.Add(Key(i), new FlowState(true, 1), Now);
            table.TryFind(Key(i), false, Now, out _);
        }

        int kept = Enumerable.Range(0, 64).Count(i => Knows(table, (uint)i));
        uint flow = 1000;
        Allocation.AssertNone(warmUp: 100, count: 100_000, () => table.Add(Key(++flow), new FlowState(true, 1), Now));
        Assert.Equal(kept, Enumerable.Range(0, 64).Count(i => Knows(table, (uint)i)));
        Assert.InRange(table.Count, 1, table.Capacity);
    }

    [Fact]
    public async Task Threads_ThatDoWhatTheyLike_NeverSeeAFlowThatNobodyEntered()
    {
        // Each flow is only ever entered with the generation that is its own number: whatever else is seen was torn.
        var table = new FlowTable(_time, 1, setBits: 2);
        using var stop = new CancellationTokenSource();
        long found = 0;
        Task[] threads = [.. Enumerable.Range(0, 4).Select(number => Task.Run(
            () =>
            {
                var random = new Random(number);
                long mine = 0;
                for (int i = 0; i < 300_000; i++)
                {
                    uint flow = (uint)random.Next(200);
                    switch (random.Next(4))
                    {
                        case 0:
                            table.Add(Key(flow), new FlowState(flow % 2 == 0, (int)flow), Now);
                            break;
                        case 1:
                            table.Renew(Key(flow), (int)flow);
                            break;
                        case 2 when random.Next(8) == 0:
                            table.Renew(Key(flow), (int)flow, isEnded: true);
                            break;
                        default:
                            if (!table.TryFind(Key(flow), random.Next(2) == 0, Now, out FlowState state))
                                break;
                            mine++;
                            if (state with { IsEnded = false } != new FlowState(flow % 2 == 0, (int)flow))
                                throw new InvalidOperationException($"Flow {flow} was seen as {state}.");
                            break;
                    }
                }

                Interlocked.Add(ref found, mine);
            },
            TestContext.Current.CancellationToken))];
        await Task.WhenAll(threads);
        Assert.NotEqual(0, found);
        Assert.InRange(table.Count, 1, table.Capacity);
    }

    private bool Knows(FlowTable table, uint flow) => table.TryFind(Key(flow), true, Now, out _);

    private static FlowKey Key(uint ports, byte protocol = IpPacket.ProtocolTcp) => new(Peer, Own, protocol, ports);

    private FlowTable Make() => new(_time, 1, setBits: 4);
}
