using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.WireGuard;

namespace LightTunnel.Management;

/// <summary>Gives a machine that is a copy of another an identity of its own.</summary>
public static class IdentityReset
{
    /// <summary>The folder that is meant.</summary>
    /// <param name="name">The client's name; the machine's when null.</param>
    /// <param name="statePath">The folder; that of the name when null.</param>
    /// <exception cref="LightTunnelException">There is no state.</exception>
    public static string FolderOf(string? name, string? statePath)
    {
        string folder = SettingsResolver.ClientStatePath(new ClientSettings { Name = name, StatePath = statePath });
        return File.Exists(Path.Combine(folder, StateStore.FileName)) ? folder : throw new LightTunnelException(
            LightTunnelError.NotFound, $"There is no state of a client in {folder}.",
            "Give the name under which the network was joined (-Name), or the folder (-StatePath) if that was chosen.") { Target = folder };
    }

    /// <summary>
    /// Makes a new key in place of the old one, with which go the addresses that it had. Members that are known stay known.
    /// </summary>
    /// <param name="folder">The folder of the client's state.</param>
    /// <exception cref="LightTunnelException">A tunnel uses the folder, it is a server's, or it cannot be read or written.</exception>
    public static void Run(string folder)
    {
        using StateStore store = StateStore.Open(folder);
        using NodeState state = store.Load(TunnelRole.Client) ?? throw new LightTunnelException(
            LightTunnelError.NotFound, $"There is no state of a client in {folder}.", "Give another folder.") { Target = folder };
        using PrivateKey identity = PrivateKey.Generate();
        using NodeState changed = state with
        {
            PrivateKey = Convert.FromBase64String(identity.Reveal()),
            LastAddresses = new Dictionary<PublicKey, IReadOnlyList<InterfaceAddress>>(),
        };
        store.Save(changed);
    }
}
