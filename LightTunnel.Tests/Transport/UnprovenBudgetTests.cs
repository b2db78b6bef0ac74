using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Transport;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Transport;

public sealed class UnprovenBudgetTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly UnprovenBudget _budget;

    public UnprovenBudgetTests() => _budget = new UnprovenBudget(_time, new Random(1))
    {
        Neighbourhood = [IpPrefix.TryParse("192.0.2.0/24", out IpPrefix lan) ? lan : default],
    };

    [Fact]
    public void OneAddress_HasItsOwnBudget_WhichComesBackWithTime()
    {
        Assert.Equal(UnprovenBudget.Burst, Sent("203.0.113.7", 10_000));
        Assert.Equal(10, Sent("203.0.113.8", 10));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(16, Sent("203.0.113.7", 10_000));
        Assert.Equal(20_000 - UnprovenBudget.Burst - 16, _budget.Refused);
    }

    [Fact]
    public void IPv6Subscriber_IsOneAddress() =>
        Assert.Equal(UnprovenBudget.Burst, Enumerable.Range(1, 10_000).Count(host => Take($"2001:db8::{host:x}")));

    [Fact]
    public void Neighbours_GetLittle_EachAndTogether()
    {
        Assert.Equal(UnprovenBudget.NeighbourBurst, Sent("192.0.2.7", 1000));
        int others = Enumerable.Range(8, 200).Sum(host => Sent($"192.0.2.{host}", 1000));
        Assert.Equal(UnprovenBudget.NeighboursBurst - UnprovenBudget.NeighbourBurst, others);
        // The others are none the worse for it.
        Assert.Equal(UnprovenBudget.Burst, Sent("203.0.113.7", 1000));
    }

    [Fact]
    public void WhomTheServerSees_GetsEnoughForGuessing_AndWhoIsThere_Everything()
    {
        Assert.Equal(UnprovenBudget.VouchedBurst, Sent("203.0.113.7", 10_000, isVouched: true));
        _budget.Proven.Add(new UdpEndpoint(IPAddress.Parse("192.0.2.7"), 1));
        Assert.Equal(5000, Sent("192.0.2.7", 5000));
        _time.Advance(ProvenAddresses.Lifetime);
        Assert.Equal(UnprovenBudget.NeighbourBurst, Sent("192.0.2.7", 5000));
    }

    private int Sent(string address, int count, bool isVouched = false) => Enumerable.Range(0, count).Count(_ => Take(address, isVouched));

    private bool Take(string address, bool isVouched = false) => _budget.TryTake(new UdpEndpoint(IPAddress.Parse(address), 9), isVouched);
}
