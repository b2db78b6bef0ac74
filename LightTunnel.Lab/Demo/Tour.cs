using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using LightTunnel.Internet.Nats;
using LightTunnel.Lab.Shells;

namespace LightTunnel.Lab.Demo;

/// <summary>The demo: a server and three clients on an internet of their own, and everything a newcomer wants to see of them.</summary>
internal sealed partial class Tour
{
    private const string AliceRouter = "alice-router";
    private const string BobRouter = "bob-router";

    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan PingInterval = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan RecoveryTimeout = TimeSpan.FromMinutes(2);
    private static readonly IPAddress ServerAddress = IPAddress.Parse("10.0.0.1");
    private static readonly IPAddress AliceAddress = IPAddress.Parse("10.0.0.10");
    private static readonly IPAddress BobAddress = IPAddress.Parse("10.0.0.20");

    private readonly DemoStage _stage;
    private readonly Laboratory _laboratory;
    private readonly CancellationToken _cancellationToken;

    private Tour(DemoStage stage, Laboratory laboratory, CancellationToken cancellationToken)
    {
        _stage = stage;
        _laboratory = laboratory;
        _cancellationToken = cancellationToken;
    }

    private LabNode Server => _laboratory["server"];

    private LabNode Alice => _laboratory["alice"];

    private LabNode Bob => _laboratory["bob"];

    private LabNode Laptop => _laboratory["laptop"];

    /// <returns>0 when every step did what it shows, otherwise 1.</returns>
    public static async Task<int> RunAsync(TextWriter output, CancellationToken cancellationToken)
    {
        var stage = new DemoStage(output);
        try
        {
            output.WriteLine("LightTunnel: a private network between machines, shown on four machines made for this.");
            stage.Step("Four machines on an internet of their own");
            stage.Say("Each is a Linux network namespace with its own PowerShell; this program is the internet between them.");
            SetupCheck.Provide([.. SetupCheck.Essentials(), .. SetupCheck.ForDemo()], output);
            Topology topology = Topology.OpenHosts(Delay, "server", "laptop")
                .WithLan(AliceRouter, NatKind.PortRestrictedCone, Delay, "alice")
                .WithLan(BobRouter, NatKind.PortRestrictedCone, Delay, "bob");
            Laboratory laboratory = await Laboratory.StartAsync(topology, cancellationToken: cancellationToken).ConfigureAwait(false);
            await using (laboratory.ConfigureAwait(false))
                await new Tour(stage, laboratory, cancellationToken).RunStepsAsync().ConfigureAwait(false);
            stage.Find(laboratory.RemainingNamespaces().Count == 0, "the four machines are gone as well");
            output.WriteLine();
            output.WriteLine(
                string.Create(CultureInfo.InvariantCulture, $"All {stage.Findings} checks passed in {stage.Elapsed.TotalSeconds:F0} s."));
            return 0;
        }
        catch (Exception exception)
            when (exception is DemoException or LabException or TimeoutException or IOException or System.Net.Sockets.SocketException)
        {
            output.WriteLine();
            output.WriteLine($"The demo ended early: {exception.Message}");
            if (exception is LabException { RecommendedAction: { } action })
                output.WriteLine(action);
            return 1;
        }
    }

    private async Task RunStepsAsync()
    {
        foreach (LabNode node in _laboratory.Nodes)
            _stage.Say($"{node.Name,-7} {string.Join("  ", node.Addresses)}");
        _stage.Say($"Between any two of them a packet takes {Delay.TotalMilliseconds} ms. Alice and bob are at home, each behind a NAT "
            + "that lets nobody in");
        _stage.Say("who was not written to before.");

        await StartServerAsync().ConfigureAwait(false);
        string invitation = await InviteAsync().ConfigureAwait(false);
        await JoinAsync(invitation).ConfigureAwait(false);
        await PingEverybodyAsync().ConfigureAwait(false);
        await TransferAsync().ConfigureAwait(false);
        await LookAsync().ConfigureAwait(false);
        await CutAndHealAsync().ConfigureAwait(false);
        await ExplainAsync().ConfigureAwait(false);
        await RestartServerAsync().ConfigureAwait(false);
        await AdmitAsync().ConfigureAwait(false);
        await ForbidAsync().ConfigureAwait(false);
        await KeepOutAsync().ConfigureAwait(false);
        await StopAsync().ConfigureAwait(false);
    }

    private async Task StartServerAsync()
    {
        _stage.Step("A server, on a machine that others can reach");
        await ShowAsync(
            Server, $"Start-LtServer -Address {ServerAddress}/24 -ListenPort 9000 -Endpoint 203.0.113.1:9000").ConfigureAwait(false);
    }

    private async Task<string> InviteAsync()
    {
        _stage.Step("An invitation: one line of text, and whoever has it may join");
        await ShowAsync(Server, "$invitation = New-LtInvitation; $invitation").ConfigureAwait(false);
        _stage.Say("The line itself is a secret, so views do not show it; \"$invitation\" is the text to send.");
        ShellResult text = await Server.Shell.InvokeAsync("\"$invitation\"", cancellationToken: _cancellationToken).ConfigureAwait(false);
        return text.Single().ToString();
    }

    private async Task JoinAsync(string invitation)
    {
        _stage.Step("Two clients join with it");
        foreach ((LabNode node, IPAddress address) in new[] { (Alice, AliceAddress), (Bob, BobAddress) })
        {
            await _stage.RunAsync(
                node, $"Connect-LtNetwork -Invitation $text -Address {address}", _cancellationToken,
                $"param($text) $watch = [Diagnostics.Stopwatch]::StartNew(); Connect-LtNetwork -Invitation $text -Address {address}; "
                    + "$watch.Stop()", new { text = invitation }).ConfigureAwait(false);
            double joined = (await node.Shell.InvokeAsync(
                "$watch.Elapsed.TotalMilliseconds", cancellationToken: _cancellationToken).ConfigureAwait(false))
                .Single().Value.GetDouble();
            await PingAsync(node, ServerAddress, count: 1).ConfigureAwait(false);
            _stage.Say(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Joining took {joined:F0} ms on a network where a round trip to the server takes {2 * Delay.TotalMilliseconds} ms."));
            _stage.Say(string.Empty);
        }
    }

    private async Task PingEverybodyAsync()
    {
        _stage.Step("Everybody reaches everybody, in both directions");
        foreach ((LabNode from, IPAddress to) in new[]
        {
            (Alice, ServerAddress), (Server, AliceAddress), (Bob, ServerAddress), (Server, BobAddress), (Alice, BobAddress),
            (Bob, AliceAddress),
        })
        {
            await PingAsync(from, to, count: 3).ConfigureAwait(false);
        }
    }

    private async Task TransferAsync()
    {
        _stage.Step("TCP goes through, and what arrives is what was sent");
        foreach ((LabNode from, LabNode to, IPAddress address, int megabytes) in new[]
        {
            (Alice, Server, ServerAddress, 4), (Server, Alice, AliceAddress, 4), (Alice, Bob, BobAddress, 16),
        })
        {
            TcpTransfer.Result result = await TcpTransfer.RunAsync(from, to, address, megabytes << 20, _cancellationToken)
                .WaitAsync(RecoveryTimeout, _cancellationToken).ConfigureAwait(false);
            _stage.Find(result.IsIntact, string.Create(CultureInfo.InvariantCulture,
                $"{from.Name} sent {megabytes} MiB to {to.Name} in {result.Duration.TotalSeconds:F1} s, and the SHA-256 checksums agree"));
        }
    }

    private async Task LookAsync()
    {
        _stage.Step("What a member sees");
        await ShowAsync(Alice, "Get-LtPeer").ConfigureAwait(false);
        await ShowAsync(Alice, "Get-LtRoute").ConfigureAwait(false);
        _stage.Find(await BecomesAsync("Direct").ConfigureAwait(false), "alice reaches bob directly, through both NATs");
        await ShowAsync(Server, "Get-LtServer").ConfigureAwait(false);
    }

    private async Task CutAndHealAsync()
    {
        _stage.Step("The direct path is cut, and healed");
        Heartbeat heartbeat = await Heartbeat.StartAsync(Alice, Bob, BobAddress, _cancellationToken).ConfigureAwait(false);
        await using (heartbeat.ConfigureAwait(false))
        {
            await heartbeat.WaitForAnswerAsync(RecoveryTimeout, _cancellationToken).ConfigureAwait(false);
            _stage.Say("alice has a TCP connection to bob, on which a number goes there and back every 20 ms.");
            heartbeat.Forget();
            using var stopWatching = CancellationTokenSource.CreateLinkedTokenSource(_cancellationToken);
            string watch = $"Watch-LtRoute {BobAddress}";
            var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Task<ShellResult> watching = Alice.Shell.TryInvokeAsync(
                watch, runspace: "watch", render: true, onOutput: _ => begun.TrySetResult(), cancellationToken: stopWatching.Token);
            await begun.Task.WaitAsync(RecoveryTimeout, _cancellationToken).ConfigureAwait(false);
            _laboratory.CutBetween("alice", "bob");
            await heartbeat.WaitForAnswerAsync(RecoveryTimeout, _cancellationToken).ConfigureAwait(false);
            _stage.Say("The path between their two homes was cut. Who is relayed now?");
            _stage.Say(string.Empty);
            _stage.Find(
                await BecomesAsync("Server").ConfigureAwait(false), "the server passes everything on, without being able to read it");
            await ShowAsync(Alice, "Get-LtRoute | Where Type -eq Server").ConfigureAwait(false);
            _stage.Find(
                true, string.Create(
                    CultureInfo.InvariantCulture, $"the connection stood still for {heartbeat.LongestSilence.TotalSeconds:F2} s"));
            heartbeat.Forget();
            _laboratory.HealBetween("alice", "bob");
            _stage.Find(await BecomesAsync("Direct").ConfigureAwait(false), "the path was healed, and alice reaches bob directly again");
            await heartbeat.WaitForAnswerAsync(RecoveryTimeout, _cancellationToken).ConfigureAwait(false);
            _stage.Find(
                true, string.Create(
                    CultureInfo.InvariantCulture,
                    $"the way back went unnoticed: the longest silence was {heartbeat.LongestSilence.TotalSeconds:F2} s"));
            await stopWatching.CancelAsync().ConfigureAwait(false);
            _stage.Say("All the while somebody watched the route, and then pressed Ctrl+C:");
            _stage.Say(string.Empty);
            _stage.Prompt(Alice, watch);
            _stage.Show(await watching.ConfigureAwait(false));
        }
    }

    private async Task ExplainAsync()
    {
        _stage.Step("Why is it not direct?");
        _stage.Say(
            "Alice and bob get other routers, which choose another random port for each destination. Nobody can tell in advance which.");
        Heartbeat heartbeat = await Heartbeat.StartAsync(Alice, Bob, BobAddress, _cancellationToken).ConfigureAwait(false);
        await using (heartbeat.ConfigureAwait(false))
        {
            await heartbeat.WaitForAnswerAsync(RecoveryTimeout, _cancellationToken).ConfigureAwait(false);
            ReplaceRouters(NatKind.SymmetricRandom);
            await heartbeat.WaitForAnswerAsync(RecoveryTimeout, _cancellationToken).ConfigureAwait(false);
            _stage.Find(await BecomesAsync("Server").ConfigureAwait(false), "the server passes everything on");
            _stage.Say(string.Empty);
            ShellResult test = await TestUntilTriedAsync().ConfigureAwait(false);
            _stage.Find(
                test.Output is [var result] && result.Text("Reason") == "BothNatsRandom",
                "the command names both NATs, and says what can be done");
            ReplaceRouters(NatKind.PortRestrictedCone);
            _stage.Find(await BecomesAsync("Direct").ConfigureAwait(false), "with the old routers alice reaches bob directly again");
        }
    }

    /// <summary>A test right after the change says that a path is being tried; the one that is shown comes when it was.</summary>
    private async Task<ShellResult> TestUntilTriedAsync()
    {
        const string Command = "Test-LtP2P bob";
        long started = Stopwatch.GetTimestamp();
        ShellResult test;
        do
            test = await Alice.Shell.TryInvokeAsync(Command, render: true, cancellationToken: _cancellationToken).ConfigureAwait(false);
        while (test.Output is [var result] && result.Text("Reason") == "Punching" && Stopwatch.GetElapsedTime(started) < RecoveryTimeout);
        _stage.Prompt(Alice, Command);
        _stage.Show(test);
        return test;
    }

    private void ReplaceRouters(NatKind kind)
    {
        foreach (string router in new[] { AliceRouter, BobRouter })
            _laboratory.Internet.Replace(_laboratory.Nat(router), NatKinds.Layers(kind)[0]);
    }

    private async Task<bool> IsBobAsync(string type)
    {
        ShellResult routes = await Alice.Shell.InvokeAsync(
            $"Get-LtRoute -Destination {BobAddress}/32", cancellationToken: _cancellationToken).ConfigureAwait(false);
        return routes.Output.Any(route => route.Text("Type") == type);
    }

    /// <summary>Waits until alice's route to bob is of a type; false when it does not become so.</summary>
    private async Task<bool> BecomesAsync(string type)
    {
        long started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started) < RecoveryTimeout)
        {
            if (await IsBobAsync(type).ConfigureAwait(false))
                return true;
            await Task.Delay(PingInterval, _cancellationToken).ConfigureAwait(false);
        }

        return false;
    }

    private async Task RestartServerAsync()
    {
        _stage.Step("The server loses power and comes back; connections live on");
        Heartbeat heartbeat = await Heartbeat.StartAsync(Alice, Bob, BobAddress, _cancellationToken).ConfigureAwait(false);
        await using (heartbeat.ConfigureAwait(false))
        {
            await heartbeat.WaitForAnswerAsync(RecoveryTimeout, _cancellationToken).ConfigureAwait(false);
            _stage.Say("alice has a TCP connection to bob, on which a number goes there and back every 20 ms.");
            heartbeat.Forget();
            await Server.StopShellAsync(crash: true).ConfigureAwait(false);
            _stage.Say("The server's process was killed. Starting it again ...");
            _stage.Say(string.Empty);
            await Server.StartShellAsync([LabPaths.ModuleManifest()], _cancellationToken).ConfigureAwait(false);
            await StartServerCommandAgainAsync().ConfigureAwait(false);
            await heartbeat.WaitForAnswerAsync(RecoveryTimeout, _cancellationToken).ConfigureAwait(false);
            _stage.Find(true, string.Create(CultureInfo.InvariantCulture,
                $"the very same connection goes on: {heartbeat.Answered} numbers came back in order; "
                    + $"it stood still for {heartbeat.LongestSilence.TotalSeconds:F1} s"));
        }
    }

    private Task<ShellResult> StartServerCommandAgainAsync() => ShowAsync(
        Server, $"Start-LtServer -Address {ServerAddress}/24 -ListenPort 9000 -Endpoint 203.0.113.1:9000 -RequireApproval");

    private async Task StopAsync()
    {
        _stage.Step("What happened, from alice's log");
        await ShowAsync(Alice, "Get-LtLog -Tail 10").ConfigureAwait(false);

        _stage.Step("A clean end");
        await ShowAsync(Bob, "Disconnect-LtNetwork -Name *").ConfigureAwait(false);
        await ShowAsync(Laptop, "Disconnect-LtNetwork -Name *").ConfigureAwait(false);
        await ShowAsync(Alice, "Get-LtNetwork | Disconnect-LtNetwork").ConfigureAwait(false);
        await ShowAsync(Server, "Stop-LtServer -Name *").ConfigureAwait(false);
        foreach (LabNode node in _laboratory.Nodes)
        {
            CommandResult links = await node.ExecuteAsync("ip", ["-o", "link", "show"], _cancellationToken).ConfigureAwait(false);
            string[] names = [.. InterfacePattern().Matches(links.Output)
                .Select(match => match.Groups[1].Value)
                .Where(name => name is not ("lo" or "wan"))];
            _stage.Find(
                names.Length == 0,
                names.Length == 0 ? $"{node.Name} has no tunnel interface any more" : $"{node.Name} still has {string.Join(", ", names)}");
        }
    }

    private Task<ShellResult> ShowAsync(LabNode node, string command) => _stage.RunAsync(node, command, _cancellationToken);

    private async Task PingAsync(LabNode from, IPAddress to, int count)
    {
        CommandResult ping = await from.PingAsync(to.ToString(), count, PingInterval, _cancellationToken, "-w", "60").ConfigureAwait(false);
        Match received = ReceivedPattern().Match(ping.Output);
        int answers = received.Success ? int.Parse(received.Groups[1].Value, CultureInfo.InvariantCulture) : 0;
        string time = RoundTripPattern().Match(ping.Output) is { Success: true } match
            ? $", {match.Groups[1].Value} ms on average"
            : string.Empty;
        string reason = answers >= count ? string.Empty : $"\n{ping.Output}{ping.Errors}";
        _stage.Find(answers >= count, $"{from.Name} pings {to}: {answers} answered{time}{reason}");
    }

    [GeneratedRegex(@"(\d+) received")]
    private static partial Regex ReceivedPattern();

    [GeneratedRegex(@"= [\d.]+/([\d.]+)/")]
    private static partial Regex RoundTripPattern();

    [GeneratedRegex(@"^\d+: ([^:@]+)[:@]", RegexOptions.Multiline)]
    private static partial Regex InterfacePattern();
}
