using System.Management.Automation;
using System.Management.Automation.Host;
using System.Security;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.WindowsNetwork;
using LightTunnel.WireGuard;

namespace LightTunnel;

/// <summary>What the commands that start a tunnel have in common.</summary>
public abstract class StartCommand : LtCommand
{
    /// <summary>
    /// What the system may need to make the interface, which is not the server's time: Wintun waits up to 15 s for its driver, and the
    /// program of a service is to be started.
    /// </summary>
    private protected static readonly TimeSpan PreparationTime = TimeSpan.FromSeconds(20);

    /// <summary>Time that the engine gets, after the time allowed is over, to say what it was waiting for.</summary>
    private static readonly TimeSpan ReasonGrace = TimeSpan.FromSeconds(2);

    /// <summary>Time for what a tunnel logged at its end to be told.</summary>
    private static readonly TimeSpan LastWords = TimeSpan.FromMilliseconds(500);

    /// <summary>Time for a tunnel to be taken down after Ctrl+C.</summary>
    private static readonly TimeSpan WaitStopGrace = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Name of the tunnel on this machine, and of this node in the network. The host's name when left out.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Name { get; set; }

    /// <summary>Name of the tunnel interface. The first free one of lt0, lt1, ... when left out.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? InterfaceName { get; set; }

    /// <summary>
    /// MTU of the tunnel interface in bytes, 1280 to 65400. When left out, 1400, which fits through nearly every network; a client
    /// takes the server's.
    /// </summary>
    [Parameter]
    [NotSecret]
    public int Mtu { get; set; }

    /// <summary>
    /// Which cipher suites are used: Auto takes AEGIS-256 with members that want it too, if this machine's processor has AES instructions,
    /// and WireGuard's ChaCha20-Poly1305 with all others; WireGuard takes the latter with everybody. Auto when left out.
    /// </summary>
    [Parameter]
    [NotSecret]
    public LtCipherPolicy Cipher { get; set; }

    /// <summary>
    /// What Windows takes the network for: Private, in which others may find this machine and reach what its firewall lets in there, or
    /// Public. As Windows decides when left out, which is Public. Of no effect on Linux.
    /// </summary>
    [Parameter]
    [NotSecret]
    public LtNetworkCategory NetworkCategory { get; set; }

    /// <summary>
    /// Has the Windows Firewall let members reach everything that listens on this machine, by the tunnel's interface and while the tunnel
    /// runs, whatever the network's category is. Of no effect on Linux.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter AllowInbound { get; set; }

    /// <summary>
    /// Networks behind this machine that the others of the network may reach through it, such as 192.168.7.0/24; up to 64. They are
    /// offered: an admin of the server approves them (Approve-LtRoute), and each member says itself whether it takes them.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? Route { get; set; }

    /// <summary>
    /// What the networks of -Route are to the others, where several have the same: one network of the same length for each of -Route, in
    /// the same order. With -Route 192.168.1.0/24 -As 10.99.1.0/24 they reach 192.168.1.20 as 10.99.1.20. As they are when left out.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? As { get; set; }

    /// <summary>
    /// What goes on into the networks of -Route keeps its source addresses, so that hosts there see who asks, and need a route back to this
    /// machine for the tunnel's addresses. When left out it goes on in this machine's own name, and hosts there need to know nothing.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter NoSnat { get; set; }

    /// <summary>
    /// Takes networks behind other members, as far as an admin of the network has approved them: those that lie in one of these prefixes,
    /// such as 192.168.0.0/16, or all with *. What is in the way of something here is withheld, and Get-LtRoute says so. None when left
    /// out.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? AcceptRoute { get; set; }

    /// <summary>
    /// Takes the networks of -AcceptRoute, which are named then, also where they are in the way of one that this machine is attached to.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter ForceRoute { get; set; }

    /// <summary>
    /// Offers this machine as an exit node: members that choose it reach the internet through it, with its address there. An admin of the
    /// server approves it (Approve-LtRoute 0.0.0.0/0). The networks that it is in are not reached by that: -Route offers those.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter OfferExitNode { get; set; }

    /// <summary>
    /// The member that all traffic of this machine goes out by, but the tunnel's own datagrams: its name, tunnel address or key. It has to
    /// offer itself (-OfferExitNode) and to be approved. With none, which is so when left out, all goes as it always did.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(PeerNameCompleter))]
    public string? ExitNode { get; set; }

    /// <summary>
    /// Reaches the local network, its printers and the like, beside the exit node. When left out this machine begins nothing there, but
    /// answers who talks to it.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter AllowLan { get; set; }

    /// <summary>
    /// Lets nothing out beside the tunnel, from the start on, also while the exit node or the tunnel itself is away, and after a crash:
    /// until the tunnel is stopped in order. What others begin from outside gets no answer then, but in the local network with -AllowLan.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter KillSwitch { get; set; }

    /// <summary>
    /// How many queues work on packets side by side, each with threads of its own, 1 to 16. When left out, one up to four processors, then
    /// one for every two, at most 8.
    /// </summary>
    [Parameter]
    [NotSecret]
    public int Queues { get; set; }

    /// <summary>
    /// Hands every packet to the system by itself instead of many at a time: slower, for finding out whether a driver does not get on with
    /// segmentation offloads.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter DisableOffload { get; set; }

    /// <summary>
    /// Folder that keeps this node's identity, and a server's address leases. Each node has its own; two on one machine need
    /// different ones.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? StatePath { get; set; }

    /// <summary>
    /// File to log to, a new one each day. Nothing is written to disk when left out; Get-LtLog shows the latest entries in any case.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? LogPath { get; set; }

    /// <summary>Least important level that is logged: Debug, Information, Warning or Error. Information when left out.</summary>
    [Parameter]
    [NotSecret]
    public LtLogLevel LogLevel { get; set; }

    /// <summary>
    /// Seconds that the tunnel may take to come up before the command gives up and says why, counted from when the system has made its
    /// interface. 15 when left out.
    /// </summary>
    [Parameter]
    [ValidateRange(1, 3600)]
    [NotSecret]
    public int TimeoutSec { get; set; } = 15;

    /// <summary>Whether the command ends with the tunnel.</summary>
    private protected virtual bool Stays => false;

    /// <inheritdoc/>
    private protected override bool TakesSecrets => true;

    /// <inheritdoc/>
    private protected override TimeSpan StopGrace => Stays ? WaitStopGrace : base.StopGrace;

    /// <summary>The value of a parameter if it was given.</summary>
    internal T? Given<T>(string parameter, T value)
        where T : struct => MyInvocation.BoundParameters.ContainsKey(parameter) ? value : null;

    /// <summary>Asks the person at the prompt for a secret, which is not shown.</summary>
    /// <param name="what">What it is.</param>
    /// <param name="parameters">How else it could be given.</param>
    /// <param name="unattended">Where it is where nobody can be asked; null for nowhere.</param>
    /// <exception cref="LightTunnelException">InvalidOption: nobody can be asked, or nothing was answered.</exception>
    private protected Secret Ask(string what, string parameters, Func<SecureString?>? unattended = null)
    {
        SecureString? answer;
        try
        {
            // A console whose input is a file or a pipe would take a line of it, or end.
            if (Host.Name == "ConsoleHost" && Console.IsInputRedirected)
                throw new HostException();
            Host.UI.Write($"The {what} (not shown): ");
            answer = Host.UI.ReadLineAsSecureString();
        }
        catch (Exception exception)
            when (exception is InvalidOperationException or HostException or NotSupportedException or NotImplementedException
                or IOException)
        {
            // Nobody is there to be asked.
            answer = unattended?.Invoke();
        }

        return answer is { Length: > 0 } ? SecretText.ToSecret(answer)! : throw new LightTunnelException(
            LightTunnelError.InvalidOption,
            $"Nothing says which network to join: there is no {what}, and nobody who could be asked for it.",
            $"Give {parameters}, or -ConfigurationPath.");
    }

    /// <summary>The network's key, from the parameter or from a file.</summary>
    /// <exception cref="LightTunnelException">Both are given, or the file cannot be read.</exception>
    private protected Secret? ReadNetworkKey(SecureString? key, string? path)
    {
        if (key is not null && path is not null)
            throw new LightTunnelException(LightTunnelError.InvalidOption, "-NetworkKeyPath contradicts -NetworkKey.", "Give one of them.");
        return ResolvePath(path, "NetworkKeyPath") is { } file
            ? SecretFile.Read(file, "network key", WriteWarning)
            : SecretText.ToSecret(key);
    }

    /// <summary>What the parameters say of a server, over the file if there is one.</summary>
    /// <exception cref="LightTunnelException">They contradict each other, or a file cannot be read.</exception>
    private protected ServerSettings ReadServerSettings(IServerParameters given)
    {
        ServerSettings parameters = StartSettings.Fill(this, new ServerSettings
        {
            Address = given.Address,
            ListenPort = Given(nameof(given.ListenPort), given.ListenPort),
            Endpoint = given.Endpoint,
            NetworkKey = ReadNetworkKey(given.NetworkKey, given.NetworkKeyPath),
            ObserverPort = Given(nameof(given.ObserverPort), given.ObserverPort),
            MaxClients = Given(nameof(given.MaxClients), given.MaxClients),
            ClientIsolation = Given(nameof(given.ClientIsolation), given.ClientIsolation.IsPresent),
            AllowKeyOnly = Given(nameof(given.AllowKeyOnly), given.AllowKeyOnly.IsPresent),
            RequireApproval = Given(nameof(given.RequireApproval), given.RequireApproval.IsPresent),
            AutoApproveRoute = given.AutoApproveRoute,
            MemberExpiry = given.MemberExpiry,
            RequireSignedMembers = Given(nameof(given.RequireSignedMembers), given.RequireSignedMembers.IsPresent),
            SigningKey = given.SigningKey,
        });
        return ResolvePath(given.ConfigurationPath, nameof(given.ConfigurationPath)) is { } path
            ? TunnelCatalog.ReadServerSettings(path, parameters, WriteWarning)
            : parameters;
    }

    /// <summary>Warns of a secret that was typed, or given to a process, as part of a command.</summary>
    private protected void WarnOfCommandLine(string what, Secret? secret, string remedy)
    {
        if (secret?.Reveal() is { Length: > 20 } text && string.IsNullOrEmpty(MyInvocation.ScriptName)
            && MyInvocation.Line.Contains(text, StringComparison.Ordinal))
        {
            WriteWarning($"The {what} stands in the command itself, where the history and the list of processes keep it. {remedy}");
        }
    }

    /// <summary>Starts a tunnel within the time allowed, writes it, and stays with it if <see cref="Stays"/> says so.</summary>
    /// <param name="kind">"Server" or "Network".</param>
    /// <param name="name">The tunnel's name.</param>
    /// <param name="start">Starts it; calls what it is given when the system has made the interface.</param>
    private protected void Start(string kind, string name, Func<Action, CancellationToken, Task<ITunnelHandle>> start)
    {
        bool wait = Stays;
        var limit = TimeSpan.FromSeconds(TimeoutSec);
        Run(
            async (output, cancellationToken) =>
            {
                ITunnelHandle tunnel = await UpWithinAsync(output, limit, kind, name, start, cancellationToken).ConfigureAwait(false);
                KnownNames.RememberTunnels([tunnel]);
                TunnelStatus status = await tunnel.GetStatusAsync(cancellationToken).ConfigureAwait(false);
                if (status.LastError is { } notice)
                    output.WriteWarning(notice);
                output.WriteObject(new FoundTunnel(tunnel, status).ToObject());
                if (wait)
                {
                    Task telling = HostLog.FollowAsync(output, tunnel, cancellationToken);
                    await StayAsync(tunnel, cancellationToken).ConfigureAwait(false);
                    await Task.WhenAny(telling, Task.Delay(LastWords, CancellationToken.None)).ConfigureAwait(false);
                }
            },
            Name,
            terminating: true);
    }

    private static async Task<ITunnelHandle> UpWithinAsync(
        CommandOutput output, TimeSpan limit, string kind, string name, Func<Action, CancellationToken, Task<ITunnelHandle>> start,
        CancellationToken cancellationToken)
    {
        string what = $"{kind} '{name}'";
        var watch = new StartWatch(output, name, $"{what} comes up", limit);
        using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var patience = new CancellationTokenSource(limit + PreparationTime + ReasonGrace);
        timer.CancelAfter(limit + PreparationTime);
        Task<ITunnelHandle> starting = Task.Run(() => start(Begin, timer.Token), CancellationToken.None);
        try
        {
            await watch.UntilAsync(starting.WaitAsync(patience.Token)).ConfigureAwait(false);
            ITunnelHandle tunnel = await starting.WaitAsync(TimeSpan.Zero, CancellationToken.None).ConfigureAwait(false);
            if (!cancellationToken.IsCancellationRequested)
                return tunnel;
            await tunnel.StopAsync(CancellationToken.None).ConfigureAwait(false);
            throw new OperationCanceledException(cancellationToken);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw exception.InnerException as LightTunnelException ?? TimedOut(limit, what, exception);
        }
        catch (TimeoutException exception) when (!starting.IsCompleted)
        {
            _ = StopWhenUpAsync(starting);
            throw TimedOut(limit, what, exception);
        }

        void Begin()
        {
            try
            {
                timer.CancelAfter(limit);
                patience.CancelAfter(limit + ReasonGrace);
            }
            catch (ObjectDisposedException)
            {
                // Nobody waits any more.
            }
        }
    }

    private static LightTunnelException TimedOut(TimeSpan limit, string what, Exception exception) => new(
        LightTunnelError.TimedOut,
        $"{what} was not up within {limit.TotalSeconds:0} s.",
        "Look at Get-LtLog for what it waited for, or allow more time with -TimeoutSec.",
        exception);

    /// <summary>A tunnel that comes up although nobody waits for it any more must not stay.</summary>
    private static async Task StopWhenUpAsync(Task<ITunnelHandle> starting)
    {
        try
        {
            ITunnelHandle tunnel = await starting.ConfigureAwait(false);
            await tunnel.StopAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is LightTunnelException or OperationCanceledException)
        {
            // It did not come up after all.
        }
    }

    private static async Task StayAsync(ITunnelHandle tunnel, CancellationToken cancellationToken)
    {
        try
        {
            try
            {
                await tunnel.WaitForStopAsync(cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                // SIGTERM stopped it and ends the process in a moment: what stands behind this command in a script must not begin, and how
                // the process ends must not depend on who is quicker.
                if (TunnelCatalog.IsProcessEnding)
                    await Task.Delay(WaitStopGrace, TimeProvider.System, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await tunnel.StopAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }
}

/// <summary>The parameters of a server, of the commands that have them.</summary>
internal interface IServerParameters
{
    string[]? Address { get; }

    string? ConfigurationPath { get; }

    int ListenPort { get; }

    string[]? Endpoint { get; }

    SecureString? NetworkKey { get; }

    string? NetworkKeyPath { get; }

    int ObserverPort { get; }

    int MaxClients { get; }

    SwitchParameter ClientIsolation { get; }

    SwitchParameter AllowKeyOnly { get; }

    SwitchParameter RequireApproval { get; }

    string[]? AutoApproveRoute { get; }

    string? MemberExpiry { get; }

    SwitchParameter RequireSignedMembers { get; }

    string[]? SigningKey { get; }
}

/// <summary>
/// The settings that all start commands have. Not in the command itself: a constraint by a type of the engine would load the engine before
/// PowerShell has let <see cref="EngineLoader"/> say where it is.
/// </summary>
internal static class StartSettings
{
    /// <summary>Puts in what the command's parameters say.</summary>
    public static T Fill<T>(StartCommand command, T settings)
        where T : TunnelSettings => settings with
    {
        Name = command.Name,
        InterfaceName = command.InterfaceName,
        Mtu = command.Given(nameof(command.Mtu), command.Mtu),
        Cipher = command.Given(nameof(command.Cipher), (CipherPolicy)command.Cipher),
        NetworkCategory = command.Given(nameof(command.NetworkCategory), (NetworkCategory)command.NetworkCategory),
        AllowInbound = command.Given(nameof(command.AllowInbound), command.AllowInbound.IsPresent),
        Route = command.Route,
        As = command.As,
        NoSnat = command.Given(nameof(command.NoSnat), command.NoSnat.IsPresent),
        AcceptRoute = command.AcceptRoute,
        ForceRoute = command.Given(nameof(command.ForceRoute), command.ForceRoute.IsPresent),
        OfferExitNode = command.Given(nameof(command.OfferExitNode), command.OfferExitNode.IsPresent),
        ExitNode = command.ExitNode,
        AllowLan = command.Given(nameof(command.AllowLan), command.AllowLan.IsPresent),
        KillSwitch = command.Given(nameof(command.KillSwitch), command.KillSwitch.IsPresent),
        Queues = command.Given(nameof(command.Queues), command.Queues),
        DisableOffload = command.Given(nameof(command.DisableOffload), command.DisableOffload.IsPresent),
        StatePath = command.ResolvePath(command.StatePath, nameof(command.StatePath)),
        LogPath = command.ResolvePath(command.LogPath, nameof(command.LogPath)),
        LogLevel = command.Given(nameof(command.LogLevel), (LogLevel)command.LogLevel),
    };
}
