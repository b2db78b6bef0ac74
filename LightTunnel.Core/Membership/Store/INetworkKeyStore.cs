using LightTunnel.WireGuard;

namespace LightTunnel.Membership.Store;

/// <summary>
/// Where a server's own secrets of its network last, apart from the facts that servers share: who reads those cannot join by them.
/// </summary>
internal interface INetworkKeyStore
{
    /// <summary>
    /// Keeps other keys in the place of those before, all of them or none. Does not wait; the answer may come on any thread.
    /// </summary>
    /// <param name="keys">The keys from now on.</param>
    /// <param name="done">Takes null when they are where they outlast the process and the power, otherwise why they are not.</param>
    void Keep(NetworkKeySet keys, Action<string?> done);
}
