using System.Globalization;
using System.Text;
using System.Text.Json;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Routing;

namespace LightTunnel;

/// <summary>How all tunnels of this machine stand, at one moment. Its text is one screen for people.</summary>
public sealed class LtStatus
{
    /// <summary>
    /// Version of what <see cref="ToJson"/> writes: rises when something goes or changes its meaning, not when something is added.
    /// </summary>
    public const int Schema = 1;

    /// <summary>Peers that are told of one by one; who wants more asks Get-LtPeer.</summary>
    private const int MaximumNamed = 5;

    private const int Width = 78;
    private const int Indent = 15;

    private readonly Part[] _parts;

    internal LtStatus(IReadOnlyList<(FoundTunnel Tunnel, IReadOnlyList<PeerStatus> Peers)> tunnels, DateTimeOffset now)
    {
        _parts = [.. tunnels.Select(each => new Part(each.Tunnel.Status, [.. each.Peers]))];
        Time = now;
        Tunnels = new LtList<LtTunnel>(tunnels.Select(each => each.Tunnel.ToObject()));
        Peers = new LtList<LtPeer>(tunnels.SelectMany(each => each.Peers).Select(peer => new LtPeer(peer)));
    }

    /// <summary>This machine's name.</summary>
    public string Computer { get; } = Environment.MachineName;

    /// <summary>Version of the module.</summary>
    public string Version { get; } = typeof(LtStatus).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";

    /// <summary>When it was so.</summary>
    public DateTimeOffset Time { get; }

    /// <summary>Servers and networks.</summary>
    public LtList<LtTunnel> Tunnels { get; }

    /// <summary>The peers of all of them.</summary>
    public LtList<LtPeer> Peers { get; }

    /// <summary>One screen for people.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"LightTunnel {Version} on {Computer}");
        if (_parts.Length == 0)
            text.Append("\n\nNo tunnel runs. Connect-LtNetwork joins a network, Start-LtServer starts one.");
        foreach (Part part in _parts)
        {
            TunnelStatus status = part.Status;
            string kind = part.IsServer ? "Server" : "Network";
            text.Append(
                CultureInfo.InvariantCulture, $"\n\n{kind} {status.Name}: {status.State}, started {LtUnits.Age(status.Started)} ago");
            foreach ((string label, string value) in part.Lines())
                text.Append(Line(label, value));
        }

        return text.ToString();
    }

    /// <summary>The same for programs: one JSON object, the members of which are told in docs/services.md.</summary>
    public string ToJson()
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteNumber("schema", Schema);
            json.WriteString("computer", Computer);
            json.WriteString("version", Version);
            json.WriteString("time", Time.UtcDateTime);
            json.WriteStartArray("tunnels");
            foreach (Part part in _parts)
                part.Write(json);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static string Line(string label, string value) =>
        $"\n  {label.PadRight(Indent - 2)}"
        + LtUnits.Wrap(value, Width - Indent).Replace("\n", "\n" + new string(' ', Indent), StringComparison.Ordinal);

    /// <summary>One tunnel.</summary>
    private sealed record Part(TunnelStatus Status, PeerStatus[] Peers)
    {
        public bool IsServer => Status.Role == TunnelRole.Server;

        private PeerStatus[] Others => [.. Peers.Where(peer => !peer.IsServer)];

        private PeerStatus[] Relayed => [.. Others.Where(peer => peer.Path is PathType.Relay or PathType.Server)];

        private int Online => Others.Count(peer => peer.Path != PathType.Offline);

        public IEnumerable<(string Label, string Value)> Lines()
        {
            if (Status.LastError is { } error)
                yield return ("Problem", error);
            string addresses = Status.Addresses.Count == 0 ? "none yet" : string.Join(", ", Status.Addresses);
            yield return ("Address", $"{addresses} on {Status.InterfaceName ?? "no interface yet"}, UDP port {Status.ListenPort}");
            if (IsServer)
            {
                yield return ("Invites to",
                    Status.Endpoints.Count == 0 ? "no endpoint: New-LtInvitation needs -Endpoint" : string.Join(", ", Status.Endpoints));
            }
            else
            {
                PeerStatus? server = Peers.FirstOrDefault(peer => peer.IsServer);
                yield return ("Server",
                    $"{(server is null ? string.Empty : server.Name + " at ")}{Status.Server}, {LtUnits.RoundTrip(server?.RoundTrip)}");
                yield return ("NAT", Status.NatType + (Status.PublicEndpoint is { } seen ? $", seen as {seen}" : string.Empty));
            }

            int relayed = Relayed.Length;
            yield return ("Members", $"{Online} of {Others.Length} online: {Online - relayed} direct, {relayed} relayed");
            TunnelCounters counters = Status.Counters;
            yield return ("Traffic", $"{LtUnits.Bytes(counters.ReceivedBytes)} received, {LtUnits.Bytes(counters.SentBytes)} sent"
                + (counters.RelayedBytes > 0 ? $", {LtUnits.Bytes(counters.RelayedBytes)} passed on" : string.Empty));
            foreach (PeerStatus peer in Relayed.Take(MaximumNamed))
                yield return ("Relayed", $"{peer.Name}: {peer.PathReason.Sentence()}");
            if (relayed > MaximumNamed)
                yield return ("Relayed", $"and {relayed - MaximumNamed} more: Get-LtRoute | Where Type -in Server, Relay");
        }

        public void Write(Utf8JsonWriter json)
        {
            json.WriteStartObject();
            json.WriteString("name", Status.Name);
            json.WriteString("role", IsServer ? "server" : "client");
            json.WriteString("state", Status.State.ToString());
            json.WriteString("lastError", Status.LastError);
            WriteTexts(json, "addresses", Status.Addresses);
            json.WriteString("interface", Status.InterfaceName);
            json.WriteNumber("mtu", Status.Mtu);
            json.WriteNumber("listenPort", Status.ListenPort);
            json.WriteNumber("processId", Status.ProcessId);
            json.WriteString("started", Status.Started.UtcDateTime);
            json.WriteString("publicKey", Status.PublicKey);
            if (IsServer)
            {
                WriteTexts(json, "endpoints", Status.Endpoints);
            }
            else
            {
                json.WriteString("server", Status.Server);
                json.WriteString("publicEndpoint", Status.PublicEndpoint?.ToString());
                json.WriteString("natType", Status.NatType);
                json.WriteNumber("reconnects", Status.Reconnects);
            }

            json.WriteNumber("rxBytes", Status.Counters.ReceivedBytes);
            json.WriteNumber("txBytes", Status.Counters.SentBytes);
            json.WriteNumber("relayedBytes", Status.Counters.RelayedBytes);
            json.WriteStartArray("peers");
            foreach (PeerStatus peer in Peers)
                Write(json, peer);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        private static void Write(Utf8JsonWriter json, PeerStatus peer)
        {
            json.WriteStartObject();
            json.WriteString("name", peer.Name);
            json.WriteBoolean("isServer", peer.IsServer);
            WriteTexts(json, "addresses", peer.Addresses.Select(address => address.ToString()));
            json.WriteString("path", peer.Path.ToString());
            json.WriteString("reason", peer.PathReason.ToString());
            json.WriteString("endpoint", peer.Endpoint?.ToString());
            WriteNumber(json, "rttMilliseconds", peer.RoundTrip?.TotalMilliseconds);
            WriteNumber(json, "loss", peer.Loss);
            WriteNumber(json, "quality", peer.Path == PathType.Offline ? null : peer.Quality);
            json.WriteNumber("rxBytes", peer.ReceivedBytes);
            json.WriteNumber("txBytes", peer.SentBytes);
            if (peer.LastSeen is { } seen)
                json.WriteString("seen", seen.UtcDateTime);
            else
                json.WriteNull("seen");
            json.WriteString("publicKey", peer.PublicKey);
            json.WriteEndObject();
        }

        private static void WriteNumber(Utf8JsonWriter json, string name, double? value)
        {
            if (value is { } number)
                json.WriteNumber(name, number);
            else
                json.WriteNull(name);
        }

        private static void WriteTexts(Utf8JsonWriter json, string name, IEnumerable<string> texts)
        {
            json.WriteStartArray(name);
            foreach (string text in texts)
                json.WriteStringValue(text);
            json.WriteEndArray();
        }
    }
}
