using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using LightTunnel.Access;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Probing;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.Routing;
using StreamJsonRpc;
using StreamJsonRpc.Protocol;

namespace LightTunnel.Management;

/// <summary>
/// What one process answers another over the control socket: <see cref="ITunnelHandle"/>, for the tunnel of the given name.
/// </summary>
internal interface IControlService
{
    Task<IReadOnlyList<ControlTunnel>> ListAsync(CancellationToken cancellationToken);

    Task<TunnelStatus> GetStatusAsync(string tunnel, CancellationToken cancellationToken);

    Task<SettingsText> GetSettingsAsync(string tunnel, CancellationToken cancellationToken);

    Task<IReadOnlyList<PeerStatus>> GetPeersAsync(string tunnel, CancellationToken cancellationToken);

    Task<IReadOnlyList<PeerStatus>> FindPeersAsync(string tunnel, string text, CancellationToken cancellationToken);

    Task<IReadOnlyList<RouteStatus>> GetRoutesAsync(string tunnel, CancellationToken cancellationToken);

    Task SetRoutesAsync(string tunnel, RouteSettingsChange change, CancellationToken cancellationToken);

    Task<IReadOnlyList<LogEntry>> ReadLogAsync(
        string tunnel, long afterSequence, LogLevel minimumLevel, int tail, CancellationToken cancellationToken);

    Task<IReadOnlyList<LogEntry>> ReadSecurityLogAsync(string tunnel, int tail, CancellationToken cancellationToken);

    Task<IReadOnlyList<AuditEntry>> ReadAuditAsync(string tunnel, long afterSequence, int tail, CancellationToken cancellationToken);

    Task<IReadOnlyList<AuditEntry>> WaitForAuditAsync(string tunnel, long afterSequence, CancellationToken cancellationToken);

    Task<IReadOnlyList<LogEntry>> WaitForLogAsync(
        string tunnel, long afterSequence, LogLevel minimumLevel, CancellationToken cancellationToken);

    Task<IReadOnlyList<TunnelChange>> ReadChangesAsync(string tunnel, long afterSequence, int tail, CancellationToken cancellationToken);

    Task<IReadOnlyList<TunnelChange>> WaitForChangesAsync(string tunnel, long afterSequence, CancellationToken cancellationToken);

    Task<InvitationText> CreateInvitationAsync(string tunnel, InvitationRequest request, CancellationToken cancellationToken);

    Task<IReadOnlyList<InvitationStatus>> GetInvitationsAsync(string tunnel, CancellationToken cancellationToken);

    Task RemoveInvitationAsync(string tunnel, string id, string by, CancellationToken cancellationToken);

    Task<PeerTestReport> TestPeerAsync(
        string tunnel, PeerTestRequest request, IProgress<TestProgress>? progress, CancellationToken cancellationToken);

    Task<NetworkTestReport> TestNetworkAsync(
        string tunnel, TimeSpan timeout, IProgress<TestProgress>? progress, CancellationToken cancellationToken);

    Task SetPeerPolicyAsync(string tunnel, string publicKey, PathPolicy? policy, CancellationToken cancellationToken);

    Task ConfirmMemberAsync(string tunnel, string publicKey, CancellationToken cancellationToken);

    Task SignMemberAsync(string tunnel, string publicKey, string signature, string by, CancellationToken cancellationToken);

    Task<IReadOnlyList<MemberStatus>> GetMembersAsync(string tunnel, CancellationToken cancellationToken);

    Task<WireGuardClientText> CreateWireGuardClientAsync(
        string tunnel, WireGuardClientRequest request, CancellationToken cancellationToken);

    Task ChangeMemberAsync(string tunnel, MemberChange change, CancellationToken cancellationToken);

    Task<NetworkKeyReport> UpdateNetworkKeyAsync(string tunnel, NetworkKeyRequest request, CancellationToken cancellationToken);

    Task<IReadOnlyList<RuleStatus>> GetRulesAsync(string tunnel, CancellationToken cancellationToken);

    Task<IReadOnlyList<int>> ChangeRulesAsync(string tunnel, RuleChange change, CancellationToken cancellationToken);

    Task<IReadOnlyList<RuleVerdict>> TestRuleAsync(string tunnel, RuleQuestion question, CancellationToken cancellationToken);

    Task StopAsync(string tunnel, CancellationToken cancellationToken);

    Task WaitForStopAsync(string tunnel, CancellationToken cancellationToken);
}

/// <summary>A tunnel as a list names it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Role">Server or client.</param>
internal sealed record ControlTunnel(string Name, TunnelRole Role);

/// <summary>A <see cref="LightTunnelException"/> on the wire.</summary>
/// <param name="Error">Name of the <see cref="LightTunnelError"/>.</param>
/// <param name="RecommendedAction">What to do about it.</param>
/// <param name="Target">The offending value as text, or null.</param>
internal sealed record ControlFault(string Error, string RecommendedAction, string? Target);

/// <summary>JSON-RPC 2.0 as the control socket speaks it, and how our errors and values cross it.</summary>
internal static class ControlProtocol
{
    /// <summary>JSON-RPC error code of a <see cref="ControlFault"/>; outside the range that JSON-RPC reserves.</summary>
    public const int FaultCode = 1;

    /// <summary>A JSON-RPC connection over the stream; not listening yet. Owns the stream.</summary>
    [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = "All that crosses is in ControlJson, as StreamJsonRpc asks.")]
    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = "All that crosses is in ControlJson, as StreamJsonRpc asks.")]
    public static JsonRpc Over(Stream stream)
    {
        var formatter = new SystemTextJsonFormatter { JsonSerializerOptions = new JsonSerializerOptions(ControlJson.Default.Options) };
        return new ControlRpc(new HeaderDelimitedMessageHandler(stream, stream, formatter))
        {
            CancelLocallyInvokedMethodsWhenConnectionIsClosed = true,
        };
    }

    /// <summary>Our error as JSON-RPC carries it.</summary>
    public static LocalRpcException ToWire(LightTunnelException exception) => new(exception.Message, exception)
    {
        ErrorCode = FaultCode,
        ErrorData = new ControlFault(exception.Error.ToString(), exception.RecommendedAction, exception.Target?.ToString()),
    };

    /// <summary>Our error as it was before it crossed; anything else becomes an internal error of the other process.</summary>
    public static LightTunnelException FromWire(RemoteRpcException exception, int processId)
    {
        if (exception is RemoteInvocationException { DeserializedErrorData: ControlFault fault })
        {
            return new LightTunnelException(
                Enum.TryParse(fault.Error, out LightTunnelError error) && Enum.IsDefined(error) ? error : LightTunnelError.Internal,
                exception.Message, fault.RecommendedAction, exception)
            { Target = fault.Target };
        }

        return new LightTunnelException(
            LightTunnelError.Internal,
            $"Process {processId} could not answer: {exception.Message}",
            "See that both processes use the same version of LightTunnel, then look at the tunnel's log.",
            exception);
    }

    /// <summary>Reads the data of our own errors as what it is.</summary>
    private sealed class ControlRpc(IJsonRpcMessageHandler handler) : JsonRpc(handler)
    {
        protected override Type? GetErrorDetailsDataType(JsonRpcError error) =>
            (int?)error.Error?.Code == FaultCode ? typeof(ControlFault) : base.GetErrorDetailsDataType(error);
    }
}
