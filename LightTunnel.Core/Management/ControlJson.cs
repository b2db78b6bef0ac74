using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using LightTunnel.Access;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Probing;
using LightTunnel.Engine.Server;
using LightTunnel.Routing;
using StreamJsonRpc.Protocol;

namespace LightTunnel.Management;

/// <summary>
/// How whatever crosses the control socket is written as JSON: what <see cref="IControlService"/> takes and returns, each type once. The
/// compiler writes the code, as programs that are compiled ahead of time need it.
/// </summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web, UseStringEnumConverter = true, Converters = [typeof(AddressConverter), typeof(EndpointConverter)])]
[JsonSerializable(typeof(ControlFault))]
[JsonSerializable(typeof(CommonErrorData))]
[JsonSerializable(typeof(IReadOnlyList<ControlTunnel>))]
[JsonSerializable(typeof(TunnelStatus))]
[JsonSerializable(typeof(SettingsText))]
[JsonSerializable(typeof(RouteSettingsChange))]
[JsonSerializable(typeof(IReadOnlyList<PeerStatus>))]
[JsonSerializable(typeof(IReadOnlyList<MemberStatus>))]
[JsonSerializable(typeof(MemberChange))]
[JsonSerializable(typeof(NetworkKeyRequest))]
[JsonSerializable(typeof(NetworkKeyReport))]
[JsonSerializable(typeof(IReadOnlyList<RuleStatus>))]
[JsonSerializable(typeof(RuleChange))]
[JsonSerializable(typeof(IReadOnlyList<int>))]
[JsonSerializable(typeof(RuleQuestion))]
[JsonSerializable(typeof(IReadOnlyList<RuleVerdict>))]
[JsonSerializable(typeof(WireGuardClientRequest))]
[JsonSerializable(typeof(WireGuardClientText))]
[JsonSerializable(typeof(IReadOnlyList<RouteStatus>))]
[JsonSerializable(typeof(IReadOnlyList<LogEntry>))]
[JsonSerializable(typeof(IReadOnlyList<AuditEntry>))]
[JsonSerializable(typeof(IReadOnlyList<TunnelChange>))]
[JsonSerializable(typeof(InvitationRequest))]
[JsonSerializable(typeof(IReadOnlyList<InvitationStatus>))]
[JsonSerializable(typeof(InvitationText))]
[JsonSerializable(typeof(PeerTestRequest))]
[JsonSerializable(typeof(PeerTestReport))]
[JsonSerializable(typeof(NetworkTestReport))]
[JsonSerializable(typeof(TestProgress))]
[JsonSerializable(typeof(IProgress<TestProgress>))]
[JsonSerializable(typeof(PathPolicy?))]
[JsonSerializable(typeof(LogLevel))]
[JsonSerializable(typeof(TimeSpan))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(long))]
[JsonSerializable(typeof(int))]
[JsonSerializable(typeof(bool))]
internal sealed partial class ControlJson : JsonSerializerContext;

/// <summary>An address as text.</summary>
internal sealed class AddressConverter : JsonConverter<IPAddress>
{
    /// <inheritdoc/>
    public override IPAddress Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        IPAddress.TryParse(reader.GetString(), out IPAddress? address) ? address : throw new JsonException("not an address");

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, IPAddress value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ToString());
}

/// <summary>An endpoint as text.</summary>
internal sealed class EndpointConverter : JsonConverter<IPEndPoint>
{
    /// <inheritdoc/>
    public override IPEndPoint Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        IPEndPoint.TryParse(reader.GetString() ?? string.Empty, out IPEndPoint? endpoint)
            ? endpoint
            : throw new JsonException("not an endpoint");

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, IPEndPoint value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ToString());
}
