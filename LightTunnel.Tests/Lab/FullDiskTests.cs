using System.Diagnostics;
using LightTunnel.Lab;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>
/// A server whose state lies on a file system that is full, and which is then killed: the real program, and a real file system.
/// </summary>
public sealed class FullDiskTests
{
    private const int Kill = 9;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ServerThatWasKilled_AfterItsDiskWasFull_GivesNoAddressTwice()
    {
        await using Laboratory laboratory = await LabFixture.StartAsync(Topology.OpenHosts(TimeSpan.Zero, "server", "alice", "bob"));
        (LabNode server, LabNode alice, LabNode bob) = (laboratory["server"], laboratory["alice"], laboratory["bob"]);
        await using SmallDisk disk = await SmallDisk.MountAsync(Path.Combine(server.Folder, "disk"));
        string invitation;

        await using (RealShellProcess first = StartServer(server, disk))
        {
            await first.WaitForOutputAsync("invites: ");
            invitation = first.Output.Split("invites: ")[1].Trim();
            await disk.FillAsync();
            ShellError refused = Assert.Single((await JoinAsync(alice, invitation)).Errors);
            Assert.StartsWith("ServerRefused,", refused.ErrorId, StringComparison.Ordinal);

            await disk.MakeRoomAsync();
            await JoinAsSoonAsItCanAsync(alice, invitation);
            first.Signal(Kill);
            await first.EndAsync();
        }

        string address = await AddressAsync(alice);
        await using (RealShellProcess second = StartServer(server, disk))
        {
            await second.WaitForOutputAsync("invites: ");
            await disk.FillAsync();
            Assert.Single((await JoinAsync(bob, invitation)).Errors);
            second.Signal(Kill);
            await second.EndAsync();
        }

        await disk.MakeRoomAsync();
        await using RealShellProcess third = StartServer(server, disk);
        await third.WaitForOutputAsync("invites: ");
        await JoinAsSoonAsItCanAsync(bob, invitation);

        Assert.NotEqual(address, await AddressAsync(bob));
        Assert.Empty((await alice.Shell.TryInvokeAsync("Wait-LtPeer bob -TimeoutSec 120", cancellationToken: Token)).Errors);
        Assert.Equal(address, await AddressAsync(alice));
    }

    private static RealShellProcess StartServer(LabNode server, SmallDisk disk) => RealShell.Start(
        $"$null = Start-LtServer 10.0.0.1/24 -Name hub -Endpoint 203.0.113.1:9000 -StatePath '{disk.Folder}/state'; \"invites: "
            + "$(New-LtInvitation)\"; Start-Sleep 600",
        server.Namespace, environment: null, disk.Enter);

    private static Task<ShellResult> JoinAsync(LabNode node, string invitation) => node.Shell.TryInvokeAsync(
        $"Connect-LtNetwork -Invitation '{invitation}' -Name {node.Name} -StatePath '{node.Folder}/state' -TimeoutSec 60",
        cancellationToken: Token);

    /// <summary>A server whose disk was full admits nobody new until it has saved, which it tries again after a while.</summary>
    private static async Task JoinAsSoonAsItCanAsync(LabNode node, string invitation)
    {
        while ((await JoinAsync(node, invitation)).Errors is [{ } error])
            Assert.StartsWith("ServerRefused,", error.ErrorId, StringComparison.Ordinal);
    }

    private static async Task<string> AddressAsync(LabNode node) =>
        (await node.Shell.InvokeAsync("(Get-LtNetwork).Address", cancellationToken: Token)).Single().ToString();

    /// <summary>A file system of a quarter of a megabyte, in a mount namespace that a process of its own keeps.</summary>
    private sealed class SmallDisk : IAsyncDisposable
    {
        private readonly Process _keeper;

        private SmallDisk(Process keeper, string folder)
        {
            _keeper = keeper;
            Folder = folder;
        }

        /// <summary>Where it is, for those in its mount namespace.</summary>
        public string Folder { get; }

        /// <summary>Program and arguments that start another program where it is mounted.</summary>
        public string[] Enter => ["nsenter", "--target", $"{_keeper.Id}", "--mount"];

        private string Filler => Path.Combine(Folder, "filler");

        public static async Task<SmallDisk> MountAsync(string folder)
        {
            Directory.CreateDirectory(folder);
            string script = $"mount -t tmpfs -o size=256k,mode=0700 tmpfs '{folder}' && echo mounted && exec sleep infinity";
            var keeper = Process.Start(new ProcessStartInfo("unshare", ["--mount", "sh", "-c", script]) { RedirectStandardOutput = true })!;
            var disk = new SmallDisk(keeper, folder);
            Assert.Equal("mounted", await keeper.StandardOutput.ReadLineAsync(Token));
            return disk;
        }

        /// <summary>Leaves no room at all.</summary>
        public async Task FillAsync() => Assert.NotEqual(0, await RunAsync($"cat /dev/zero > '{Filler}'"));

        public async Task MakeRoomAsync() => Assert.Equal(0, await RunAsync($"rm '{Filler}'"));

        public async ValueTask DisposeAsync()
        {
            _keeper.Kill();
            await _keeper.WaitForExitAsync(CancellationToken.None);
            _keeper.Dispose();
        }

        private async Task<int> RunAsync(string script)
        {
            using var process = Process.Start(new ProcessStartInfo(Enter[0], [.. Enter[1..], "sh", "-c", script + " 2>/dev/null"]))!;
            await process.WaitForExitAsync(Token);
            return process.ExitCode;
        }
    }
}
