using System.Text;
using LightTunnel.Diagnostics;
using LightTunnel.Forwarding;
using Xunit;

namespace LightTunnel.Tests.Forwarding;

/// <summary>What is written down before a setting is changed, and what is read of it: it ends up in a path that root writes to.</summary>
public sealed class ForwardingRecordTests
{
    private static readonly ForwardingRecord Record = new(
        "boot net:[1]", "lt0",
        [
            new SettingClaim("net/ipv6/conf/eth0/accept_ra", "1", "2"), new SettingClaim("net/ipv6/conf/all/forwarding", "0", "1"),
            new SettingClaim("net/ipv4/conf/eth0.100/forwarding", "0", "1"), new SettingClaim("net/ipv4/conf/all/forwarding", "0", "0"),
        ]);

    [Fact]
    public void Record_IsReadAsItWasWritten()
    {
        ForwardingRecord read = ForwardingRecord.Decode(Record.Encode())!;
        Assert.Equal((Record.Lifetime, Record.Interface), (read.Lifetime, read.Interface));
        Assert.Equal(Record.Claims, read.Claims);
        Assert.Equal([false, false, true, false], Record.Claims.Select(claim => claim.OpensInterface));
        Assert.Equal([false, true, false, false], Record.Claims.Select(claim => claim.OpensFamily));
        Assert.Equal([false, false, false, true], Record.Claims.Select(claim => claim.IsCondition));
    }

    [Theory]
    [InlineData("net/ipv4/conf/../forwarding 0 1")]
    [InlineData("net/ipv4/conf/eth0/../../../../kernel/core_pattern 0 1")]
    [InlineData("kernel/core_pattern 0 1")]
    [InlineData("net/ipv4/conf/eth0/send_redirects 0 1")]
    [InlineData("net/ipv4/conf/eth0/forwarding 0 |/tmp/x")]
    [InlineData("net/ipv4/conf/eth0/forwarding 0")]
    [InlineData("net/ipv4/conf/eth0\"; flush ruleset/forwarding 0 1")]
    [InlineData("/net/ipv4/conf/eth0/forwarding 0 1")]
    public void Claim_OfAnotherPathOrValue_IsRefused_AndSoIsTheWholeRecord(string text)
    {
        Assert.False(SettingClaim.TryParse(text, out _));
        Assert.Null(ForwardingRecord.Decode([.. Record.Encode(), .. Encoding.UTF8.GetBytes(text + "\n")]));
    }

    [Fact]
    public void HostileBytes_AreNoRecord_AndNoEvents()
    {
        var random = new Random(Fuzz.Seed(5));
        byte[] good = Record.Encode();
        for (int i = 0; i < Fuzz.Count(5_000); i++)
        {
            byte[] bytes = [.. good];
            for (int change = random.Next(4); change >= 0; change--)
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            bytes = bytes[..random.Next(bytes.Length + 1)];
            if (ForwardingRecord.Decode(bytes) is { } read)
                Assert.True(ForwardingRules.IsInterfaceName(read.Interface));
            if (!OperatingSystem.IsLinux())
                continue;
            ForwardingWatch.Read(bytes, isFilter: true);
            ForwardingWatch.Read(bytes, isFilter: false);
            ForwardingWatch.ReadAuthor(bytes);
        }
    }

    [Fact]
    public void RecordOfAnotherRunOfTheSystem_ChangesNothing()
    {
        var settings = new FixedSettings { ["net/ipv4/conf/eth0.100/forwarding"] = "1" };
        var file = new MemoryRecord { Content = Record.Encode() };
        using var log = new TunnelLog("test", TimeProvider.System);
        ForwardingSetup.Recover(settings, new MissingFilter(), file, log);
        Assert.Equal("1", settings["net/ipv4/conf/eth0.100/forwarding"]);
        Assert.Null(file.Content);
    }

    /// <summary>As when the packet filter did not answer at the start.</summary>
    [Fact]
    public void RecordThatWasNotPutBack_IsTheNextProcessesToPutBack()
    {
        const string Setting = "net/ipv4/conf/eth0/forwarding";
        var settings = new FixedSettings { [Setting] = "1", ["net/ipv4/conf/all/forwarding"] = "0" };
        SettingClaim[] claims = [new(Setting, "0", "1"), new("net/ipv4/conf/all/forwarding", "0", "0")];
        var file = new MemoryRecord { Content = new ForwardingRecord(settings.Lifetime(), "lt0", claims).Encode() };
        using var log = new TunnelLog("test", TimeProvider.System);
        var network = new ForwardedNetwork(Packets.TestPackets.Prefix("192.168.7.0/24"), TranslateSources: false);
        var setup = new ForwardingSetup(new ForwardingOptions("lt0", [network]), settings, new MissingFilter(), file, log);
        setup.Set(new ForwardedInterfaces(new Dictionary<string, int> { ["eth0"] = 2 }, new Dictionary<string, int>(), []));
        Assert.NotNull(file.Content);

        setup.Restore();
        Assert.Equal("0", settings[Setting]);
        Assert.Null(file.Content);
    }

    [Theory]
    [InlineData(true, "apt-get install nftables", "-NoSnat")]
    [InlineData(false, "apt-get install nftables", "net.ipv4.conf.all.forwarding=1")]
    public void WithoutTheProgram_NothingIsChanged_AndTheRemediesAreSaid(bool translates, string package, string other)
    {
        var settings = new FixedSettings
        {
            ["net/ipv4/conf/eth0/forwarding"] = "0", ["net/ipv4/conf/lt0/forwarding"] = "0", ["net/ipv4/conf/all/forwarding"] = "0",
        };
        var file = new MemoryRecord();
        using var log = new TunnelLog("test", TimeProvider.System);
        var network = new ForwardedNetwork(Packets.TestPackets.Prefix("192.168.7.0/24"), translates);
        var setup = new ForwardingSetup(new ForwardingOptions("lt0", [network]), settings, new MissingFilter(), file, log);
        var found = new ForwardedInterfaces(new Dictionary<string, int> { ["eth0"] = 2 }, new Dictionary<string, int>(), []);

        string problem = Assert.Single(setup.Set(found));

        Assert.Contains(package, problem, StringComparison.Ordinal);
        Assert.Contains(other, problem, StringComparison.Ordinal);
        Assert.Equal("0", settings["net/ipv4/conf/eth0/forwarding"]);
        Assert.Null(file.Content);

        // Somebody has made the machine a router: without translation there is nothing more to be done.
        settings["net/ipv4/conf/eth0/forwarding"] = settings["net/ipv4/conf/all/forwarding"] = "1";
        Assert.Equal(translates ? 1 : 0, setup.Set(found).Count);
    }

    [Theory]
    [InlineData("-P FORWARD DROP\n-A FORWARD -i docker0 -j ACCEPT\n", true)]
    [InlineData("-P FORWARD DROP\n-A FORWARD -i lt0 -j ACCEPT\n", false)]
    [InlineData("-P FORWARD ACCEPT\n-A FORWARD -j REJECT --reject-with icmp-host-prohibited\n", true)]
    [InlineData("-P FORWARD ACCEPT\n", false)]
    [InlineData("", false)]
    public void OlderIptables_IsUnderstood(string listed, bool drops) => Assert.Equal(drops, ForeignFilters.DropsInLegacy(listed, "lt0"));

    [Theory]
    [InlineData(1, "", "Error: JSON support not compiled-in.")]
    [InlineData(-1, "", "nft did not end within 30 s")]
    [InlineData(-1, "", "No such file or directory")]
    [InlineData(127, "", "nft: libnftables.so.1: cannot open shared object file: No such file or directory")]
    [InlineData(0, "{\"nftables\": [", "")]
    public void ListingThatFails_IsNotATableThatIsMissing(int status, string output, string error)
    {
        var exception = Assert.Throws<LightTunnelException>(() => NftProgram.ReadListed(status, output, error));
        Assert.Equal(LightTunnelError.ForwardingUnavailable, exception.Error);
        Assert.Null(NftProgram.ReadListed(1, "", "Error: No such file or directory\nlist table inet lighttunnel"));

        // What cannot be looked at is not put back, and the next start still knows of it.
        var settings = new FixedSettings { ["net/ipv4/conf/eth0.100/forwarding"] = "1" };
        byte[] record = (Record with { Lifetime = settings.Lifetime() }).Encode();
        var file = new MemoryRecord { Content = record };
        using var log = new TunnelLog("test", TimeProvider.System);
        Assert.Throws<LightTunnelException>(
            () => ForwardingSetup.Recover(settings, new FailingFilter(status, output, error), file, log));
        Assert.Equal("1", settings["net/ipv4/conf/eth0.100/forwarding"]);
        Assert.Equal(record, file.Content);
    }

    private sealed class FailingFilter(int status, string output, string error) : INftables
    {
        public bool IsInstalled => true;

        public void Apply(string commands) => throw new InvalidOperationException("Nobody knows what there is to be changed.");

        public System.Text.Json.JsonDocument? List(params IReadOnlyList<string> what) => NftProgram.ReadListed(status, output, error);
    }

    private sealed class FixedSettings : Dictionary<string, string>, IKernelSettings
    {
        public string? Read(string key) => this.GetValueOrDefault(key);

        public void Write(string key, string value) => this[key] = value;

        public IReadOnlyList<string> Interfaces(bool isIPv4) => [];

        public string Lifetime() => "another";
    }

    private sealed class MissingFilter : INftables
    {
        public bool IsInstalled => false;

        public void Apply(string commands) => throw new InvalidOperationException("It is not installed.");

        public System.Text.Json.JsonDocument? List(params IReadOnlyList<string> what) => null;
    }
}
