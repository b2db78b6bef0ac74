using System.Diagnostics;
using System.Runtime.Versioning;
using System.Text.RegularExpressions;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Resolver;
using LightTunnel.Tests.Forwarding;
using LightTunnel.Timing;
using Xunit;

namespace LightTunnel.Tests.Resolver;

/// <summary>
/// Split DNS on a machine of its own, as its programs see it (getent): by the real systemd-resolved, and by a plain /etc/resolv.conf.
/// "lt0", a cable, stands for the tunnel, and "eth0" for the way to everybody else's nameserver. Run by ResolvedMachineTests.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class ResolvedTests : IDisposable
{
    /// <summary>In the environment: the machine is there to be changed.</summary>
    public const string Permission = "LIGHTTUNNEL_RESOLVED_MACHINE";

    private const string Uplink = "192.0.2.53", Tunnel = "10.77.0.1", Laptop = "10.77.0.9", Elsewhere = "198.51.100.80";

    private readonly TunnelLog _log = GatewayNamespaces.Log();
    private readonly MemoryRecord _record = new();
    private readonly NameResponder _uplink;
    private readonly NameResponder _tunnel;

    public ResolvedTests()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable(Permission) == "1", "is run by ResolvedMachineTests.");
        Link("eth0", Uplink);
        Link("lt0", Tunnel);
        _uplink = new NameResponder(Uplink, string.Empty, Elsewhere, NameResponder.NoSuchName);
        _tunnel = new NameResponder(Tunnel, "office.lt", Laptop, NameResponder.Refused);
        Run("resolvectl", "dns", "eth0", Uplink);
    }

    private static ResolverScope Scope { get; } =
        new("lt0", [Address(Tunnel), LoopbackServers.At(0)], ["office.lt", "0.77.10.in-addr.arpa"], AllNames: false);

    public void Dispose()
    {
        _uplink?.Dispose();
        _tunnel?.Dispose();
        _log.Dispose();
        foreach (string name in (string[])["eth0", "lt0"])
            Run("sh", "-c", $"ip link delete {name} 2>/dev/null || true");
    }

    [Fact(Explicit = true)]
    public void NamesOfTheNetwork_AreAskedInTheTunnel_NoOthers_AndAllIsAsBefore()
    {
        string before = State();
        using (ITunnelResolver resolver = new LinuxResolverSystem().Create("lt0", _record, _log))
        {
            resolver.Set(Scope);
            Assert.Null(resolver.Problem);
            Assert.Equal(Laptop, Find("laptop.office.lt"));
            Assert.Equal(Elsewhere, Find("www.example.com"));
            Assert.Equal(["laptop.office.lt"], _tunnel.TakeAsked());
            Assert.Equal(["www.example.com"], _uplink.TakeAsked());
            Assert.Null(_record.Content);
            // An exit node's are all names.
            resolver.Set(Scope with { AllNames = true });
            Assert.Null(resolver.Problem);
            Assert.Contains("~.", Run("resolvectl", "domain", "lt0"), StringComparison.Ordinal);
            Assert.Contains("yes", Run("resolvectl", "default-route", "lt0"), StringComparison.Ordinal);
            resolver.Set(Scope with { Domains = [] });
            Assert.Equal(before, State());
            resolver.Set(Scope);
            string set = State();
            Assert.NotEqual(before, set);
            // It remembers what it was told of links.
            Run("systemctl", "restart", "systemd-resolved");
            resolver.Set(Scope);
            Assert.Null(resolver.Problem);
            Assert.Equal(set, State());
            Assert.Equal(Laptop, Find("laptop.office.lt"));
        }

        Assert.Equal(before, State());
        Assert.Equal(Elsewhere, Find("laptop.office.lt"));
    }

    [Fact(Explicit = true)]
    public void KilledTunnel_LeavesNothing_AsItsInterfaceGoesWithIt()
    {
        string before = State();
        Run("ip", "link", "delete", "lt0");
        string without = State();
        Link("lt0", Tunnel);
        Assert.Equal(before, State());
        Assert.Empty(Setup().Set(Scope));
        Assert.NotEqual(before, State());
        Run("ip", "link", "delete", "lt0");
        Assert.Equal(without, State());
        LinuxResolverSystem system = new();
        system.Recover(_record, _log);
        Assert.Equal(without, State());
    }

    [Fact(Explicit = true)]
    public void WhoRevertsTheLink_ThreeTimesAMinute_Wins()
    {
        ResolvedSetup setup = Setup();
        Assert.Empty(setup.Set(Scope));
        string set = State();
        for (int round = 0; round < RepairLimit.Most; round++)
        {
            Run("resolvectl", "revert", "lt0");
            Assert.Empty(setup.Set(Scope));
            Assert.Equal(set, State());
        }

        Run("resolvectl", "revert", "lt0");
        Assert.Contains("again and again", Assert.Single(setup.Set(Scope)), StringComparison.Ordinal);
        Assert.NotEqual(set, State());
    }

    [Fact(Explicit = true)]
    public void OtherNetworkNamespace_HasNothingToDoWithIt()
    {
        NetworkNamespace.Create("other");
        try
        {
            uint process = new ResolvedBus().FindProcess()!.Value;
            var places = new LinuxResolverPlaces();
            Assert.True(LinuxResolverPlaces.IsHere(process));
            Assert.False(places.IsOfTheMachineOutside);
            string before = State();
            NetworkNamespace.Run("other", () =>
            {
                Assert.False(LinuxResolverPlaces.IsHere(process));
                Assert.True(places.IsOfTheMachineOutside);
                using ITunnelResolver resolver = new LinuxResolverSystem().Create("lt0", _record, _log);
                resolver.Set(Scope);
                Assert.Contains("/etc/netns/NAME/resolv.conf", resolver.Problem, StringComparison.Ordinal);
                return true;
            });
            Assert.Equal(before, State());
        }
        finally
        {
            NetworkNamespace.Delete("other");
        }
    }

    [Theory(Explicit = true)]
    [InlineData(Uplink)]
    [InlineData("127.0.0.1")] // dnsmasq
    public void PlainFile_NamesOfOthersAreRefusedAndAskedBelow_AlsoWhenTheTunnelIsKilled(string nameserver)
    {
        using Process? dnsmasq = nameserver == Uplink ? null : Process.Start(
            "dnsmasq", ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--bind-dynamic",
                "--listen-address=127.0.0.1", $"--server={Uplink}"]);
        File.Move(ResolvConfFile.SystemPath, ResolvConfFile.SystemPath + ".stub");
        try
        {
            File.WriteAllText(ResolvConfFile.SystemPath, $"nameserver {nameserver}\n");
            GatewayNamespaces.Await(() => TryFind("www.example.net") == Elsewhere, "There is no nameserver.");
            string before = State();
            var setup = new LinuxResolverSetup(
                Setup(), new ResolvConfSetup("lt0", _record, _log, SystemClock.Instance), new ResolvedBus(), new LinuxResolverPlaces());
            _uplink.TakeAsked();
            using (new NameResponder(LoopbackServers.At(0).ToString(), "office.lt", Laptop, NameResponder.Refused))
            {
                Assert.Empty(setup.Set(Scope));
                Assert.Equal(Laptop, Find("laptop.office.lt"));
                Assert.Equal(Elsewhere, Find("www.example.com"));
                Assert.Equal(["www.example.com"], _uplink.TakeAsked());
            }

            // Nobody answers there any more: names of others are found as before, and the next start takes the rest away.
            Assert.NotEqual(before, State());
            Assert.Equal(Elsewhere, Find("www.example.org"));
            new LinuxResolverSystem().Recover(_record, _log);
            Assert.Equal(before, State());
        }
        finally
        {
            dnsmasq?.Kill();
            File.Move(ResolvConfFile.SystemPath + ".stub", ResolvConfFile.SystemPath, overwrite: true);
        }
    }

    [Fact(Explicit = true)]
    public void FileOfResolvconf_IsWrittenAnewWithEachLease_AndGetsTheNameserverAgain()
    {
        const string Generated = "/run/resolvconf/resolv.conf";
        File.Move(ResolvConfFile.SystemPath, ResolvConfFile.SystemPath + ".stub");
        try
        {
            Run("sh", "-c", "mkdir -p /run/resolvconf/interface && touch /run/resolvconf/enable-updates");
            File.CreateSymbolicLink(ResolvConfFile.SystemPath, Generated);
            Lease("example.com");
            using (new NameResponder(LoopbackServers.At(0).ToString(), "office.lt", Laptop, NameResponder.Refused))
            using (ITunnelResolver resolver = new LinuxResolverSystem().Create("lt0", _record, _log))
            {
                resolver.Set(Scope);
                Assert.Null(resolver.Problem);
                Assert.Equal(Laptop, Find("laptop.office.lt"));
                Lease("example.org");
                GatewayNamespaces.Await(
                    () => File.ReadAllText(Generated).Contains("127.76.84.1", StringComparison.Ordinal), "The nameserver stays away.");
                Assert.Contains("search example.org", File.ReadAllText(Generated), StringComparison.Ordinal);
                Assert.Equal(Laptop, Find("laptop.office.lt"));
                Assert.Equal(Elsewhere, Find("www.example.com"));
            }

            byte[] after = File.ReadAllBytes(Generated);
            Run("resolvconf", "-u");
            Assert.Equal(after, File.ReadAllBytes(Generated));
            Assert.Equal(Generated, new FileInfo(ResolvConfFile.SystemPath).LinkTarget);
        }
        finally
        {
            File.Move(ResolvConfFile.SystemPath + ".stub", ResolvConfFile.SystemPath, overwrite: true);
        }

        static void Lease(string search) =>
            Run("sh", "-c", $"printf 'nameserver {Uplink}\\nsearch {search}\\n' | resolvconf -a eth0.dhcp");
    }

    private static string TryFind(string name)
    {
        using Process process = Process.Start(new ProcessStartInfo("getent", ["ahostsv4", name]) { RedirectStandardOutput = true })!;
        string found = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return found.Split(' ')[0];
    }

    private static TunnelAddress Address(string text) =>
        TunnelAddress.TryParse(text, out TunnelAddress address) ? address : throw new ArgumentException(text);

    private static void Link(string name, string address)
    {
        Run("ip", "link", "add", name, "type", "veth", "peer", "name", name + "far");
        Run("ip", "address", "add", address + "/24", "dev", name);
        Run("ip", "link", "set", name + "far", "up");
        Run("ip", "link", "set", name, "up");
    }

    private static string Run(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)}: {error.GetAwaiter().GetResult()}");
        return output;
    }

    private static string Find(string name) => Run("getent", "ahostsv4", name).Split(' ')[0];

    /// <summary>All that the machine's resolver is told, and the files that say whom to ask.</summary>
    private static string State() => Regex.Replace(
        string.Join('\n', Run("resolvectl", "dns"), Run("resolvectl", "domain"), Run("resolvectl", "default-route"),
            Run("resolvectl", "dnssec"), Run("resolvectl", "dnsovertls"), Run("resolvectl", "llmnr"),
            File.ReadAllText(ResolvConfFile.SystemPath)),
        "Link [0-9]+", "Link"); // Which has another number each time.

    private ResolvedSetup Setup() => new("lt0", new ResolvedBus(), _log, SystemClock.Instance);
}
