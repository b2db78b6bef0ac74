using System.Runtime.Versioning;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Tun;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Tun;

/// <summary>What others do to a real interface is heard of and set again, in a network namespace of the test's own.</summary>
[SupportedOSPlatform("linux")]
public sealed class LinuxInterfaceSettingsTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static int _counter;

    private readonly string _namespace = $"ltxset{Environment.ProcessId}x{Interlocked.Increment(ref _counter)}";

    public LinuxInterfaceSettingsTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root");
        NetworkNamespace.Create(_namespace);
    }

    public void Dispose() => NetworkNamespace.Delete(_namespace);

    [Theory]
    [InlineData("it is down", "link set ltx7 down")]
    [InlineData("address fd00::1/64 is gone", "link set ltx7 down", "link set ltx7 up")]
    [InlineData("address 10.0.0.1/24 is gone", "address flush dev ltx7")]
    [InlineData("address 10.0.0.1/24 is gone", "address delete 10.0.0.1/24 dev ltx7")]
    [InlineData("address fd00::1/64 is gone", "-6 address flush dev ltx7")]
    [InlineData("its MTU is 1300 instead of 1380", "link set ltx7 mtu 1300")]
    [InlineData("address fd00::1/64 is gone", "link set ltx7 mtu 1200")]
    [InlineData("10.0.0.0/24 is not routed into it", "route delete 10.0.0.0/24")]
    [InlineData("10.0.0.0/24 is not routed into it", "route flush dev ltx7")]
    [InlineData("fd00::/64 is not routed into it", "-6 route delete fd00::/64")]
    public void Check_WhatOthersDid_IsHeardNamedAndPutRight(string named, params string[] commands)
    {
        using LinuxTun tun = Create();
        string[] before = Look();
        using var heard = new SemaphoreSlim(0);
        tun.Watch(() => heard.Release());
        Assert.Empty(tun.Check(restore: false).Differences);

        foreach (string command in commands)
            Ip(command.Split(' '));
        InterfaceCheck found = CheckUntil(tun, heard, found => found.Differences.Contains(named));
        Assert.Null(found.Failure);
        Assert.Contains(named, tun.Check(restore: true).Differences);

        Assert.Empty(tun.Check(restore: false).Differences);
        Assert.Equal(before, Look());
    }

    [Fact]
    public void Check_WhatOthersAdded_IsTheirs()
    {
        using LinuxTun tun = Create();
        Ip("address", "add", "172.31.0.1/24", "dev", "ltx7");
        Ip("route", "add", "192.0.2.0/24", "dev", "ltx7");
        Ip("link", "add", "other", "up", "type", "veth", "peer", "name", "far");
        Ip("link", "set", "far", "up");
        Ip("link", "set", "other", "up");
        Ip("route", "add", "10.0.0.0/26", "dev", "other");

        Assert.Empty(tun.Check(restore: true).Differences);
        Assert.Contains("172.31.0.1/24", Ip("address", "show", "ltx7"), StringComparison.Ordinal);
        Assert.Contains("10.0.0.0/26 dev other", Ip("route"), StringComparison.Ordinal);
    }

    [Fact]
    public void Check_NetworkOfAnotherInterface_IsSaidAndNotTaken()
    {
        using LinuxTun tun = Create();
        Ip("link", "add", "other", "up", "type", "veth", "peer", "name", "far");
        Ip("link", "set", "far", "up");
        Ip("link", "set", "other", "up");
        Ip("address", "add", "10.0.0.77/24", "dev", "other");
        Ip("route", "delete", "10.0.0.0/24", "dev", "ltx7");

        tun.Check(restore: true);

        Assert.Contains("10.0.0.0/24 dev other", Ip("route"), StringComparison.Ordinal);
    }

    [Fact]
    public void Check_IPv6SwitchedOffMeanwhile_SaysSoAndKeepsIPv4()
    {
        using LinuxTun tun = Create();
        NetworkNamespace.Execute(_namespace, "sysctl", "-qw", "net.ipv6.conf.ltx7.disable_ipv6=1");

        InterfaceCheck found = tun.Check(restore: true);

        Assert.Contains("fd00::1/64 is gone", Assert.Single(found.Differences), StringComparison.Ordinal);
        Assert.Contains("IPv6 is switched off", found.Failure, StringComparison.Ordinal);
        Assert.Contains("10.0.0.1/24", Ip("address", "show", "ltx7"), StringComparison.Ordinal);
        NetworkNamespace.Execute(_namespace, "sysctl", "-qw", "net.ipv6.conf.ltx7.disable_ipv6=0");
        Assert.Null(tun.Check(restore: true).Failure);
        Assert.Contains("fd00::1/64", Ip("address", "show", "ltx7"), StringComparison.Ordinal);
    }

    [Fact]
    public void Check_InterfaceInAnotherNamespace_IsNotTouched()
    {
        string other = _namespace + "b";
        NetworkNamespace.Create(other);
        try
        {
            using LinuxTun tun = Create();
            Ip("link", "set", "ltx7", "netns", other);
            Assert.Empty(tun.Check(restore: true).Differences);
        }
        finally
        {
            NetworkNamespace.Delete(other);
        }
    }

    private static InterfaceCheck CheckUntil(LinuxTun tun, SemaphoreSlim heard, Func<InterfaceCheck, bool> condition)
    {
        while (heard.Wait(Patience, TestContext.Current.CancellationToken))
        {
            InterfaceCheck found = tun.Check(restore: false);
            if (condition(found))
                return found;
        }

        throw new TimeoutException("The change was not heard of.");
    }

    private LinuxTun Create()
    {
        LinuxTun tun = NetworkNamespace.Run(_namespace, () => LinuxTun.Create("ltx7"));
        tun.Configure([Interface("10.0.0.1/24"), Interface("fd00::1/64")], 1380);
        return tun;
    }

    /// <summary>
    /// Addresses, MTU and routes of the interface, as the system shows them, but for the address that it invents when IPv6 comes back.
    /// </summary>
    private string[] Look() =>
    [
        .. new[] { Ip("-o", "address", "show", "ltx7"), Ip("route", "show", "dev", "ltx7"), Ip("-6", "route", "show", "fd00::/64") }
            .SelectMany(shown => shown.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            .Where(line => !line.Contains("fe80::", StringComparison.Ordinal)).Order(StringComparer.Ordinal),
        Ip("link", "show", "ltx7").Contains("mtu 1380", StringComparison.Ordinal) ? "1380" : "another MTU",
    ];

    private string Ip(params string[] arguments) => NetworkNamespace.Ip(["-n", _namespace, .. arguments]);
}
