namespace LightTunnel.Diagnostics;

/// <summary>What went wrong, for scripts: the name of the value is the ErrorId that a cmdlet reports.</summary>
public enum LightTunnelError
{
    /// <summary>A fault of LightTunnel itself.</summary>
    Internal,

    /// <summary>An address or prefix could not be read, or is not usable for what it is meant for.</summary>
    InvalidAddress,

    /// <summary>An endpoint ("host:port") could not be read.</summary>
    InvalidEndpoint,

    /// <summary>A key could not be read.</summary>
    InvalidKey,

    /// <summary>A member's signature is of another key, or of something else than the member as it is.</summary>
    InvalidSignature,

    /// <summary>An invitation is cut short, mistyped or of an unknown version.</summary>
    InvalidInvitation,

    /// <summary>An invitation's time is over.</summary>
    InvitationExpired,

    /// <summary>The server does not admit this machine by an invitation: it is used up, taken back or unknown, or none.</summary>
    InvitationRefused,

    /// <summary>Only signed members are taken, and this machine or the server's word of the signing keys does not fit that.</summary>
    NotSigned,

    /// <summary>A name has characters or a length that are not allowed.</summary>
    InvalidName,

    /// <summary>A number or option is out of its range, or options contradict each other.</summary>
    InvalidOption,

    /// <summary>A configuration file could not be read, or has an unknown or ill-typed key.</summary>
    InvalidConfiguration,

    /// <summary>A file or folder could not be read or written.</summary>
    FileAccess,

    /// <summary>The state file is damaged, or of a newer version.</summary>
    InvalidState,

    /// <summary>The state file is in use by another running tunnel.</summary>
    StateInUse,

    /// <summary>This machine is a member of that network already.</summary>
    AlreadyJoined,

    /// <summary>The operating system asks for more privilege.</summary>
    PrivilegeRequired,

    /// <summary>/dev/net/tun, or the Wintun library, is missing.</summary>
    TunUnavailable,

    /// <summary>An interface of that name exists already.</summary>
    InterfaceNameInUse,

    /// <summary>An address or network is in use by another interface of this machine.</summary>
    AddressInUse,

    /// <summary>The UDP port is in use by another program.</summary>
    PortInUse,

    /// <summary>A host name could not be resolved.</summary>
    NameResolutionFailed,

    /// <summary>The server did not answer.</summary>
    ServerUnreachable,

    /// <summary>The server refused the client: the address belongs to another member.</summary>
    AddressTaken,

    /// <summary>The server refused the client: there is no free address left.</summary>
    AddressPoolExhausted,

    /// <summary>The server refused the client: it serves as many as it may.</summary>
    ServerFull,

    /// <summary>The server refused the client for another reason.</summary>
    ServerRefused,

    /// <summary>The server gives addresses of a network that nobody agreed to.</summary>
    PrefixNotAgreed,

    /// <summary>Another machine uses this node's identity.</summary>
    IdentityInUse,

    /// <summary>A tunnel of that name runs already.</summary>
    NameInUse,

    /// <summary>Nothing of that name was found.</summary>
    NotFound,

    /// <summary>It was not done in the time allowed.</summary>
    TimedOut,

    /// <summary>A process of this machine that has tunnels did not answer in time: what it has is not known.</summary>
    NotAnswering,

    /// <summary>The tunnel is stopped.</summary>
    Stopped,

    /// <summary>
    /// This machine itself cannot send to the server: it is in no network, has no route there, or a firewall of its own refuses.
    /// </summary>
    NetworkUnavailable,

    /// <summary>A file that was to be installed is not the one that was published.</summary>
    UntrustedFile,

    /// <summary>This system has no use for what was asked for.</summary>
    NotNeeded,

    /// <summary>Nobody on this system runs services, or LightTunnel does not know how to ask them.</summary>
    ServiceManagerUnavailable,

    /// <summary>The system refused to do something with a service.</summary>
    ServiceFailed,

    /// <summary>This system cannot forward packets for members: a program is missing, or its kernel refuses.</summary>
    ForwardingUnavailable,
}

/// <summary>An error that a person can act on: what happened, which input is the culprit, and what to do about it.</summary>
public sealed class LightTunnelException : Exception
{
    /// <param name="error">The kind of error.</param>
    /// <param name="message">One sentence that names the culprit. Never a secret.</param>
    /// <param name="recommendedAction">One sentence that says what to do.</param>
    /// <param name="innerException">The cause, when there is one.</param>
    public LightTunnelException(LightTunnelError error, string message, string recommendedAction, Exception? innerException = null)
        : base(message, innerException)
    {
        Error = error;
        RecommendedAction = recommendedAction;
    }

    /// <summary>The kind of error.</summary>
    public LightTunnelError Error { get; }

    /// <summary>What to do about it.</summary>
    public string RecommendedAction { get; }

    /// <summary>The offending value, or null.</summary>
    public object? Target { get; init; }

    /// <summary>True when another user of this machine may have wanted it so: the security log tells of it.</summary>
    internal bool IsSuspicious { get; init; }
}
