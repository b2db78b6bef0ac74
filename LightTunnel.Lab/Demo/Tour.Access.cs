using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using LightTunnel.Lab.Shells;

namespace LightTunnel.Lab.Demo;

/// <summary>Who may join, and who is kept out.</summary>
internal sealed partial class Tour
{
    private static readonly IPAddress LaptopAddress = IPAddress.Parse("10.0.0.30");

    private async Task AdmitAsync()
    {
        _stage.Step("A laptop joins: an invitation for one machine and one day, and an admin who approves");
        _stage.Say("The server has come back with -RequireApproval: who was a member is one, and who comes newly waits.");
        _stage.Say(string.Empty);
        await ShowAsync(Server, "$line = New-LtInvitation -Name laptop -MaxUses 1 -ExpiresIn 1.00:00; $line").ConfigureAwait(false);
        ShellResult text = await Server.Shell.InvokeAsync("\"$line\"", cancellationToken: _cancellationToken).ConfigureAwait(false);
        ShellResult joined = await _stage.RunAsync(
            Laptop, $"Connect-LtNetwork -Invitation $text -Address {LaptopAddress}", _cancellationToken,
            $"param($text) Connect-LtNetwork -Invitation $text -Address {LaptopAddress}",
            new { text = text.Single().ToString() }).ConfigureAwait(false);
        _stage.Find(joined.Single().Text("State") == "AwaitingApproval", "the laptop waits, reaches nothing and learns of nobody");
        _stage.Say(string.Empty);
        await ShowAsync(Server, "Get-LtMember -State Pending").ConfigureAwait(false);
        await ShowAsync(Server, "Get-LtMember -State Pending | Approve-LtMember").ConfigureAwait(false);
        await Laptop.Shell.InvokeAsync(
            $"Wait-LtNetwork -TimeoutSec {RecoveryTimeout.TotalSeconds}; Wait-LtPeer alice -TimeoutSec {RecoveryTimeout.TotalSeconds}",
            cancellationToken: _cancellationToken).ConfigureAwait(false);
        await PingAsync(Laptop, AliceAddress, count: 1).ConfigureAwait(false);
        ShellResult invitations = await ShowAsync(Server, "Get-LtInvitation laptop").ConfigureAwait(false);
        _stage.Find(invitations.Single().Text("State") == "UsedUp", "the invitation admits nobody else");
    }

    private async Task ForbidAsync()
    {
        const int Open = 8080, Forbidden = 8443;
        _stage.Step("A rule: the laptop may not talk to one port of alice");
        using Socket open = TcpTransfer.Listen(Alice, AliceAddress, Open);
        using Socket forbidden = TcpTransfer.Listen(Alice, AliceAddress, Forbidden);
        string? before = await TryConnectAsync(Forbidden).ConfigureAwait(false);
        _stage.Find(before is null, $"alice listens on two ports, and the laptop reaches {Forbidden}");
        _stage.Say(string.Empty);
        await ShowAsync(Server, $"New-LtRule laptop alice -Protocol Tcp -Port {Forbidden} -Action Deny").ConfigureAwait(false);
        string? after = before;
        for (long started = Stopwatch.GetTimestamp(); after is null && Stopwatch.GetElapsedTime(started) < RecoveryTimeout;)
            after = await TryConnectAsync(Forbidden).ConfigureAwait(false);
        _stage.Find(after is not null, $"the laptop's own system refuses it at once: {after}");
        _stage.Find(await TryConnectAsync(Open).ConfigureAwait(false) is null, $"{Open} is reached as before");
        _stage.Say(string.Empty);
        await ShowAsync(Server, $"Test-LtRule laptop alice -Port {Forbidden}").ConfigureAwait(false);
    }

    /// <summary>Has the laptop connect to a port of alice's; null when that succeeds, otherwise why not.</summary>
    private async Task<string?> TryConnectAsync(int port)
    {
        using Socket socket = TcpTransfer.Open(Laptop, AliceAddress.AddressFamily);
        try
        {
            await socket.ConnectAsync(new IPEndPoint(AliceAddress, port), _cancellationToken)
                .AsTask().WaitAsync(RecoveryTimeout, _cancellationToken).ConfigureAwait(false);
            return null;
        }
        catch (SocketException exception)
        {
            return exception.Message;
        }
    }

    private async Task KeepOutAsync()
    {
        _stage.Step("The laptop is stolen: it is kept out before the eyes of all");
        await ShowAsync(Server, "Block-LtMember laptop").ConfigureAwait(false);
        _stage.Find(
            await BecomesAsync(Alice, "-not (Get-LtPeer | Where-Object Name -eq laptop)").ConfigureAwait(false),
            "alice does not know it any more");
        _stage.Find(
            await BecomesAsync(Laptop, "(Get-LtNetwork).LastError -like '*has blocked this machine*'").ConfigureAwait(false),
            "the laptop was told why");
        CommandResult ping = await Laptop.PingAsync(
            AliceAddress.ToString(), 3, PingInterval, _cancellationToken, "-W", "1").ConfigureAwait(false);
        _stage.Find(!ping.Output.Contains("bytes from", StringComparison.Ordinal), "it reaches nobody, and alice and bob go on:");
        await PingAsync(Alice, BobAddress, count: 1).ConfigureAwait(false);
        _stage.Say(string.Empty);
        await ShowAsync(Server, "Get-LtMember").ConfigureAwait(false);
        await ShowAsync(Server, "Get-LtLog -Category Audit -Tail 4").ConfigureAwait(false);
    }

    /// <summary>Waits until what is asked of a machine is true; false when it does not become so.</summary>
    private async Task<bool> BecomesAsync(LabNode node, string condition)
    {
        long started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started) < RecoveryTimeout)
        {
            ShellResult result = await node.Shell.InvokeAsync(
                $"[bool]({condition})", cancellationToken: _cancellationToken).ConfigureAwait(false);
            if (result.Single().Value.GetBoolean())
                return true;
            await Task.Delay(PingInterval, _cancellationToken).ConfigureAwait(false);
        }

        return false;
    }
}
