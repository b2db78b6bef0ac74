using System.Diagnostics.CodeAnalysis;
using LightTunnel.Access;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Probing;
using LightTunnel.Engine.Server;
using LightTunnel.Routing;
using StreamJsonRpc;

namespace LightTunnel.Management;

/// <summary>Answers other processes of this machine about the tunnels of this one.</summary>
internal sealed class ControlSocketServer : IDisposable
{
    private static readonly TimeSpan AcceptRetryDelay = TimeSpan.FromMilliseconds(100);

    private static readonly RpcTargetMetadata Target = TargetOf();

    private readonly ControlListener _listener;
    private readonly Service _service;
    private readonly SemaphoreSlim _connections = new(ControlTransport.MaximumConnections);
    private volatile bool _stopped;

    private ControlSocketServer(ControlListener listener, Func<IReadOnlyList<ITunnelHandle>> local)
    {
        _listener = listener;
        _service = new Service(local);
    }

    /// <summary>Starts to listen.</summary>
    /// <param name="transport">Where to listen.</param>
    /// <param name="local">The tunnels of this process, asked anew for each call.</param>
    /// <exception cref="LightTunnelException">The place for the socket cannot be made.</exception>
    public static ControlSocketServer Start(ControlTransport transport, Func<IReadOnlyList<ITunnelHandle>> local)
    {
        var server = new ControlSocketServer(transport.Listen(), local);
        AppDomain.CurrentDomain.ProcessExit += server.OnProcessExit;
        _ = Task.Run(server.AcceptAllAsync);
        return server;
    }

    /// <summary>Stops listening. Connections stay until their askers have had their answers. Idempotent.</summary>
    public void Dispose()
    {
        AppDomain.CurrentDomain.ProcessExit -= OnProcessExit;
        _stopped = true;
        _listener.Dispose();
    }

    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = "Tasks and progress are of reference types, whose code is shared.")]
    private static RpcTargetMetadata TargetOf() =>
        RpcTargetMetadata.FromInterface(new RpcTargetMetadata.InterfaceCollection(typeof(IControlService)));

    private void OnProcessExit(object? sender, EventArgs arguments) => Dispose();

    private async Task AcceptAllAsync()
    {
        while (!_stopped)
        {
            try
            {
                await _connections.WaitAsync().ConfigureAwait(false);
                Stream? connection = await _listener.AcceptAsync(CancellationToken.None).ConfigureAwait(false);
                if (connection is null)
                    _connections.Release();
                else
                    _ = ServeAsync(connection);
            }
            catch (Exception exception) when (exception is ObjectDisposedException || _stopped)
            {
                return;
            }
            catch (Exception exception) when (exception is IOException or System.Net.Sockets.SocketException)
            {
                // One connection failed while it was accepted, or this process has no file handle left: the listener itself is fine.
                _connections.Release();
                await Task.Delay(AcceptRetryDelay, TimeProvider.System).ConfigureAwait(false);
            }
        }
    }

    private async Task ServeAsync(Stream connection)
    {
        try
        {
            using JsonRpc rpc = ControlProtocol.Over(connection);
            rpc.AddLocalRpcTarget(Target, _service, new JsonRpcTargetOptions { DisposeOnDisconnect = false });
            rpc.StartListening();
            await rpc.Completion.ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            // A connection that breaks, or speaks something else, concerns nobody but the one who opened it.
        }
        finally
        {
            _connections.Release();
        }
    }

    /// <summary>Passes each call to the tunnel of that name.</summary>
    private sealed class Service(Func<IReadOnlyList<ITunnelHandle>> local) : IControlService
    {
        public Task<IReadOnlyList<ControlTunnel>> ListAsync(CancellationToken cancellationToken) =>
            Task.FromResult<IReadOnlyList<ControlTunnel>>([.. local().Select(tunnel => new ControlTunnel(tunnel.Name, tunnel.Role))]);

        public Task<TunnelStatus> GetStatusAsync(string tunnel, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.GetStatusAsync(cancellationToken));

        public Task<SettingsText> GetSettingsAsync(string tunnel, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.GetSettingsAsync(cancellationToken));

        public Task<IReadOnlyList<PeerStatus>> GetPeersAsync(string tunnel, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.GetPeersAsync(cancellationToken));

        public Task<IReadOnlyList<PeerStatus>> FindPeersAsync(string tunnel, string text, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.FindPeersAsync(text, cancellationToken));

        public Task<IReadOnlyList<RouteStatus>> GetRoutesAsync(string tunnel, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.GetRoutesAsync(cancellationToken));

        public Task SetRoutesAsync(string tunnel, RouteSettingsChange change, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => DoneAsync(handle.SetRoutesAsync(change, cancellationToken)));

        public Task<IReadOnlyList<LogEntry>> ReadLogAsync(
            string tunnel, long afterSequence, LogLevel minimumLevel, int tail, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.ReadLogAsync(afterSequence, minimumLevel, tail, cancellationToken));

        public Task<IReadOnlyList<LogEntry>> ReadSecurityLogAsync(string tunnel, int tail, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.ReadSecurityLogAsync(tail, cancellationToken));

        public Task<IReadOnlyList<AuditEntry>> ReadAuditAsync(
            string tunnel, long afterSequence, int tail, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.ReadAuditAsync(afterSequence, tail, cancellationToken));

        public Task<IReadOnlyList<AuditEntry>> WaitForAuditAsync(
            string tunnel, long afterSequence, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.WaitForAuditAsync(afterSequence, cancellationToken));

        public Task<IReadOnlyList<LogEntry>> WaitForLogAsync(
            string tunnel, long afterSequence, LogLevel minimumLevel, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.WaitForLogAsync(afterSequence, minimumLevel, cancellationToken));

        public Task<IReadOnlyList<TunnelChange>> ReadChangesAsync(
            string tunnel, long afterSequence, int tail, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.ReadChangesAsync(afterSequence, tail, cancellationToken));

        public Task<IReadOnlyList<TunnelChange>> WaitForChangesAsync(
            string tunnel, long afterSequence, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.WaitForChangesAsync(afterSequence, cancellationToken));

        public Task<InvitationText> CreateInvitationAsync(
            string tunnel, InvitationRequest request, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.CreateInvitationAsync(request, cancellationToken));

        public Task<IReadOnlyList<InvitationStatus>> GetInvitationsAsync(string tunnel, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.GetInvitationsAsync(cancellationToken));

        public Task RemoveInvitationAsync(string tunnel, string id, string by, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => DoneAsync(handle.RemoveInvitationAsync(id, by, cancellationToken)));

        public Task<PeerTestReport> TestPeerAsync(
            string tunnel, PeerTestRequest request, IProgress<TestProgress>? progress, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.TestPeerAsync(request, progress, cancellationToken));

        public Task<NetworkTestReport> TestNetworkAsync(
            string tunnel, TimeSpan timeout, IProgress<TestProgress>? progress, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.TestNetworkAsync(timeout, progress, cancellationToken));

        public Task SetPeerPolicyAsync(string tunnel, string publicKey, PathPolicy? policy, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => DoneAsync(handle.SetPeerPolicyAsync(publicKey, policy, cancellationToken)));

        public Task ConfirmMemberAsync(string tunnel, string publicKey, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => DoneAsync(handle.ConfirmMemberAsync(publicKey, cancellationToken)));

        public Task SignMemberAsync(string tunnel, string publicKey, string signature, string by, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => DoneAsync(handle.SignMemberAsync(publicKey, signature, by, cancellationToken)));

        public Task<IReadOnlyList<MemberStatus>> GetMembersAsync(string tunnel, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.GetMembersAsync(cancellationToken));

        public Task<WireGuardClientText> CreateWireGuardClientAsync(
            string tunnel, WireGuardClientRequest request, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.CreateWireGuardClientAsync(request, cancellationToken));

        public Task ChangeMemberAsync(string tunnel, MemberChange change, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => DoneAsync(handle.ChangeMemberAsync(change, cancellationToken)));

        public Task<IReadOnlyList<RuleStatus>> GetRulesAsync(string tunnel, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.GetRulesAsync(cancellationToken));

        public Task<NetworkKeyReport> UpdateNetworkKeyAsync(
            string tunnel, NetworkKeyRequest request, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.UpdateNetworkKeyAsync(request, cancellationToken));

        public Task<IReadOnlyList<int>> ChangeRulesAsync(string tunnel, RuleChange change, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.ChangeRulesAsync(change, cancellationToken));

        public Task<IReadOnlyList<RuleVerdict>> TestRuleAsync(
            string tunnel, RuleQuestion question, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => handle.TestRuleAsync(question, cancellationToken));

        public Task StopAsync(string tunnel, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => DoneAsync(handle.StopAsync(cancellationToken)));

        public Task WaitForStopAsync(string tunnel, CancellationToken cancellationToken) =>
            AskAsync(tunnel, handle => DoneAsync(handle.WaitForStopAsync(cancellationToken)));

        private static async Task<bool> DoneAsync(Task task)
        {
            await task.ConfigureAwait(false);
            return true;
        }

        private async Task<T> AskAsync<T>(string tunnel, Func<ITunnelHandle, Task<T>> question)
        {
            ITunnelHandle? handle =
                local().FirstOrDefault(handle => string.Equals(handle.Name, tunnel, StringComparison.OrdinalIgnoreCase));
            try
            {
                if (handle is null)
                {
                    throw new LightTunnelException(
                        LightTunnelError.Stopped, $"The tunnel '{tunnel}' does not run any more.", "Start it again.") { Target = tunnel };
                }

                return await question(handle).ConfigureAwait(false);
            }
            catch (LightTunnelException exception)
            {
                throw ControlProtocol.ToWire(exception);
            }
        }
    }
}
