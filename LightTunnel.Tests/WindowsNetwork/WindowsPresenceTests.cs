using LightTunnel.Diagnostics;
using LightTunnel.WindowsNetwork;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.WindowsNetwork;

/// <summary>What Windows is told of a tunnel, in which order, and what becomes of it when the tunnel ends or Windows refuses.</summary>
public sealed class WindowsPresenceTests : IDisposable
{
    private const string Ports = "LightTunnel server office: UDP ports", Members = "LightTunnel server office: from members";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly IdentifiedNetwork Identified = new(new Guid("aaaaaaaa-0000-0000-0000-000000000001"), NetworkCategory.Public);

    private readonly FakeFirewall _firewall = new();
    private readonly FakeNetworkList _networks = new();
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UnixEpoch);
    private readonly TunnelLog _log;

    public WindowsPresenceTests() => _log = new TunnelLog("office", _time);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _log.Dispose();

    [Fact]
    public async Task Rules_AreForThePortsOfThisProgram_AndGoWithTheTunnel()
    {
        using WindowsPresence presence = await BeginAsync();

        FirewallRule rule = Assert.Single(_firewall.Rules);
        Assert.Equal((Ports, @"C:\pwsh.exe", null), (rule.Name, rule.Program, rule.Interface));
        Assert.Equal([9000, 9001], rule.UdpPorts!);
        presence.Dispose();
        Assert.Empty(_firewall.Rules);
        await LoggedAsync("lets in UDP port 9000, 9001");
    }

    [Fact]
    public async Task AllowInbound_LetsEverythingIn_ByTheInterfaceAlone()
    {
        using WindowsPresence presence = await BeginAsync(allowInbound: true);

        FirewallRule rule = Assert.Single(_firewall.Rules, rule => rule.Name == Members);
        Assert.Equal((null, null, "lt0"), (rule.UdpPorts, rule.Program, rule.Interface));
        presence.Dispose();
        Assert.Equal(["+" + Ports, "+" + Members, "-" + Ports, "-" + Members], _firewall.Calls);
    }

    [Fact]
    public async Task RulesOfAProcessThatWasKilled_AreReplaced_AndWhatIsNotWantedAnyMoreIsGone()
    {
        _firewall.Leave(Ports);
        _firewall.Leave(Ports);
        _firewall.Leave(Members);
        _firewall.Leave("LightTunnel server home: UDP ports");

        using WindowsPresence presence = await BeginAsync();

        Assert.Equal(["-" + Ports, "-" + Ports, "-" + Members, "+" + Ports], _firewall.Calls);
        Assert.Equal(["LightTunnel server home: UDP ports", Ports], _firewall.Rules.Select(rule => rule.Name));
    }

    [Fact]
    public async Task RuleOfSomebodyElse_WithTheSameName_IsLeftAlone()
    {
        _firewall.Leave(Ports, group: string.Empty);
        using var presence = new WindowsPresence(Options(null, allowInbound: false), _firewall, _networks, _log, _time);

        presence.Begin();

        await LoggedAsync($"'{Ports}' that is not LightTunnel's. Give it another name.");
        presence.Dispose();
        Assert.Empty(_firewall.Calls);
    }

    [Theory]
    [InlineData(WindowsTrouble.AccessDenied, "a group policy, or a security program")]
    [InlineData(WindowsTrouble.NoEndpoints, "'Start-Service mpssvc'")]
    [InlineData(WindowsTrouble.NotRegistered, "no such function")]
    [InlineData(unchecked((int)0x80004005), "of which nobody knows")]
    public async Task FirewallThatRefuses_IsAWarning_AndTheNetworkStillGetsItsCategory(int result, string told)
    {
        _firewall.Failure = new IOException("of which nobody knows", result);
        _networks.Network = Identified;

        using WindowsPresence presence = await BeginAsync(NetworkCategory.Private);

        LogEntry entry = await LoggedAsync("was not told of UDP port 9000, 9001");
        Assert.Equal(LogLevel.Warning, entry.Level);
        Assert.Contains(told, entry.Message);
        await LoggedAsync("is Private");
    }

    [Theory]
    [InlineData(FirewallHindrance.GroupPolicy, "group policy")]
    [InlineData(FirewallHindrance.InboundBlocked, "AllowInboundRules")]
    internal async Task RulesThatHaveNoEffect_AreAWarningWithARemedy(FirewallHindrance hindrance, string told)
    {
        _firewall.Hindrance = hindrance;

        using WindowsPresence presence = await BeginAsync();

        Assert.Contains(told, (await LoggedAsync("does not follow the rules")).Message);
    }

    [Fact]
    public async Task FirewallThatHangs_KeepsNoTunnelFromStopping_AndNothingIsAddedAfterwards()
    {
        var hanging = new TaskCompletionSource();
        _firewall.Adding = hanging.Task;
        var presence = new WindowsPresence(Options(null, allowInbound: true), _firewall, _networks, _log, _time);
        presence.Begin();

        presence.Dispose();
        hanging.SetResult();

        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Token);
        deadline.CancelAfter(Patience);
        while (_firewall.Rules.Count > 0)
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, deadline.Token);
        Assert.DoesNotContain("+" + Members, _firewall.Calls);
        presence.Dispose();
    }

    [Fact]
    public async Task Network_GetsItsCategory_AsSoonAsWindowsHasIdentifiedIt()
    {
        using WindowsPresence presence = await BeginAsync(NetworkCategory.Private);
        await LookAsync(2);
        _networks.Network = Identified;
        await LoggedAsync("The network of lt0 is Private");

        Assert.Equal(NetworkCategory.Private, _networks.Network.Category);
    }

    [Fact]
    public async Task CategoryThatAPersonChose_Stays_AndAnotherNetworkGetsOne()
    {
        _networks.Network = Identified;
        using WindowsPresence presence = await BeginAsync(NetworkCategory.Private);
        await LoggedAsync("is Private");

        _networks.Network = Identified with { Category = NetworkCategory.Public };
        await LookAsync(3);
        Assert.Equal(NetworkCategory.Public, _networks.Network.Category);

        _networks.Network = new IdentifiedNetwork(Guid.NewGuid(), NetworkCategory.Public);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Token);
        deadline.CancelAfter(Patience);
        while (_networks.Network.Category != NetworkCategory.Private)
            await AdvanceAsync(deadline.Token);
    }

    [Fact]
    public async Task NetworkOfADomain_StaysOne()
    {
        _networks.Network = Identified with { Category = null };

        using WindowsPresence presence = await BeginAsync(NetworkCategory.Public);

        await LoggedAsync("is a domain's");
        Assert.Null(_networks.Network.Category);
    }

    [Fact]
    public async Task NetworkThatGetsNoCategory_IsToldOnce_AndTriedAgain()
    {
        _networks.Network = Identified;
        _networks.Failure = new UnauthorizedAccessException();
        using WindowsPresence presence = await BeginAsync(NetworkCategory.Private);

        LogEntry entry = await LoggedAsync("is not Private: Windows denies it");
        Assert.True(entry.Time.ToUniversalTime() - DateTimeOffset.UnixEpoch >= WindowsPresence.Patience);
        await LookAsync(3);
        Assert.Single(_log.Read(), one => one.Level == LogLevel.Warning);
        _networks.Failure = null;
        await LoggedAsync("The network of lt0 is Private");
    }

    [Fact]
    public async Task CategoryNotAskedFor_IsNotLookedFor()
    {
        using WindowsPresence presence = await BeginAsync();

        presence.Dispose();

        Assert.Equal(0, _networks.Looked.CurrentCount);
    }

    [Theory]
    [InlineData(NetworkCategory.Public, null, false, true)]
    [InlineData(NetworkCategory.Public, NetworkCategory.Private, false, true)] // It was asked for, and Windows has not followed.
    [InlineData(NetworkCategory.Public, NetworkCategory.Public, false, false)] // As a person wants it.
    [InlineData(NetworkCategory.Public, null, true, false)] // A rule lets members in all the same.
    [InlineData(NetworkCategory.Private, null, false, false)]
    [InlineData(null, null, false, false)] // A domain's.
    internal void PublicNetwork_IsAProblem_UnlessItIsWantedSo(
        NetworkCategory? category, NetworkCategory? wanted, bool allowInbound, bool isProblem)
    {
        _networks.Network = Identified with { Category = category };
        using var presence = new WindowsPresence(Options(wanted, allowInbound), _firewall, _networks, _log, _time);

        IReadOnlyList<(string Message, string RecommendedAction)> found = presence.FindProblems();

        if (!isProblem)
        {
            Assert.Empty(found);
            return;
        }

        Assert.Contains("'lt0' for a public one", Assert.Single(found).Message, StringComparison.Ordinal);
        Assert.Contains("-NetworkCategory Private", found[0].RecommendedAction, StringComparison.Ordinal);
    }

    [Fact]
    public void NetworkNotIdentified_AndFirewallThatDoesNotTell_AreNoProblems()
    {
        _firewall.Untold = true;
        using var presence = new WindowsPresence(Options(null, allowInbound: false), _firewall, _networks, _log, _time);

        Assert.Empty(presence.FindProblems());
    }

    [Fact]
    public void FirewallThatDoesNotTell_HidesNoOtherProblem()
    {
        _firewall.Untold = true;
        _networks.Network = Identified;
        using var presence = new WindowsPresence(Options(null, allowInbound: false), _firewall, _networks, _log, _time);

        Assert.Single(presence.FindProblems());
    }

    private PresenceOptions Options(NetworkCategory? category, bool allowInbound) =>
        new("server office", "lt0", _networks.Adapter, [9000, 9001], @"C:\pwsh.exe", category, allowInbound);

    private async Task<WindowsPresence> BeginAsync(NetworkCategory? category = null, bool allowInbound = false)
    {
        var presence = new WindowsPresence(Options(category, allowInbound), _firewall, _networks, _log, _time);
        presence.Begin();
        await _firewall.Told.Task.WaitAsync(Patience, Token);
        return presence;
    }

    /// <summary>Lets time pass until the network was looked for so often.</summary>
    private async Task LookAsync(int times)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Token);
        deadline.CancelAfter(Patience);
        for (int i = 0; i < times; i++)
        {
            while (!await _networks.Looked.WaitAsync(0, deadline.Token))
                await AdvanceAsync(deadline.Token);
        }
    }

    /// <summary>Lets time pass until something is logged.</summary>
    private async Task<LogEntry> LoggedAsync(string text)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Token);
        deadline.CancelAfter(Patience);
        while (true)
        {
            if (_log.Read().FirstOrDefault(entry => entry.Message.Contains(text, StringComparison.Ordinal)) is { } found)
                return found;
            await AdvanceAsync(deadline.Token);
        }
    }

    private async Task AdvanceAsync(CancellationToken token)
    {
        _time.Advance(WindowsPresence.Soon);
        await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, token);
    }
}
