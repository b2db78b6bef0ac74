using LightTunnel.Diagnostics;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Server;

/// <summary>
/// Tells the security log of handshakes that came to nothing, all of a minute in one line, as strangers may send any number of them. What a
/// network by itself repeats or loses is not counted. Owned by the control loop.
/// </summary>
/// <param name="counters">What the node's links counted.</param>
/// <param name="log">The tunnel's log.</param>
internal sealed class RefusedHandshakes(LinkCounters counters, TunnelLog log)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    private static readonly (LinkEvent Event, string Text)[] FieldKinds =
    [
        (LinkEvent.InvalidMac1, "whose sender does not know this server's key"),
        (LinkEvent.InitiationForged, "forged"),
        (LinkEvent.StrangerRemoved, "whose sender did not show to have the network's key"),
        (LinkEvent.PeerRefused, "not admitted"),
        (LinkEvent.SourceLimited, "more than one address may send"),
    ];

    private readonly long[] _told = new long[FieldKinds.Length];
    private Timestamp _next;

    /// <summary>Looks whether there is something to tell.</summary>
    public void Look(Timestamp now)
    {
        if (now < _next)
            return;
        List<string>? news = null;
        for (int i = 0; i < FieldKinds.Length; i++)
        {
            long count = counters[FieldKinds[i].Event];
            if (count == _told[i])
                continue;
            (news ??= []).Add($"{count - _told[i]:N0} {FieldKinds[i].Text}");
            _told[i] = count;
        }

        if (news is null)
            return;
        _next = now + Interval;
        log.Security(SecurityEvent.Refused, "handshakes", $"Handshakes were refused: {string.Join(", ", news)}");
    }
}
