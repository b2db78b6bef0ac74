using System.Net;
using LightTunnel.Diagnostics;

namespace LightTunnel.Resolver;

/// <summary>
/// Has this machine look up a tunnel's names at the tunnel's responder, and no others, by one means of the system. It blocks, and is for
/// one thread at a time.
/// </summary>
internal interface IResolverSetup
{
    /// <summary>
    /// Sets what is missing; called again when the names are others, and whenever somebody may have changed the system. Puts back what was
    /// set when the scope has no names.
    /// </summary>
    /// <returns>What keeps names from being found, each a sentence with what to do about it; none when all is well.</returns>
    IReadOnlyList<string> Set(ResolverScope scope);

    /// <summary>Puts back what was changed, and nothing else.</summary>
    void Restore();
}

/// <summary>
/// The same for a tunnel's whole life: it looks after what was set, and puts it back when it is disposed of. What is wrong is told by
/// <see cref="Problem"/> and in the log, and the tunnel goes on.
/// </summary>
internal interface ITunnelResolver : IDisposable
{
    /// <summary>What keeps names from being found, and what to do; null for nothing. Any thread.</summary>
    string? Problem { get; }

    /// <summary>
    /// The resolvers that this machine has without the tunnel, in their order, each at port 53: for who has to ask for other names, or for
    /// the server's own, without asking himself. May be several, or none. Blocks for a moment.
    /// </summary>
    IReadOnlyList<IPAddress> Upstreams { get; }

    /// <summary>
    /// Sets it up, or changes it; the responder has to answer already. Returns when that is done. It blocks (for seconds, where the system
    /// does not answer), so it is called beside the control loop; one thread at a time gets in.
    /// </summary>
    void Set(ResolverScope scope);
}

/// <summary>What a system has to look up names by; replaced in tests.</summary>
internal interface IResolverSystem
{
    /// <summary>Puts back what a tunnel has left that was killed; to be called at each start, whether it has names or not.</summary>
    void Recover(IRecordFile record, TunnelLog log);

    /// <summary>Makes what looks after a tunnel's names; nothing is done yet.</summary>
    /// <param name="interfaceName">The tunnel's interface.</param>
    /// <param name="record">Where what was changed is written down.</param>
    /// <param name="log">The tunnel's log.</param>
    ITunnelResolver Create(string interfaceName, IRecordFile record, TunnelLog log);
}
