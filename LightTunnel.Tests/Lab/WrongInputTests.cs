using System.Net;
using System.Net.Sockets;
using LightTunnel.Configuration;
using LightTunnel.Lab;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>
/// Every wrong input that a person can make, on machines with real interfaces: each has an ErrorId of its own, names the culprit, says what
/// to do, and leaves nothing behind.
/// </summary>
[Collection(nameof(RunningNetwork))]
public sealed class WrongInputTests(RunningNetwork network)
{
    /// <summary>What a wrong start is tried with, and a right one afterwards.</summary>
    private static readonly string[] SecondServersOwn = ["-Name second", "-StatePath second", "-ListenPort 9010"];
    private static readonly string SecondServer = "Start-LtServer " + string.Join(' ', SecondServersOwn);
    private const string Twin = "Connect-LtNetwork -Name twin -StatePath twin";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("-Address 10.1.0.1", "InvalidAddress", "10.1.0.1")]
    [InlineData("-Address 10.1.0.0/24", "InvalidAddress", "10.1.0.0/24")]
    [InlineData("-Address 10.1.0.1/33", "InvalidAddress", "10.1.0.1/33")]
    [InlineData("-Address 203.0.113.1/24", "AddressInUse", "wan")]
    [InlineData("-Address 10.0.0.7/24", "AddressInUse", "lt0")]
    [InlineData("-Address 10.1.0.1/24 -ListenPort 9000", "PortInUse", "9000")]
    [InlineData("-Address 10.1.0.1/24 -ListenPort 65536", "InvalidOption", "65536")]
    [InlineData("-Address 10.1.0.1/24 -InterfaceName wan", "InterfaceNameInUse", "wan")]
    [InlineData("-Address 10.1.0.1/24 -InterfaceName name-of-many-letters", "InvalidName", "name-of-many-letters")]
    [InlineData("-Address 10.1.0.1/24 -Name 'two words'", "InvalidName", "two words")]
    [InlineData("-Address 10.1.0.1/24 -Name server", "NameInUse", "server")]
    [InlineData("-Address 10.1.0.1/24 -StatePath state", "StateInUse", "/server/state")]
    [InlineData("-Address 10.1.0.1/24 -StatePath damaged", "InvalidState", "damaged")]
    [InlineData("-Address 10.1.0.1/24 -StatePath /proc/none", "FileAccess", "/proc/none")]
    [InlineData("-Address 10.1.0.1/24 -LogPath /proc/none/log", "FileAccess", "/proc/none/log")]
    [InlineData("-Address 10.1.0.1/24 -Endpoint vpn.example.org:port", "InvalidEndpoint", "vpn.example.org:port")]
    [InlineData("-Address 10.1.0.1/24 -Endpoint 10.1.0.1:9010", "InvalidEndpoint", "10.1.0.1:9010")]
    [InlineData("-Address 10.1.0.1/24 -Mtu 100", "InvalidOption", "Mtu 100")]
    [InlineData("-Address 10.1.0.1/24 -NetworkKey short", "InvalidKey", "network key")]
    [InlineData("-ConfigurationPath wrong.yaml", "InvalidConfiguration", "wrong.yaml, line 2, column 1")]
    public async Task StartLtServer_WrongInput_NamesItAndLeavesNothing(string arguments, string errorId, string culprit)
    {
        await network.JoinAsync();
        LabNode server = network.Server;
        Directory.CreateDirectory(Path.Combine(server.Folder, "damaged"));
        await File.WriteAllTextAsync(Path.Combine(server.Folder, "damaged", "state.json"), "not what was written", Token);
        await File.WriteAllTextAsync(Path.Combine(server.Folder, "wrong.yaml"), "role: server\nadress: 10.1.0.1/24\n", Token);
        string[] before = await TracesAsync(server);

        // What a row gives replaces what the second server would have.
        string rest = string.Join(
            ' ', SecondServersOwn.Where(parameter => !arguments.Contains(parameter.Split(' ')[0] + ' ', StringComparison.Ordinal)));
        ShellResult result = await InvokeAsync(server, $"Start-LtServer {rest} {arguments}");

        AssertError(result, $"{errorId},LightTunnel.StartLtServerCommand", culprit);
        Assert.Equal(before, await TracesAsync(server));
        AssertUnlocked(server, "second");
        AssertUnlocked(server, "damaged");
    }

    [Theory]
    [InlineData(Twin + " -Invitation $text -Address 10.0.0.20", "AddressTaken", "10.0.0.20")]
    [InlineData(Twin + " -Invitation $text -Address 10.9.0.20", "InvalidAddress", "10.9.0.20")]
    [InlineData(Twin + " -Invitation $text -Address 10.0.0.1", "InvalidAddress", "10.0.0.1")]
    [InlineData(Twin + " -Invitation $text -Address 10.0.0.30/24", "InvalidAddress", "10.0.0.30/24")]
    [InlineData(Twin + " -Invitation $text", "AddressInUse", "lt0")]
    [InlineData("Connect-LtNetwork -Name alice -StatePath twin -Invitation $text", "NameInUse", "alice")]
    [InlineData("Connect-LtNetwork -Name twin -StatePath state -Invitation $text", "AlreadyJoined", "as 'alice' (Up")]
    [InlineData(Twin + " -Invitation $text.Substring(0, 60)", "InvalidInvitation", "cut short")]
    [InlineData(Twin + " -Invitation ($text.Substring(0, $text.Length - 3) + 'xyz')", "InvalidInvitation", "mistyped")]
    [InlineData(Twin + " -Invitation ('lt9:' + $text.Substring(4))", "InvalidInvitation", "newer version")]
    [InlineData(Twin + " -Invitation hello", "InvalidInvitation", "lt1:")]
    [InlineData(Twin + " -Invitation $text -InterfaceName lt0", "InterfaceNameInUse", "lt0")]
    [InlineData(Twin + " -Invitation $text -LogPath /proc/no/log", "FileAccess", "/proc/no/log")]
    [InlineData(Twin + " -Invitation $text -ListenPort 70000", "InvalidOption", "70000")]
    [InlineData(Twin + " -Server 203.0.113.1:9000", "InvalidOption", "ServerKey and NetworkKey")]
    [InlineData(Twin, "InvalidOption", "which network")]
    [InlineData(
        Twin + " -TimeoutSec $seconds -Server 203.0.113.1:9000 -ServerKey $serverKey -NetworkKey (New-LtNetworkKey)", "InvalidKey",
        "network key")]
    [InlineData(
        Twin + " -TimeoutSec 1 -Server 203.0.113.1:9000 -ServerKey \"$(New-LtNetworkKey)\" -NetworkKey (New-LtNetworkKey)",
        "ServerUnreachable", "203.0.113.1:9000")]
    [InlineData(
        Twin + " -TimeoutSec 1 -Server 198.51.100.1:9000 -ServerKey $serverKey -NetworkKey (New-LtNetworkKey)", "ServerUnreachable",
        "198.51.100.1:9000")]
    [InlineData(
        Twin + " -TimeoutSec $seconds -Server server.invalid:9000 -ServerKey $serverKey -NetworkKey (New-LtNetworkKey)",
        "NameResolutionFailed", "server.invalid")]
    public async Task ConnectLtNetwork_WrongInput_NamesItAndLeavesNothing(string script, string errorId, string culprit)
    {
        await network.JoinAsync();
        LabNode alice = network.Alice;
        string[] before = await TracesAsync(alice);

        // What has to come from elsewhere may take its time on a busy machine: then all is done once more with more of it.
        ShellResult result;
        int seconds = 1;
        do
        {
            result = await InvokeAsync(alice, script.Replace("$seconds", $"{seconds *= 2}", StringComparison.Ordinal));
        }
        while (script.Contains("$seconds", StringComparison.Ordinal) && seconds < 60
            && !result.Errors[0].ErrorId.StartsWith(errorId, StringComparison.Ordinal));

        AssertError(result, $"{errorId},LightTunnel.ConnectLtNetworkCommand", culprit);
        Assert.Equal(before, await TracesAsync(alice));
        AssertUnlocked(alice, "twin");
    }

    [Fact]
    public async Task ConnectLtNetwork_PortOfAnotherProgram_IsPortInUse()
    {
        await network.JoinAsync();
        using Socket other = NetworkNamespace.Run(
            network.Alice.Namespace, () => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        other.Bind(new IPEndPoint(IPAddress.Any, 0));
        int port = ((IPEndPoint)other.LocalEndPoint!).Port;

        ShellResult result = await InvokeAsync(network.Alice, $"{Twin} -Invitation $text -ListenPort {port}");

        AssertError(result, "PortInUse,LightTunnel.ConnectLtNetworkCommand", $"{port}");
    }

    [Fact]
    public async Task ConnectLtNetwork_ExpiredInvitation_IsRefusedWithItsDate()
    {
        await network.JoinAsync();
        ShellObject invitation = (await network.Server.Shell.InvokeAsync(
            "New-LtInvitation -Expires ([DateTimeOffset]::UtcNow.AddSeconds(5)) | ForEach-Object { @{ Text = $_.ToString(); "
                + "Expires = $_.Expires.ToString('yyyy-MM-dd HH:mm') } }",
            cancellationToken: Token)).Single();

        // Until it has expired, the interface's name is what is wrong.
        ShellResult result;
        do
        {
            result = await network.Alice.Shell.TryInvokeAsync(
                $"param($text) {Twin} -InterfaceName lt0 -Invitation $text", new { text = invitation.Text("Text") },
                cancellationToken: Token);
        }
        while (result.Errors[0].ErrorId.StartsWith("InterfaceNameInUse", StringComparison.Ordinal));

        AssertError(result, "InvitationExpired,LightTunnel.ConnectLtNetworkCommand", invitation.Text("Expires")!);
    }

    [Theory]
    [InlineData("Get-LtServer none", "none")]
    [InlineData("Get-LtNetwork none", "none")]
    [InlineData("Get-LtPeer none", "none")]
    [InlineData("Get-LtPeer -Address 10.0.0.77", "10.0.0.77")]
    [InlineData("Get-LtRoute 198.51.100.7", "198.51.100.7")]
    [InlineData("Get-LtRoute -Network none", "none")]
    [InlineData("Get-LtLog none", "none")]
    [InlineData("Stop-LtServer none", "none")]
    [InlineData("Disconnect-LtNetwork none", "none")]
    [InlineData("New-LtInvitation none", "none")]
    [InlineData("New-LtInvitation", "server")]
    public async Task UnknownName_IsNotFound(string script, string culprit)
    {
        await network.JoinAsync();
        ShellResult result = await InvokeAsync(network.Alice, script);
        Assert.StartsWith("NotFound,LightTunnel.", AssertError(result, null, culprit).ErrorId, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("PrivilegeRequired", "CAP_NET_ADMIN", "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")]
    [InlineData("TunUnavailable", "/dev/net/tun", "unshare", "--mount", "sh", "-c", "mount -t tmpfs none /dev/net && exec \"$@\"", "sh")]
    public async Task Start_WithoutPrivilegeOrDevice_SaysSoAndLeavesNothing(
        string errorId, string culprit, string program, params string[] before)
    {
        await network.JoinAsync();
        LabNode bob = network.Bob;
        string[] traces = await TracesAsync(bob);
        foreach (string script in new[] { "Start-LtServer -Address 10.1.0.1/24 -Name second -StatePath second -ListenPort 9010",
            $"{Twin} -Invitation '{network.Invitation}'" })
        {
            CommandResult result = await bob.ExecuteAsync(
                program, [.. before, .. RealPowerShell.Command, "-NonInteractive", "-Command",
                    $"Import-Module {RealPowerShell.Quote(LabPaths.ModuleManifest())}; try {{ {script} }} catch {{ "
                        + $"\"[$($_.FullyQualifiedErrorId)] $_ $($_.ErrorDetails.RecommendedAction)\"; exit 1 }}"], Token);

            Assert.Equal(1, result.ExitCode);
            Assert.Contains(
                $"[{errorId},LightTunnel.{script.Split(' ')[0].Replace("-", string.Empty, StringComparison.Ordinal)}Command", result.Output,
                StringComparison.Ordinal);
            Assert.Contains(culprit, result.Output, StringComparison.Ordinal);
        }

        Assert.Equal(traces, await TracesAsync(bob));
        AssertUnlocked(bob, "second");
        AssertUnlocked(bob, "twin");
    }

    [Fact]
    public async Task AfterWrongStarts_TheRightOneWorks()
    {
        await network.JoinAsync();
        LabNode server = network.Server;
        string[] unusable =
            ["-Address 10.0.0.7/24", "-Address 10.1.0.1/24 -InterfaceName wan", "-Address 10.1.0.1/24 -LogPath /proc/none/log"];
        foreach (string wrong in unusable)
            Assert.Single((await InvokeAsync(server, $"{SecondServer} {wrong}")).Errors);

        await server.Shell.InvokeAsync($"{SecondServer} -Address 10.1.0.1/24", cancellationToken: Token);
        string[] stopped =
            [.. (await server.Shell.InvokeAsync("(Stop-LtServer second -PassThru).State", cancellationToken: Token)).Output.Select(state =>
                state.ToString())];

        Assert.Equal(["Stopped"], stopped);
        AssertUnlocked(server, "second");
    }

    private async Task<ShellResult> InvokeAsync(LabNode node, string script)
    {
        string serverKey =
            (await network.Server.Shell.InvokeAsync("(Get-LtServer server).PublicKey", cancellationToken: Token)).Single().ToString();
        return await node.Shell.TryInvokeAsync(
            $"param($text, $serverKey) {script}", new { text = network.Invitation, serverKey }, cancellationToken: Token);
    }

    /// <summary>What a start that failed could leave: interfaces, tunnels, control sockets.</summary>
    private static async Task<string[]> TracesAsync(LabNode node)
    {
        CommandResult links = await node.ExecuteAsync("ip", ["-br", "link", "show"], Token);
        ShellResult tunnels = await node.Shell.InvokeAsync("(Get-LtServer).Name; (Get-LtNetwork).Name", cancellationToken: Token);
        return
        [
            .. links.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ')[0]),
            .. tunnels.Output.Select(name => name.ToString()),
            .. Directory.GetFiles(node.RuntimeFolder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal),
        ];
    }

    /// <summary>Nobody holds the lock of a state folder: it can be opened.</summary>
    private static void AssertUnlocked(LabNode node, string folder)
    {
        if (Directory.Exists(Path.Combine(node.Folder, folder)))
            StateStore.Open(Path.Combine(node.Folder, folder)).Dispose();
    }

    private static ShellError AssertError(ShellResult result, string? errorId, string culprit)
    {
        ShellError error = Assert.Single(result.Errors);
        Assert.Equal(errorId ?? error.ErrorId, error.ErrorId);
        Assert.NotEqual("NotSpecified", error.Category);
        Assert.Contains(culprit, error.Message, StringComparison.Ordinal);
        Assert.False(string.IsNullOrWhiteSpace(error.RecommendedAction), error.ToString());
        return error;
    }
}
