using System.ComponentModel;
using System.IO.Pipes;
using System.Runtime.Versioning;
using LightTunnel.Management;
using LightTunnel.Membership;
using Xunit;

namespace LightTunnel.Tests.Management;

/// <summary>The control pipe of Windows: everywhere who is found in its folder, and on Windows the pipe itself.</summary>
[SupportedOSPlatform("windows")]
public sealed class ControlPipeTransportTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lt-pipes");
    private readonly List<string> _warnings = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        if (Directory.Exists(_folder.FullName))
            _folder.Delete(recursive: true);
    }

    [Fact]
    public void FindProcesses_TakesPipesNamedByAProcess()
    {
        foreach (string name in (string[])["LightTunnel.12", "LightTunnel.7", "LightTunnel.x", "LightTunnel.", "LightTunnel.-3", "other.5",
            $"LightTunnel.{Environment.ProcessId}"])
        {
            File.WriteAllText(Path.Combine(_folder.FullName, name), string.Empty);
        }

        IReadOnlyList<int> found = new ControlPipeTransport(_folder.FullName).FindProcesses(_warnings);

        Assert.Empty(_warnings);
        Assert.Equal([7, 12], found);
    }

    [Fact]
    public void PipesThatAreNotListed_AreAskedForByEachProcess()
    {
        _folder.Delete();
        int[] processes = [4, 12, Environment.ProcessId, 7, 9];

        IReadOnlyList<int> found = new ControlPipeTransport(_folder.FullName, () => processes, processId => processId is not (4 or 9))
            .FindProcesses(_warnings);

        Assert.Empty(_warnings);
        Assert.Equal([7, 12], found);
    }

    [Fact]
    public async Task NeitherPipesNorProcessesListed_IsAWarning_AndNoError()
    {
        _folder.Delete();
        var transport = new ControlPipeTransport(_folder.FullName, () => throw new Win32Exception("No list of processes."));
        TunnelSearch search = await new ControlSocketClient(transport, TimeProvider.System)
            .FindAsync(ControlSocketClient.CallTimeout, Token);

        Assert.Empty(search.Tunnels);
        Assert.Contains("No list of processes.", Assert.Single(search.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RealPipe_ClientsThatLeaveAtOnce_CostNobodyElseAnAnswer()
    {
        SkipUnlessWindows();
        var transport = new ControlPipeTransport();
        using ControlSocketServer server = ControlSocketServer.Start(transport, () => [new FakeTunnel("office", TunnelRole.Server)]);
        for (int i = 0; i < 20; i++)
        {
            using var passerBy = new NamedPipeClientStream(".", $"LightTunnel.{Environment.ProcessId}", PipeDirection.InOut);
            await passerBy.ConnectAsync(Token);
        }

        var remote = new RemoteTunnelHandle(
            new ControlSocketClient(transport, TimeProvider.System), Environment.ProcessId, "office", TunnelRole.Server);
        Assert.Equal("office", (await remote.GetStatusAsync(Token)).Name);
    }

    [Fact]
    public async Task RealPipe_OfNobody_IsNotWaitedFor()
    {
        SkipUnlessWindows();
        Assert.Null(await new ControlPipeTransport().ConnectAsync(Environment.ProcessId, Token));
    }

    [Fact]
    public async Task RealPipe_IsMadeAgainAfterItWent()
    {
        SkipUnlessWindows();
        var transport = new ControlPipeTransport();
        transport.Listen().Dispose();
        using (ControlListener listener = transport.Listen())
        {
            using Stream? client = await transport.ConnectAsync(Environment.ProcessId, Token);
            Assert.NotNull(client);
        }

        Assert.Null(await transport.ConnectAsync(Environment.ProcessId, Token));
    }

    private static void SkipUnlessWindows() =>
        Assert.SkipUnless(OperatingSystem.IsWindows(), "Named pipes with access lists are Windows's.");
}
