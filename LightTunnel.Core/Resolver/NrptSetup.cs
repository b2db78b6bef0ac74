using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Security;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using Microsoft.Win32;

namespace LightTunnel.Resolver;

/// <summary>
/// Split DNS by Windows's Name Resolution Policy Table ([MS-GPNRPT]): a rule that has the tunnel's suffixes looked up at its responder. The
/// rules that the machine's admin made are in the same key of the registry; those of a tunnel say whose they are in their comment.
/// </summary>
/// <remarks>
/// A rule outlives the process: it is written to a volatile key, which a start of the system removes, and taken away by the tunnel's next
/// start. Until then only the tunnel's own names are not found. That is why there is no rule for all names: without the tunnel nothing
/// would be found at all. The nameservers of the adapter go with it, and are asked for all names when its routes come first.
/// </remarks>
/// <param name="interfaceName">The tunnel's interface.</param>
/// <param name="record">Where what was changed is written down.</param>
/// <param name="log">The tunnel's log.</param>
[SupportedOSPlatform("windows")]
internal sealed partial class NrptSetup(string interfaceName, IRecordFile record, TunnelLog log) : IResolverSetup
{
    /// <summary>The rules of this machine.</summary>
    internal const string RulesKey = @"SYSTEM\CurrentControlSet\Services\Dnscache\Parameters\DnsPolicyConfig";

    /// <summary>The rules of a domain: where there are any, those of the machine count for nothing.</summary>
    internal const string PolicyKey = @"SOFTWARE\Policies\Microsoft\Windows NT\DNSClient\DnsPolicyConfig";

    /// <summary>So many suffixes fit into one rule.</summary>
    private const int MostInRule = 50;

    private const int UseNameservers = 8, Version = 2;
    private const uint Connect = 1, PauseContinue = 0x40, ParametersChanged = 6; // winsvc.h

    private ResolverScope? _set;

    /// <summary>Takes away the rules of a tunnel that was killed.</summary>
    public static void Recover(IRecordFile record, TunnelLog log)
    {
        if (record.Read() is not { } content)
            return;
        if (ResolverRecord.Decode(content) is { } left && Remove(left.Interface) > 0)
        {
            Refresh();
            log.Information("This tunnel was ended before it could take away its rules for names: that is done now");
        }

        record.Delete();
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> Set(ResolverScope scope)
    {
        var problems = new List<string>();
        IReadOnlyList<string> domains = RoutingDomains.Allowed(scope, problems);
        IReadOnlyList<TunnelAddress> addresses = scope.ServersAt(loopback: false);
        string servers = string.Join(';', addresses);
        if (scope.AllNames)
        {
            problems.Add(
                "Windows asks its other resolvers, too, for names outside the network. To have all of them asked in the tunnel: "
                    + $"Set-DnsClientServerAddress -InterfaceAlias '{interfaceName}' -ServerAddresses {string.Join(',', addresses)}");
        }

        if (domains.Count == 0 || servers.Length == 0)
        {
            Restore();
            return problems;
        }

        try
        {
            if (HasPolicy())
            {
                problems.Add(
                    "The network's names are not found by this machine's programs: a group policy has rules for names (NRPT), and leaves "
                        + "out this machine's own. Ask who manages this machine for one, or ask with Resolve-LtName.");
            }

            if (!scope.Equals(_set) || CountOwn() == 0)
                Write(domains, servers);
            _set = scope;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or SecurityException)
        {
            problems.Add(
                $"The network's names are not found by this machine's programs: Windows refuses the rule for them ({exception.Message}). "
                    + "Start the tunnel as an administrator, or ask with Resolve-LtName.");
        }

        return problems;
    }

    /// <inheritdoc/>
    public void Restore()
    {
        try
        {
            if (_set is null)
                return;
            Remove(interfaceName);
            Refresh();
            _set = null;
            record.Delete();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or SecurityException)
        {
            log.Warning("Windows keeps the rule for the network's names until this tunnel starts again: {Reason}", exception.Message);
        }
    }

    /// <summary>The machine's resolvers, without the tunnel's own.</summary>
    internal static IReadOnlyList<IPAddress> FindUpstreams(string interfaceName) =>
    [
        .. NetworkInterface.GetAllNetworkInterfaces()
            .Where(adapter => adapter.Name != interfaceName && adapter.OperationalStatus == OperationalStatus.Up)
            .SelectMany(adapter => adapter.GetIPProperties().DnsAddresses)
            .Where(address => address.AddressFamily == AddressFamily.InterNetwork || !address.IsIPv6SiteLocal)
            .Distinct(),
    ];

    private static string CommentOf(string interfaceName) => $"LightTunnel {interfaceName}";

    private static bool HasPolicy()
    {
        using RegistryKey? key = Registry.LocalMachine.OpenSubKey(PolicyKey);
        return key?.SubKeyCount > 0;
    }

    private static int Remove(string interfaceName)
    {
        using RegistryKey? rules = Registry.LocalMachine.OpenSubKey(RulesKey, writable: true);
        string[] own = rules is null ? [] : Own(rules, interfaceName);
        foreach (string name in own)
            rules!.DeleteSubKeyTree(name, throwOnMissingSubKey: false);
        return own.Length;
    }

    private static string[] Own(RegistryKey rules, string interfaceName) => [.. rules.GetSubKeyNames().Where(name =>
    {
        using RegistryKey? rule = rules.OpenSubKey(name);
        return rule?.GetValue("Comment") is string comment && comment == CommentOf(interfaceName);
    })];

    private static void Refresh()
    {
        _ = DnsFlushResolverCache();
        nint manager = OpenSCManager(null, null, Connect);
        nint service = manager == 0 ? 0 : OpenService(manager, "Dnscache", PauseContinue);
        if (service != 0)
        {
            // What it has read of the registry it reads again; a system where it may not be told does so by itself.
            _ = ControlService(service, ParametersChanged, out _);
            _ = CloseServiceHandle(service);
        }

        if (manager != 0)
            _ = CloseServiceHandle(manager);
    }

    private int CountOwn()
    {
        using RegistryKey? rules = Registry.LocalMachine.OpenSubKey(RulesKey);
        return rules is null ? 0 : Own(rules, interfaceName).Length;
    }

    private void Write(IReadOnlyList<string> domains, string servers)
    {
        record.Write(new ResolverRecord(interfaceName, RulesKey).Encode());
        Remove(interfaceName);
        using RegistryKey rules = Registry.LocalMachine.CreateSubKey(RulesKey, writable: true);
        foreach (string[] part in domains.Chunk(MostInRule))
        {
            using RegistryKey rule = rules.CreateSubKey(Guid.NewGuid().ToString("B"), writable: true, RegistryOptions.Volatile);
            rule.SetValue("Comment", CommentOf(interfaceName), RegistryValueKind.String);
            rule.SetValue("DisplayName", CommentOf(interfaceName), RegistryValueKind.String);
            rule.SetValue("GenericDNSServers", servers, RegistryValueKind.String);
            rule.SetValue("IPSECCARestriction", string.Empty, RegistryValueKind.String);
            rule.SetValue("Name", part.Select(domain => "." + domain).ToArray(), RegistryValueKind.MultiString);
            rule.SetValue("Version", Version, RegistryValueKind.DWord);
            rule.SetValue("ConfigOptions", UseNameservers, RegistryValueKind.DWord); // Last: without it the rule says nothing.
        }

        Refresh();
        log.Information("Windows looks up {Domains} in the tunnel", string.Join(", ", domains));
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct ServiceStatus
    {
        public uint Type, State, Accepted, ExitCode, SpecificExitCode, CheckPoint, WaitHint;
    }

    [LibraryImport("dnsapi.dll")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int DnsFlushResolverCache();

    [LibraryImport("advapi32.dll", EntryPoint = "OpenSCManagerW", StringMarshalling = StringMarshalling.Utf16)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial nint OpenSCManager(string? machine, string? database, uint access);

    [LibraryImport("advapi32.dll", EntryPoint = "OpenServiceW", StringMarshalling = StringMarshalling.Utf16)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial nint OpenService(nint manager, string name, uint access);

    [LibraryImport("advapi32.dll")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int ControlService(nint service, uint control, out ServiceStatus status);

    [LibraryImport("advapi32.dll")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int CloseServiceHandle(nint handle);
}
