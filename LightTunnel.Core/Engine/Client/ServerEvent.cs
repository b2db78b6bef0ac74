using LightTunnel.Engine.Control;
using LightTunnel.Membership;

namespace LightTunnel.Engine.Client;

/// <summary>What a <see cref="ServerConnection"/> has to tell.</summary>
internal enum ServerEventKind : byte
{
    /// <summary>The server has admitted this node, as the message says; the interface is set up.</summary>
    Registered,

    /// <summary>The server answers again.</summary>
    Found,

    /// <summary>Nothing goes to the server for a while, so that routers forget.</summary>
    FellSilent,

    /// <summary>Another machine with this node's key was there first.</summary>
    Replaced,

    /// <summary>An admin of the network keeps this node out, or its membership has ended: the message says.</summary>
    Excluded,

    /// <summary>This node is no member any more, and waits until an admin of the network approves it.</summary>
    AwaitsApproval,

    /// <summary>A message for others.</summary>
    Message,
}

/// <summary>Something that happened with the server.</summary>
/// <param name="Kind">What.</param>
/// <param name="Message">What it said, where that matters.</param>
/// <param name="Session">The conversation in which it said that: of another one it says nothing any more. Null for none.</param>
internal readonly record struct ServerEvent(ServerEventKind Kind, ControlMessage? Message = null, ControlSession? Session = null);
