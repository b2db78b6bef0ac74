using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace LightTunnel.WindowsNetwork;

/// <summary>Windows Firewall with Advanced Security (netfw.h).</summary>
[SupportedOSPlatform("windows")]
internal sealed class WindowsFirewall : IFirewall
{
    private const int DirectionIn = 1, ActionAllow = 1, ProtocolUdp = 17, ProtocolAny = 256, AllProfiles = 0x7FFFFFFF;
    private const int FileNotFound = unchecked((int)0x80070002);

    private static readonly Guid PolicyClass = new("E2B3C97F-6AE1-41AC-817A-F6F92166D7DD");
    private static readonly Guid RuleClass = new("2C5BC43E-3369-4C33-AB0C-BE9469677AF4");

    /// <inheritdoc/>
    public FirewallHindrance FindHindrance()
    {
        using Owned<INetFwPolicy2> policy = Policy();
        return (FirewallHindrance)policy.Value.GetLocalPolicyModifyState();
    }

    /// <inheritdoc/>
    public string? FindGroup(string name)
    {
        using Owned<INetFwPolicy2> policy = Policy();
        using var rules = new Owned<INetFwRules>(policy.Value.GetRules());
        int result = rules.Value.Item(name, out INetFwRule? found);
        if (result == FileNotFound)
            return null;
        Marshal.ThrowExceptionForHR(result);
        if (found is null)
            return string.Empty;
        using var rule = new Owned<INetFwRule>(found);
        return rule.Value.GetGrouping() ?? string.Empty;
    }

    /// <inheritdoc/>
    public void Remove(string name)
    {
        using Owned<INetFwPolicy2> policy = Policy();
        using var rules = new Owned<INetFwRules>(policy.Value.GetRules());
        rules.Value.Remove(name);
    }

    /// <inheritdoc/>
    public void Add(FirewallRule rule)
    {
        using Owned<INetFwRule> owned = ComObjects.Create<INetFwRule>(RuleClass);
        INetFwRule made = owned.Value;
        made.PutName(rule.Name);
        made.PutDescription(rule.Description);
        made.PutGrouping(FirewallRule.Group);
        // Each value is checked as it is set, and ports go with a protocol that has some.
        made.PutProtocol(rule.UdpPorts is null ? ProtocolAny : ProtocolUdp);
        if (rule.UdpPorts is { } ports)
            made.PutLocalPorts(string.Join(',', ports.Select(port => port.ToString(CultureInfo.InvariantCulture))));
        if (rule.Program is { } program)
            made.PutApplicationName(program);
        if (rule.Interface is { } name)
            PutInterface(made, name);
        made.PutDirection(DirectionIn);
        made.PutProfiles(AllProfiles);
        made.PutAction(ActionAllow);
        made.PutEnabled(true);
        using Owned<INetFwPolicy2> policy = Policy();
        using var rules = new Owned<INetFwRules>(policy.Value.GetRules());
        rules.Value.Add(made);
    }

    private static Owned<INetFwPolicy2> Policy() => ComObjects.Create<INetFwPolicy2>(PolicyClass);

    private static void PutInterface(INetFwRule rule, string name)
    {
        VariantArray names = ComObjects.ArrayOf(name);
        try
        {
            rule.PutInterfaces(names);
        }
        finally
        {
            ComObjects.Free(ref names);
        }
    }
}
