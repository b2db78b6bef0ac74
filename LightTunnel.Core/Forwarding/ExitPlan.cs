using LightTunnel.Addressing;
using LightTunnel.Diagnostics;

namespace LightTunnel.Forwarding;

/// <summary>How a machine is to go out by an exit node. Never changed.</summary>
/// <param name="Interface">The tunnel's interface.</param>
/// <param name="IPv4">The tunnel address at which the exit node answers questions for names; null where it carries no IPv4.</param>
/// <param name="IPv6">The same of IPv6.</param>
/// <param name="Inside">What is reached through the tunnel without the exit node.</param>
/// <param name="AllowLan">True to reach the local network beside it.</param>
/// <param name="KillSwitch">True to let nothing out beside the tunnel.</param>
internal sealed record ExitPlan(
    string Interface, TunnelAddress? IPv4, TunnelAddress? IPv6, IReadOnlyList<IpPrefix> Inside, bool AllowLan, bool KillSwitch);

/// <summary>
/// Has this machine go out by an exit node, beside the tunnel, and puts back what it changed when it is disposed of. What is wrong is told
/// by <see cref="Problem"/> and in the log.
/// </summary>
internal interface IExitRouting : IDisposable
{
    /// <summary>What is not as it was asked for, and what to do; null for nothing.</summary>
    string? Problem { get; }

    /// <summary>Sets everything up as it is to be from now on; may wait for the system.</summary>
    void Set(ExitPlan plan);
}

/// <summary>By what a system goes out by an exit node; replaced in tests.</summary>
internal interface IExitSystem
{
    /// <summary>Before anything is begun: whether this machine can be an exit node, or go out by one.</summary>
    /// <param name="offers">True to be one.</param>
    /// <param name="takes">True to go out by one.</param>
    /// <param name="tunnelInterface">The tunnel's interface, or null where there is none yet.</param>
    /// <exception cref="LightTunnelException">ForwardingUnavailable; InvalidOption: another tunnel does so already.</exception>
    void Check(bool offers, bool takes, string? tunnelInterface);

    /// <summary>True when this machine has a way to the internet of that family of its own, which it could lend to others.</summary>
    bool ReachesInternet(bool isIPv4);

    /// <summary>Puts back what a tunnel has left that was killed.</summary>
    /// <param name="file">What it had changed.</param>
    /// <param name="keepsKillSwitch">True to leave that closed what is to stay closed, until it is set up anew.</param>
    /// <param name="log">The tunnel's log.</param>
    void Recover(IForwardingRecordFile file, bool keepsKillSwitch, TunnelLog log);

    /// <summary>Makes what has the machine go out by an exit node; nothing is done yet.</summary>
    IExitRouting Create(string tunnelInterface, IForwardingRecordFile file, TunnelLog log);
}

/// <summary>A system for which that is not written.</summary>
internal sealed class UnknownExitSystem : IExitSystem
{
    /// <inheritdoc/>
    public void Check(bool offers, bool takes, string? tunnelInterface)
    {
        if (offers || takes)
        {
            throw new LightTunnelException(
                LightTunnelError.ForwardingUnavailable,
                $"Exit nodes are for Linux as yet: this machine can {(offers ? "be none" : "go out by none")}.",
                "Leave out -OfferExitNode and -ExitNode here. Nothing was changed.");
        }
    }

    /// <inheritdoc/>
    public bool ReachesInternet(bool isIPv4) => false;

    /// <inheritdoc/>
    public void Recover(IForwardingRecordFile file, bool keepsKillSwitch, TunnelLog log)
    {
        // Nothing was ever changed.
    }

    /// <inheritdoc/>
    public IExitRouting Create(string tunnelInterface, IForwardingRecordFile file, TunnelLog log) =>
        throw new InvalidOperationException("Nobody goes out by an exit node here.");
}
