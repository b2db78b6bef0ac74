using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Resolver;
using LightTunnel.Timing;
using Microsoft.Win32;
using Xunit;

namespace LightTunnel.Tests.Resolver;

/// <summary>
/// Rules of Windows's Name Resolution Policy Table, in the registry of a Windows machine: WindowsUnitTests runs them there.
/// </summary>
[SupportedOSPlatform("windows")]
public sealed class NrptSetupTests : IDisposable
{
    private static readonly string[] AdminsSuffixes = [".corp.example"];

    private readonly TunnelLog _log = new("test", SystemClock.Instance);
    private readonly Record _record = new();

    public NrptSetupTests()
    {
        Assert.SkipUnless(OperatingSystem.IsWindows(), "is about Windows.");
        using RegistryKey rules = Registry.LocalMachine.CreateSubKey(NrptSetup.RulesKey);
        using RegistryKey admins = rules.CreateSubKey("{0b9c5c1e-6d0a-4a0b-8a0e-5f3a4f1f8a01}");
        admins.SetValue("Comment", "LightTunnel office2");
        admins.SetValue("Name", AdminsSuffixes, RegistryValueKind.MultiString);
    }

    private static ResolverScope Scope { get; } = new("office", [Address("10.0.0.5"), Address("fd00::5"), LoopbackServers.At(0)],
        ["office.lt", "0.10.in-addr.arpa"], AllNames: false);

    public void Dispose()
    {
        _log.Dispose();
        if (OperatingSystem.IsWindows())
            Registry.LocalMachine.DeleteSubKeyTree(NrptSetup.RulesKey);
    }

    [Fact]
    public void Rule_NamesTheSuffixesAndTheResponder_AndGoes_WhileOthersStay()
    {
        string[] before = Rules();
        var setup = new NrptSetup("office", _record, _log);
        Assert.Empty(setup.Set(Scope));
        Assert.Empty(setup.Set(Scope));
        Assert.Equal(
            [.. before, "LightTunnel office: .office.lt .0.10.in-addr.arpa -> 10.0.0.5;fd00::5 (8, 2)"], Rules());
        Assert.Empty(setup.Set(Scope with { Domains = [.. Enumerable.Range(0, 60).Select(i => $"n{i}.lt")] }));
        Assert.Equal(3, Rules().Length);
        Assert.Single(setup.Set(Scope with { AllNames = true }));
        Assert.Equal(2, Rules().Length);
        setup.Restore();
        Assert.Equal(before, Rules());
        Assert.Null(_record.Content);
    }

    [Fact]
    public void KilledTunnel_HasItsRuleTakenAwayByItsNextStart()
    {
        string[] before = Rules();
        Assert.Empty(new NrptSetup("office", _record, _log).Set(Scope));
        Assert.NotEqual(before, Rules());
        new WindowsResolverSystem().Recover(_record, _log);
        Assert.Equal(before, Rules());
        Assert.Null(_record.Content);
    }

    [Fact]
    public void RulesOfAGroupPolicy_AreSaid()
    {
        using (Registry.LocalMachine.CreateSubKey(NrptSetup.PolicyKey + @"\{0b9c5c1e-6d0a-4a0b-8a0e-5f3a4f1f8a02}"))
            Assert.Contains("group policy", Assert.Single(new NrptSetup("office", _record, _log).Set(Scope)), StringComparison.Ordinal);
        Registry.LocalMachine.DeleteSubKeyTree(NrptSetup.PolicyKey);
    }

    private static TunnelAddress Address(string text) =>
        TunnelAddress.TryParse(text, out TunnelAddress address) ? address : throw new ArgumentException(text);

    private static string[] Rules()
    {
        using RegistryKey rules = Registry.LocalMachine.OpenSubKey(NrptSetup.RulesKey)!;
        return [.. rules.GetSubKeyNames().Select(name =>
        {
            using RegistryKey rule = rules.OpenSubKey(name)!;
            return $"{rule.GetValue("Comment")}: {string.Join(' ', (string[])rule.GetValue("Name")!)} -> "
                + $"{rule.GetValue("GenericDNSServers")} ({rule.GetValue("ConfigOptions")}, {rule.GetValue("Version")})";
        }).Order(StringComparer.Ordinal)];
    }

    private sealed class Record : IRecordFile
    {
        public byte[]? Content { get; private set; }

        public byte[]? Read() => Content;

        public void Write(ReadOnlySpan<byte> content) => Content = content.ToArray();

        public void Delete() => Content = null;
    }
}
