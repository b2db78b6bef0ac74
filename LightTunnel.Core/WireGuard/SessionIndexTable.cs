using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace LightTunnel.WireGuard;

/// <summary>
/// The 32 bit indexes by which peers name this node's sessions and pending handshakes: random, so that an outsider cannot guess one.
/// Sessions are looked up by any thread without a lock; pending handshakes only by the control loop.
/// </summary>
internal sealed class SessionIndexTable
{
    private readonly ConcurrentDictionary<uint, KeyPair> _sessions = new();
    private readonly Dictionary<uint, Link> _handshakes = [];

    /// <summary>Sessions that can be named; for tests.</summary>
    public int Sessions => _sessions.Count;

    /// <summary>Handshakes that can be named; for tests.</summary>
    public int Handshakes => _handshakes.Count;

    /// <summary>An index that nobody has. Control loop.</summary>
    public uint NextFree()
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        while (true)
        {
            RandomNumberGenerator.Fill(bytes);
            uint index = BitConverter.ToUInt32(bytes);
            if (!_sessions.ContainsKey(index) && !_handshakes.ContainsKey(index))
                return index;
        }
    }

    public void AddHandshake(uint index, Link link) => _handshakes.Add(index, link);

    public void RemoveHandshake(uint index) => _handshakes.Remove(index);

    public bool TryFindHandshake(uint index, [NotNullWhen(true)] out Link? link) => _handshakes.TryGetValue(index, out link);

    public void AddSession(KeyPair session) => _sessions[session.LocalIndex] = session;

    /// <summary>Any thread.</summary>
    public void RemoveSession(KeyPair session) => _sessions.TryRemove(session.LocalIndex, out _);

    /// <summary>Any thread; allocates nothing.</summary>
    public bool TryFindSession(uint index, [NotNullWhen(true)] out KeyPair? session) => _sessions.TryGetValue(index, out session);
}
