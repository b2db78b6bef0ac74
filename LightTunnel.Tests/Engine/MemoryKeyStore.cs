using LightTunnel.Membership.Store;
using LightTunnel.WireGuard;

namespace LightTunnel.Tests.Engine;

/// <summary>Keeps the keys of a network over restarts of a simulated node: its state file.</summary>
internal sealed class MemoryKeyStore(NetworkKeySet keys) : INetworkKeyStore
{
    private NetworkKeySet _keys = Copy(keys);

    /// <summary>What is kept at present.</summary>
    public NetworkKeySet Keys => _keys;

    /// <summary>Why nothing can be kept at present; null when it can.</summary>
    public string? Failure { get; set; }

    /// <summary>True when nobody is told that something was kept: as if the power went at that moment.</summary>
    public bool LosesAnswers { get; set; }

    /// <summary>How often something was kept.</summary>
    public int Count { get; private set; }

    /// <summary>The keys as a node reads them at its start: its own copy.</summary>
    public NetworkKeySet Load() => Copy(_keys);

    /// <summary>What was kept before is there again.</summary>
    public void Restore(NetworkKeySet backup) => _keys = Copy(backup);

    /// <inheritdoc/>
    public void Keep(NetworkKeySet keys, Action<string?> done)
    {
        if (Failure is null)
        {
            _keys = Copy(keys);
            Count++;
        }

        if (!LosesAnswers)
            done(Failure);
    }

    private static NetworkKeySet Copy(NetworkKeySet keys) => keys with
    {
        Key = [.. keys.Key],
        Former = [.. keys.Former.Select(former => former with { Key = [.. former.Key] })],
    };
}
