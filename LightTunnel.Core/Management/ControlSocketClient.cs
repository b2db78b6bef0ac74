using System.Diagnostics;
using LightTunnel.Access;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Probing;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.Routing;
using StreamJsonRpc;

namespace LightTunnel.Management;

/// <summary>
/// Asks the other processes of this machine about their tunnels. Every question has a time limit: a process that hangs never
/// blocks a prompt.
/// </summary>
internal sealed class ControlSocketClient(ControlTransport transport, TimeProvider timeProvider)
{
    /// <summary>
    /// Time for a process to answer, unless the question says otherwise. A busy machine's may be slow; who is stopped never answers.
    /// </summary>
    public static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(10);

    /// <summary>The other process asks its server in turn, which has much to tell in a large network.</summary>
    public static readonly TimeSpan FindTimeout = TimeSpan.FromMinutes(2);

    /// <summary>The other tunnel may wait for its server's answer.</summary>
    public static readonly TimeSpan SignTimeout = TimeSpan.FromSeconds(40);

    /// <summary>Time for a test, beyond what its caller allows for waiting.</summary>
    public static readonly TimeSpan TestGrace = TimeSpan.FromSeconds(60);

    /// <summary>Time for a tunnel to be taken down.</summary>
    public static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(20);

    /// <summary>The tunnels of all other processes, asked at the same time; ordered by process, then as each lists them.</summary>
    /// <param name="limit">Time for each to answer.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public async Task<TunnelSearch> FindAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        var warnings = new List<string>();
        IReadOnlyList<int> processes = transport.FindProcesses(warnings);
        Answer[] answers = await Task.WhenAll(
            processes.Select(process => ListAsync(process, limit, cancellationToken))).ConfigureAwait(false);
        return new TunnelSearch(
            [.. answers.SelectMany(answer => answer.Tunnels)], [.. warnings, .. answers.Select(answer => answer.Warning).OfType<string>()])
        {
            NotAnswering = [.. answers.Select(answer => answer.NotAnswering).OfType<LightTunnelException>()],
        };
    }

    /// <summary>One question and its answer, over a connection of its own.</summary>
    /// <param name="processId">Whom to ask.</param>
    /// <param name="method">The method of <see cref="IControlService"/>.</param>
    /// <param name="arguments">Its arguments, without the cancellation token.</param>
    /// <param name="timeout">Time for the answer, <see cref="Timeout.InfiniteTimeSpan"/> for questions that wait.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <exception cref="LightTunnelException">What the other process threw, or <see cref="LightTunnelError.NotAnswering"/>.</exception>
    /// <exception cref="ConnectionLostException">The process is not there, or ended before it answered.</exception>
    internal async Task<T> AskAsync<T>(
        int processId, string method, object?[] arguments, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var timer = new CancellationTokenSource(timeout, timeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timer.Token);
        JsonRpc? rpc = null;
        try
        {
            Stream stream = await transport.ConnectAsync(processId, either.Token).ConfigureAwait(false)
                ?? throw new ConnectionLostException($"Process {processId} does not listen.");
            rpc = ControlProtocol.Over(stream);
            rpc.StartListening();
            // Waiting beside the call: a process that hangs does not confirm a cancellation either.
            return await rpc.InvokeWithCancellationAsync<T>(method, arguments, either.Token).WaitAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException exception) when (timer.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new LightTunnelException(
                LightTunnelError.NotAnswering,
                $"Process {Describe(processId)} did not answer within {timeout.TotalSeconds:0} s.",
                OperatingSystem.IsWindows()
                    ? "Ask again if the machine is busy. If the process hangs, end it: its tunnels end with it."
                    : $"Ask again if the machine is busy. If the process was stopped, 'kill -CONT {processId}' lets it go on; "
                        + "if it hangs, end it: its tunnels end with it.",
                exception)
            { Target = processId };
        }
        catch (RemoteRpcException exception) when (exception is not ConnectionLostException)
        {
            throw ControlProtocol.FromWire(exception, processId);
        }
        catch (IOException exception)
        {
            throw new ConnectionLostException($"Process {processId} closed the connection.", exception);
        }
        finally
        {
            rpc?.Dispose();
        }
    }

    private async Task<Answer> ListAsync(int processId, TimeSpan limit, CancellationToken cancellationToken)
    {
        try
        {
            IReadOnlyList<ControlTunnel> tunnels = await AskAsync<IReadOnlyList<ControlTunnel>>(
                processId, nameof(IControlService.ListAsync), [], limit, cancellationToken).ConfigureAwait(false);
            return new Answer([.. tunnels.Select(tunnel => new RemoteTunnelHandle(this, processId, tunnel.Name, tunnel.Role))]);
        }
        catch (ConnectionLostException)
        {
            return new Answer([]);
        }
        catch (LightTunnelException exception) when (exception.Error == LightTunnelError.NotAnswering)
        {
            return new Answer([])
            {
                NotAnswering = new LightTunnelException(
                    exception.Error, $"{exception.Message} The tunnels that it has are not known.", exception.RecommendedAction,
                    exception) { Target = processId },
            };
        }
        catch (LightTunnelException exception)
        {
            return new Answer([])
            {
                Warning = $"Tunnels of process {processId} are not shown: {exception.Message} {exception.RecommendedAction}",
            };
        }
    }

    /// <summary>The process's id, and its name if it is there.</summary>
    private static string Describe(int processId)
    {
        try
        {
            using var process = Process.GetProcessById(processId);
            return $"{processId} ({process.ProcessName})";
        }
        catch (Exception exception)
            when (exception is ArgumentException or InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            return $"{processId}";
        }
    }

    /// <summary>What one process said of its tunnels.</summary>
    private sealed record Answer(IReadOnlyList<ITunnelHandle> Tunnels)
    {
        /// <summary>Why they are not known, when it did not answer in time.</summary>
        public LightTunnelException? NotAnswering { get; init; }

        /// <summary>Why it could not be asked.</summary>
        public string? Warning { get; init; }
    }
}

/// <summary>A tunnel of another process. Holds no connection: each call makes its own.</summary>
internal sealed class RemoteTunnelHandle(ControlSocketClient client, int processId, string name, TunnelRole role) : ITunnelHandle
{
    /// <inheritdoc/>
    public string Name => name;

    /// <inheritdoc/>
    public TunnelRole Role => role;

    /// <inheritdoc/>
    public bool IsLocal => false;

    /// <inheritdoc/>
    public int ProcessId => processId;

    /// <inheritdoc/>
    public Task<TunnelStatus> GetStatusAsync(CancellationToken cancellationToken) =>
        AskAsync<TunnelStatus>(nameof(IControlService.GetStatusAsync), [], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<SettingsText> GetSettingsAsync(CancellationToken cancellationToken) =>
        AskAsync<SettingsText>(nameof(IControlService.GetSettingsAsync), [], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<PeerStatus>> GetPeersAsync(CancellationToken cancellationToken) =>
        AskAsync<IReadOnlyList<PeerStatus>>(nameof(IControlService.GetPeersAsync), [], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<PeerStatus>> FindPeersAsync(string text, CancellationToken cancellationToken) =>
        AskAsync<IReadOnlyList<PeerStatus>>(
            nameof(IControlService.FindPeersAsync), [text], ControlSocketClient.FindTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<RouteStatus>> GetRoutesAsync(CancellationToken cancellationToken) =>
        AskAsync<IReadOnlyList<RouteStatus>>(
            nameof(IControlService.GetRoutesAsync), [], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task SetRoutesAsync(RouteSettingsChange change, CancellationToken cancellationToken) =>
        AskAsync<object?>(nameof(IControlService.SetRoutesAsync), [change], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<LogEntry>> ReadLogAsync(
        long afterSequence, LogLevel minimumLevel, int tail, CancellationToken cancellationToken) =>
        AskAsync<IReadOnlyList<LogEntry>>(
            nameof(IControlService.ReadLogAsync), [afterSequence, minimumLevel, tail], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<LogEntry>> ReadSecurityLogAsync(int tail, CancellationToken cancellationToken) =>
        AskAsync<IReadOnlyList<LogEntry>>(
            nameof(IControlService.ReadSecurityLogAsync), [tail], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<AuditEntry>> ReadAuditAsync(long afterSequence, int tail, CancellationToken cancellationToken) =>
        AskAsync<IReadOnlyList<AuditEntry>>(
            nameof(IControlService.ReadAuditAsync), [afterSequence, tail], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<AuditEntry>> WaitForAuditAsync(long afterSequence, CancellationToken cancellationToken) =>
        UntilStoppedAsync<AuditEntry>(nameof(IControlService.WaitForAuditAsync), [afterSequence], cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<LogEntry>> WaitForLogAsync(long afterSequence, LogLevel minimumLevel, CancellationToken cancellationToken) =>
        UntilStoppedAsync<LogEntry>(nameof(IControlService.WaitForLogAsync), [afterSequence, minimumLevel], cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<TunnelChange>> ReadChangesAsync(long afterSequence, int tail, CancellationToken cancellationToken) =>
        AskAsync<IReadOnlyList<TunnelChange>>(
            nameof(IControlService.ReadChangesAsync), [afterSequence, tail], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<TunnelChange>> WaitForChangesAsync(long afterSequence, CancellationToken cancellationToken) =>
        UntilStoppedAsync<TunnelChange>(nameof(IControlService.WaitForChangesAsync), [afterSequence], cancellationToken);

    /// <inheritdoc/>
    public Task<InvitationText> CreateInvitationAsync(InvitationRequest request, CancellationToken cancellationToken) =>
        AskAsync<InvitationText>(
            nameof(IControlService.CreateInvitationAsync), [request], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<InvitationStatus>> GetInvitationsAsync(CancellationToken cancellationToken) =>
        AskAsync<IReadOnlyList<InvitationStatus>>(
            nameof(IControlService.GetInvitationsAsync), [], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task RemoveInvitationAsync(string id, string by, CancellationToken cancellationToken) =>
        AskAsync<object?>(nameof(IControlService.RemoveInvitationAsync), [id, by], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<PeerTestReport> TestPeerAsync(
        PeerTestRequest request, IProgress<TestProgress>? progress, CancellationToken cancellationToken) =>
        AskAsync<PeerTestReport>(
            nameof(IControlService.TestPeerAsync), [request, progress], request.Timeout + ControlSocketClient.TestGrace, cancellationToken);

    /// <inheritdoc/>
    public Task<NetworkTestReport> TestNetworkAsync(
        TimeSpan timeout, IProgress<TestProgress>? progress, CancellationToken cancellationToken) =>
        AskAsync<NetworkTestReport>(
            nameof(IControlService.TestNetworkAsync), [timeout, progress], timeout + ControlSocketClient.TestGrace, cancellationToken);

    /// <inheritdoc/>
    public Task SetPeerPolicyAsync(string publicKey, PathPolicy? policy, CancellationToken cancellationToken) =>
        AskAsync<object?>(
            nameof(IControlService.SetPeerPolicyAsync), [publicKey, policy], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task ConfirmMemberAsync(string publicKey, CancellationToken cancellationToken) =>
        AskAsync<object?>(nameof(IControlService.ConfirmMemberAsync), [publicKey], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task SignMemberAsync(string publicKey, string signature, string by, CancellationToken cancellationToken) =>
        AskAsync<object?>(
            nameof(IControlService.SignMemberAsync), [publicKey, signature, by], ControlSocketClient.SignTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<MemberStatus>> GetMembersAsync(CancellationToken cancellationToken) =>
        AskAsync<IReadOnlyList<MemberStatus>>(
            nameof(IControlService.GetMembersAsync), [], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<WireGuardClientText> CreateWireGuardClientAsync(WireGuardClientRequest request, CancellationToken cancellationToken) =>
        AskAsync<WireGuardClientText>(
            nameof(IControlService.CreateWireGuardClientAsync), [request], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task ChangeMemberAsync(MemberChange change, CancellationToken cancellationToken) =>
        AskAsync<object?>(nameof(IControlService.ChangeMemberAsync), [change], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<RuleStatus>> GetRulesAsync(CancellationToken cancellationToken) =>
        AskAsync<IReadOnlyList<RuleStatus>>(
            nameof(IControlService.GetRulesAsync), [], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<NetworkKeyReport> UpdateNetworkKeyAsync(NetworkKeyRequest request, CancellationToken cancellationToken) =>
        AskAsync<NetworkKeyReport>(
            nameof(IControlService.UpdateNetworkKeyAsync), [request], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<int>> ChangeRulesAsync(RuleChange change, CancellationToken cancellationToken) =>
        AskAsync<IReadOnlyList<int>>(
            nameof(IControlService.ChangeRulesAsync), [change], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<RuleVerdict>> TestRuleAsync(RuleQuestion question, CancellationToken cancellationToken) =>
        AskAsync<IReadOnlyList<RuleVerdict>>(
            nameof(IControlService.TestRuleAsync), [question], ControlSocketClient.CallTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) =>
        UntilGoneAsync(nameof(IControlService.StopAsync), ControlSocketClient.StopTimeout, cancellationToken);

    /// <inheritdoc/>
    public Task WaitForStopAsync(CancellationToken cancellationToken) =>
        UntilGoneAsync(nameof(IControlService.WaitForStopAsync), Timeout.InfiniteTimeSpan, cancellationToken);

    /// <summary>Waits for news of a tunnel; one that stops has no more.</summary>
    private async Task<IReadOnlyList<T>> UntilStoppedAsync<T>(string method, object?[] arguments, CancellationToken cancellationToken)
    {
        try
        {
            return await AskAsync<IReadOnlyList<T>>(method, arguments, Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(false);
        }
        catch (LightTunnelException exception) when (exception.Error == LightTunnelError.Stopped)
        {
            return [];
        }
    }

    /// <summary>A process that ends takes its tunnels with it, so a lost connection is an answer too.</summary>
    private async Task UntilGoneAsync(string method, TimeSpan timeout, CancellationToken cancellationToken)
    {
        try
        {
            await AskAsync<object?>(method, [], timeout, cancellationToken).ConfigureAwait(false);
        }
        catch (LightTunnelException exception) when (exception.Error == LightTunnelError.Stopped)
        {
            // It was gone already.
        }
    }

    private async Task<T> AskAsync<T>(string method, object?[] arguments, TimeSpan timeout, CancellationToken cancellationToken)
    {
        try
        {
            return await client.AskAsync<T>(processId, method, [name, .. arguments], timeout, cancellationToken).ConfigureAwait(false);
        }
        catch (ConnectionLostException exception)
        {
            throw new LightTunnelException(
                LightTunnelError.Stopped,
                $"The tunnel '{name}' is gone: its process {processId} has ended.",
                "Start it again.",
                exception)
            { Target = name };
        }
    }
}
