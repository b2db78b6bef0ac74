using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.WindowsNetwork;
using LightTunnel.WireGuard;

namespace LightTunnel.Configuration;

/// <summary>A secret as text that neither debuggers, logs nor string interpolation show.</summary>
/// <param name="value">The secret.</param>
public sealed class Secret(string value)
{
    /// <summary>The secret itself.</summary>
    public string Reveal() => value;

    /// <summary>Never the secret.</summary>
    public override string ToString() => "(secret)";
}

/// <summary>
/// What a person wrote, as parameters or in a configuration file: nothing checked yet, null where nothing was said.
/// Parameters win over the file (<c>with</c>-merge), defaults come last.
/// </summary>
public abstract record TunnelSettings
{
    /// <summary>The tunnel's name on this machine and the node's name in the directory; the host's name when null.</summary>
    public string? Name { get; init; }

    /// <summary>UDP port to listen on; 0 lets the system choose.</summary>
    public int? ListenPort { get; init; }

    /// <summary>MTU of the tunnel interface, bytes.</summary>
    public int? Mtu { get; init; }

    /// <summary>Which cipher suites are used with nodes that know more than WireGuard's.</summary>
    public CipherPolicy? Cipher { get; init; }

    /// <summary>Name of the tunnel interface.</summary>
    public string? InterfaceName { get; init; }

    /// <summary>What Windows is to take the network for.</summary>
    public NetworkCategory? NetworkCategory { get; init; }

    /// <summary>Whether the Windows Firewall is to let members reach everything that listens on this machine.</summary>
    public bool? AllowInbound { get; init; }

    /// <summary>Pairs of threads that packets are worked on by.</summary>
    public int? Queues { get; init; }

    /// <summary>Hands every packet over by itself, as a system without offloads does.</summary>
    public bool? DisableOffload { get; init; }

    /// <summary>Networks behind this node that it offers to the others, "192.168.7.0/24".</summary>
    public IReadOnlyList<string>? Route { get; init; }

    /// <summary>
    /// What the networks of <see cref="Route"/> are to the others, in the same order, "10.99.7.0/24"; as they are when null.
    /// </summary>
    public IReadOnlyList<string>? As { get; init; }

    /// <summary>Whether what goes on into the networks behind this node keeps its source addresses.</summary>
    public bool? NoSnat { get; init; }

    /// <summary>Prefixes within which networks behind other nodes are taken, "192.168.0.0/16", or "*" for all.</summary>
    public IReadOnlyList<string>? AcceptRoute { get; init; }

    /// <summary>Takes the named ones also where they are in the way of something.</summary>
    public bool? ForceRoute { get; init; }

    /// <summary>Whether this node offers itself to the others as an exit node.</summary>
    public bool? OfferExitNode { get; init; }

    /// <summary>The member that all traffic goes out by, by name, address or key; "none" for no member.</summary>
    public string? ExitNode { get; init; }

    /// <summary>Whether the local network is reached beside the exit node.</summary>
    public bool? AllowLan { get; init; }

    /// <summary>Whether nothing leaves this machine beside the tunnel, also while that is down.</summary>
    public bool? KillSwitch { get; init; }

    /// <summary>Folder for identity and leases.</summary>
    public string? StatePath { get; init; }

    /// <summary>File to log to.</summary>
    public string? LogPath { get; init; }

    /// <summary>Least important level that is logged.</summary>
    public LogLevel? LogLevel { get; init; }

    /// <summary>The network's key, 44 characters of base64.</summary>
    public Secret? NetworkKey { get; init; }
}

/// <summary>What a person wrote about a server.</summary>
public sealed record ServerSettings : TunnelSettings
{
    /// <summary>The server's own addresses with the network's prefix length, "10.0.0.1/24"; at most one of each family.</summary>
    public IReadOnlyList<string>? Address { get; init; }

    /// <summary>"host:port" at which clients reach the server.</summary>
    public IReadOnlyList<string>? Endpoint { get; init; }

    /// <summary>The second UDP port, at which the server looks at its clients' NATs; 0 for none.</summary>
    public int? ObserverPort { get; init; }

    /// <summary>Most clients that may be online at once.</summary>
    public int? MaxClients { get; init; }

    /// <summary>Clients may talk to the server only.</summary>
    public bool? ClientIsolation { get; init; }

    /// <summary>The network's key is enough to become a member, without an invitation that the server knows.</summary>
    public bool? AllowKeyOnly { get; init; }

    /// <summary>An admin approves who becomes a member.</summary>
    public bool? RequireApproval { get; init; }

    /// <summary>Groups whose members' networks need no approval, "gateways", or "gateways=192.168.0.0/16".</summary>
    public IReadOnlyList<string>? AutoApproveRoute { get; init; }

    /// <summary>How long a membership lasts that its member does not renew by being here, "90d".</summary>
    public string? MemberExpiry { get; init; }

    /// <summary>Members are signed by an admin's key that the server does not have, and take signed ones only.</summary>
    public bool? RequireSignedMembers { get; init; }

    /// <summary>The public halves of admins' signing keys, 44 characters of base64.</summary>
    public IReadOnlyList<string>? SigningKey { get; init; }
}

/// <summary>What a person wrote about joining a network.</summary>
public sealed record ClientSettings : TunnelSettings
{
    /// <summary>The invitation's one line; excludes Server, ServerKey and NetworkKey.</summary>
    public Secret? Invitation { get; init; }

    /// <summary>What of an invitation admits this node, beside server and keys that were taken from it before.</summary>
    public Secret? InvitationSecret { get; init; }

    /// <summary>"host:port" of the server.</summary>
    public IReadOnlyList<string>? Server { get; init; }

    /// <summary>The server's public key, 44 characters of base64.</summary>
    public string? ServerKey { get; init; }

    /// <summary>Tunnel addresses to ask for, "10.0.0.20"; at most one of each family.</summary>
    public IReadOnlyList<string>? Address { get; init; }

    /// <summary>Prefixes that the server may give, "10.0.0.0/24", besides those of the invitation.</summary>
    public IReadOnlyList<string>? AcceptPrefix { get; init; }

    /// <summary>"address:port" at which other members reach this one, besides those that are found without being told.</summary>
    public IReadOnlyList<string>? AdvertiseEndpoint { get; init; }

    /// <summary>Whether sealed datagrams of other members are passed on.</summary>
    public bool? AllowRelay { get; init; }

    /// <summary>Which paths to other members may be used.</summary>
    public PathPolicy? PathPolicy { get; init; }

    /// <summary>Whether the router is asked to forward a port.</summary>
    public bool? PortMapping { get; init; }

    /// <summary>What becomes of a member whose key is another than the one that is known.</summary>
    public KeyChangePolicy? KeyChange { get; init; }

    /// <summary>Whether only members are taken that an admin has signed.</summary>
    public bool? RequireSignedMembers { get; init; }

    /// <summary>The public halves of admins' signing keys, 44 characters of base64.</summary>
    public IReadOnlyList<string>? SigningKey { get; init; }
}
