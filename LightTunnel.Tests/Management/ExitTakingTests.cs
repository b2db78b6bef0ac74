using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Forwarding;
using LightTunnel.Management;
using LightTunnel.Tests.Forwarding;
using LightTunnel.Timing;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Management;

/// <summary>When a machine begins to go out by an exit node, and when it ends.</summary>
public sealed class ExitTakingTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly ExitState There = new("office", null, Address("10.0.0.5"), null, [Prefix("10.0.0.0/24")]);

    private readonly TunnelLog _log = new("test", SystemClock.Instance);
    private readonly FakeSystem _system = new();
    private readonly ExitTaking _exit;

    public ExitTakingTests() => _exit = new ExitTaking(_system, "lt0", new MemoryRecord(), _log);

    private static ExitOptions Office => new("office", AllowLan: true, KillSwitch: false);

    private static ExitState Missing => There with { Problem = "It is not there.", IPv4 = null };

    public void Dispose()
    {
        _exit.Dispose();
        _log.Dispose();
    }

    [Fact]
    public void NameThatIsWrong_OrNotThereYet_KeepsNobodyFromTheNetwork()
    {
        _exit.Change(Office);
        Tell(Missing);
        Assert.Empty(_system.Plans);
        Assert.Contains("all goes out as it always did", _exit.Problem, StringComparison.Ordinal);

        Tell(There);
        Assert.Equal(new ExitPlan("lt0", Address("10.0.0.5"), null, There.Inside, AllowLan: true, KillSwitch: false), _system.Plans.Last());
        Assert.Null(_exit.Problem);
        Assert.True(_exit.Settled.IsCompleted);
    }

    [Fact]
    public void WhatWasThere_AndGoesAway_LetsNothingOut_UntilAPersonSaysOtherwise()
    {
        _exit.Change(Office);
        Tell(There);
        Tell(Missing);
        Assert.False(_system.IsEnded);
        Assert.Null(_system.Plans.Last().IPv4);
        Assert.Contains("nothing goes out", _exit.Problem, StringComparison.Ordinal);
        _exit.Change(ExitOptions.None);
        Assert.True(_system.IsEnded);
        Assert.Null(_exit.Problem);
    }

    [Fact]
    public void KillSwitch_IsClosedFromTheBeginning_AndWhatIsKnownOfAnotherNameDoesNotCount()
    {
        _exit.Change(Office with { KillSwitch = true });
        Assert.True(Assert.Single(_system.Plans).KillSwitch);
        Assert.Contains("nothing goes out", _exit.Problem, StringComparison.Ordinal);
        Tell(There with { Name = "former" });
        Assert.Null(_system.Plans.Last().IPv4);
        Tell(There);
        Assert.Equal(Address("10.0.0.5"), _system.Plans.Last().IPv4);
        _exit.Change(Office);
        Assert.False(_system.Plans.Last().KillSwitch);
    }

    [Fact]
    public void EndOfTheTunnel_PutsEverythingBack_AndNothingIsSetAfterwards()
    {
        _exit.Change(Office with { KillSwitch = true });
        _exit.Dispose();
        Assert.True(_system.IsEnded);
        int count = _system.Plans.Count;
        _exit.Change(Office);
        Assert.Equal(count, _system.Plans.Count);
    }

    [Fact]
    public void ExitNodeWithoutIPv6_OffersIPv4Alone()
    {
        Assert.Equal(["0.0.0.0/0"], _exit.Offered(OfferedRoute.Everything).Select(route => route.Told.ToString()));
        _system.HasIPv6 = true;
        Assert.Equal(["0.0.0.0/0", "::/0"], _exit.Offered(OfferedRoute.Everything).Select(route => route.Told.ToString()));
    }

    /// <summary>Says what there is of the exit node, and waits until that was followed.</summary>
    private void Tell(ExitState state)
    {
        int before = _exit.Followed;
        _exit.OnState(state);
        Assert.True(SpinWait.SpinUntil(() => _exit.Followed > before, Patience));
    }

    private sealed class FakeSystem : IExitSystem, IExitRouting
    {
        public List<ExitPlan> Plans { get; } = [];

        public bool IsEnded { get; private set; }

        public bool HasIPv6 { get; set; }

        public string? Problem => null;

        public void Check(bool offers, bool takes, string? tunnelInterface)
        {
        }

        public bool ReachesInternet(bool isIPv4) => isIPv4 || HasIPv6;

        public void Recover(IForwardingRecordFile file, bool keepsKillSwitch, TunnelLog log)
        {
        }

        public IExitRouting Create(string tunnelInterface, IForwardingRecordFile file, TunnelLog log) => this;

        public void Set(ExitPlan plan) => Plans.Add(plan);

        public void Dispose() => IsEnded = true;
    }
}
