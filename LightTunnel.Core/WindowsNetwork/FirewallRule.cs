namespace LightTunnel.WindowsNetwork;

/// <summary>A rule of the Windows Firewall that lets something in, in every profile. What is null is not asked of a packet.</summary>
/// <param name="Name">Its name, by which it is found again.</param>
/// <param name="Description">What it is for.</param>
/// <param name="UdpPorts">The local UDP ports; null lets every protocol in.</param>
/// <param name="Program">The full path of the program that receives.</param>
/// <param name="Interface">The name of the interface that the packet comes in by.</param>
internal sealed record FirewallRule(
    string Name, string Description, IReadOnlyList<int>? UdpPorts = null, string? Program = null, string? Interface = null)
{
    /// <summary>What all of these rules are shown under, and known by as this module's.</summary>
    public const string Group = "LightTunnel";
}
