using System.Runtime.Versioning;
using LightTunnel.Lab.Shells;
using LightTunnel.Management;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>A process that has tunnels and was stopped (SIGSTOP), beside one that answers: the one that runs the test.</summary>
[SupportedOSPlatform("linux")]
public sealed class NotAnsweringTests(PlainShell shared) : IClassFixture<PlainShell>
{
    private const int Stop = 19;

    [Fact]
    public async Task StoppedProcess_IsAnErrorOfItsOwn_AndTheOthersAreListed()
    {
        await shared.Shell.ResetAsync();
        shared.Shell.Serve(FakeTunnel.SampleServer());
        string folder = Path.Combine(shared.Shell.Folder, "run", "net-" + UnixControlTransport.CurrentNamespace());
        await using RealShellProcess stopped = RealShell.Start($$"""
            $listener = [Net.Sockets.Socket]::new('Unix', 'Stream', 'Unspecified')
            $listener.Bind([Net.Sockets.UnixDomainSocketEndPoint]::new("{{folder}}/$PID.sock"))
            $listener.Listen(4)
            'listens'
            Start-Sleep 3600
            """);
        await stopped.WaitForOutputAsync("listens");
        stopped.Signal(Stop);

        ShellResult listed = await shared.Shell.TryAsync("Get-LtServer");
        Assert.Equal("office", listed.Single().Text("Name"));
        IsNamed(Assert.Single(listed.Errors), stopped.Id, "GetLtServerCommand");

        // It may be there: nobody says that it is not.
        ShellResult missing = await shared.Shell.TryAsync("Get-LtNetwork vm");
        Assert.Empty(missing.Output);
        IsNamed(Assert.Single(missing.Errors), stopped.Id, "GetLtNetworkCommand");
        IsNamed(Assert.Single((await shared.Shell.TryAsync("Test-LtNetwork")).Errors), stopped.Id, "TestLtNetworkCommand");
    }

    private static void IsNamed(ShellError error, int process, string command)
    {
        Assert.Equal(
            ($"NotAnswering,LightTunnel.{command}", "OperationTimeout", $"{process}"), (error.ErrorId, error.Category, error.Target));
        Assert.Contains($"Process {process} (", error.Message, StringComparison.Ordinal);
        Assert.Contains($"kill -CONT {process}", error.RecommendedAction, StringComparison.Ordinal);
    }
}
