using LightTunnel.Addressing;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

public sealed class HeavySourcesTests
{
    private readonly HeavySources _sources = new();

    [Fact]
    public void TryTakeHeaviest_OneAmongThousands_IsFound()
    {
        for (uint i = 0; i < 20_000; i++)
        {
            _sources.Add(Source(i), 1500);
            if (i % 5 == 0)
                _sources.Add(Source(77_777), 1500);
        }

        Assert.True(_sources.TryTakeHeaviest(out UdpEndpoint heaviest));
        Assert.Equal(Source(77_777), heaviest);
        Assert.False(_sources.TryTakeHeaviest(out _));
    }

    [Fact]
    public void TryTakeHeaviest_ThousandsAlike_IsNobody()
    {
        for (uint i = 0; i < 20_000; i++)
            _sources.Add(Source(i), 1500);
        Assert.False(_sources.TryTakeHeaviest(out _));
    }

    [Fact]
    public void TryTakeHeaviest_Several_ComeByWeight()
    {
        foreach (uint i in new uint[] { 3, 1, 2, 3, 2, 3 })
            _sources.Add(Source(i), 100);
        var taken = new List<UdpEndpoint>();
        while (_sources.TryTakeHeaviest(out UdpEndpoint source))
            taken.Add(source);
        Assert.Equal([Source(3), Source(2), Source(1)], taken);
    }

    [Fact]
    public void TryTakeHeaviest_EndpointsThatDifferInPortOnly_AreTwo()
    {
        _sources.Add(UdpEndpoint.FromIPv4(1, 1), 100);
        _sources.Add(UdpEndpoint.FromIPv4(1, 2), 101);
        Assert.True(_sources.TryTakeHeaviest(out UdpEndpoint source));
        Assert.Equal(UdpEndpoint.FromIPv4(1, 2), source);
        Assert.True(_sources.TryTakeHeaviest(out source));
        Assert.Equal(UdpEndpoint.FromIPv4(1, 1), source);
    }

    [Fact]
    public void Clear_BeginsAnew()
    {
        _sources.Add(Source(1), 1_000_000);
        _sources.Clear();
        Assert.False(_sources.TryTakeHeaviest(out _));
        _sources.Add(Source(2), 1);
        Assert.True(_sources.TryTakeHeaviest(out UdpEndpoint source));
        Assert.Equal(Source(2), source);
    }

    [Fact]
    public void TryTakeHeaviest_RandomTraffic_FindsEveryoneHeavyAndNobodyLight()
    {
        for (int seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            var sent = new Dictionary<UdpEndpoint, long>();
            int many = random.Next(1, 200);
            double skew = 1 + (4 * random.NextDouble());
            for (int i = 0; i < 3000; i++)
            {
                UdpEndpoint source = Source((uint)(many * Math.Pow(random.NextDouble(), skew)));
                int weight = random.Next(1, 70_000);
                sent[source] = sent.GetValueOrDefault(source) + weight;
                _sources.Add(source, weight);
            }

            var found = new HashSet<UdpEndpoint>();
            while (_sources.TryTakeHeaviest(out UdpEndpoint source))
                Assert.True(found.Add(source));
            double total = sent.Values.Sum();
            Assert.All(found, source => Assert.True(sent[source] > total / 32));
            Assert.All(
                sent.Where(entry => entry.Value > (total / (HeavySources.Places + 1)) + (total / 32) + 1),
                entry => Assert.Contains(entry.Key, found));
            _sources.Clear();
        }
    }

    private static UdpEndpoint Source(uint number) => UdpEndpoint.FromIPv4(0x0A000000 + number, 9000);
}
