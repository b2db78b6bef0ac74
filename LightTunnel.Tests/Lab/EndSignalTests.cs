using LightTunnel.Lab;
using LightTunnel.Lab.Shells;
using LightTunnel.Management;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>How a real pwsh with a tunnel in it ends: a service is stopped, a terminal is closed.</summary>
public sealed class EndSignalTests
{
    private const int Hup = 1, Terminate = 15, Interrupt = 2;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private const string Online = "@(Get-LtPeer alice -ErrorAction Ignore | Where-Object Path -ne Offline).Count -eq 1";

    private const string Runtime = "/run/lighttunnel";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public void IsIgnored_ReadsTheKernelsMask()
    {
        string[] nohup = ["Name:\tpwsh", "SigBlk:\t0000000000004000", "SigIgn:\t0000000000001001", "SigCgt:\t0000000000004000"];

        Assert.True(EndSignals.IsIgnored(Hup, nohup));
        Assert.False(EndSignals.IsIgnored(Terminate, nohup));
        Assert.False(EndSignals.IsIgnored(Hup, ["SigIgn:\t0000000000001000"]));
        Assert.False(EndSignals.IsIgnored(Hup, ["SigIgn:\tnonsense"]));
        Assert.False(EndSignals.IsIgnored(Hup, []));
    }

    [Fact]
    public async Task SigTermSigHupAndCtrlC_InARealPwsh_SayGoodbyeAndTakeEverythingDown()
    {
        await using Laboratory laboratory = await LabFixture.StartAsync(Topology.OpenHosts(TimeSpan.Zero, "server", "alice"));
        LabNode server = laboratory["server"];
        LabNode alice = laboratory["alice"];
        await RunningNetwork.StartServerAsync(laboratory);
        string invitation = (await server.Shell.InvokeAsync("\"$(New-LtInvitation)\"", cancellationToken: Token)).Single().ToString();
        string join = $"Connect-LtNetwork -Invitation '{invitation}' -Name alice -StatePath '{alice.Folder}/state'";

        int left = 0;
        foreach ((int signal, int code, string script) in new[]
        {
            (Terminate, 143, $"{join} -Wait | Out-String; 'went on'"),
            (Hup, 129, $"{join} | Out-String; Start-Sleep 600"),
            (Interrupt, 1, $"{join} -Wait | Out-String"),
        })
        {
            // Who runs these tests in the background has SIGINT ignored, which every process inherits.
            await using RealShellProcess shell = RealShell.Start(script, alice.Namespace, environment: null, "env", "--default-signal=INT");
            if (script.EndsWith("600", StringComparison.Ordinal))
                await shell.WaitForOutputAsync("alice");
            await UntilAsync(server, Online);
            shell.Signal(signal);
            RealShellResult result = await shell.EndAsync();

            Assert.True(code == result.ExitCode, $"signal {signal}: {result}");
            Assert.DoesNotContain("went on", result.Output, StringComparison.Ordinal);
            left++;
            await UntilAsync(server, $"@(Get-LtLog | Where-Object Message -like 'Client alice * left').Count -eq {left}");
            CommandResult links = await alice.ExecuteAsync("ip", ["-br", "link", "show"], Token);
            Assert.DoesNotContain("lt0", links.Output, StringComparison.Ordinal);
            // The folder is gone as well, unless others have sockets there.
            Assert.False(Directory.Exists(Runtime)
                && Directory.EnumerateFiles(Runtime, $"{shell.Id}.sock", SearchOption.AllDirectories).Any());
        }

        // nohup: the terminal goes, the tunnel stays.
        await using RealShellProcess ignoring = RealShell.Start(
            $"{join} | Out-String; Start-Sleep 600", alice.Namespace, environment: null, "nohup");
        await ignoring.WaitForOutputAsync("alice");
        ignoring.Signal(Hup);
        await alice.Shell.InvokeAsync("Get-LtPeer", cancellationToken: Token);
        await UntilAsync(server, Online);
        ignoring.Signal(Terminate);
        Assert.Equal(143, (await ignoring.EndAsync()).ExitCode);
        await UntilAsync(server, $"@(Get-LtLog | Where-Object Message -like 'Client alice * left').Count -eq {left + 1}");
    }

    private static async Task UntilAsync(LabNode node, string condition)
    {
        DateTime end = DateTime.UtcNow + Patience;
        while (true)
        {
            ShellResult result = await node.Shell.TryInvokeAsync($"[bool]({condition})", cancellationToken: Token);
            if (result.Output is [var single] && string.Equals(single.ToString(), "true", StringComparison.OrdinalIgnoreCase))
                return;
            Assert.True(DateTime.UtcNow < end, $"It did not become true: {condition}");
            await Task.Delay(50, Token);
        }
    }
}
