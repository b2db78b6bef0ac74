using System.Collections.Concurrent;
using LightTunnel.Lab;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>A server's process is killed while it writes its state, at any point: nothing is lost of what it had told.</summary>
public sealed class KilledServerTests
{
    private const string Start = "$null = Start-LtServer -Address 10.0.0.1/24 -Name office -Endpoint 203.0.113.1:9000";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Kill_WhileInvitationsAreMade_LosesNoneThatWasHandedOut()
    {
        await using Laboratory laboratory = await LabFixture.StartAsync(Topology.OpenHosts(TimeSpan.Zero, "server"));
        LabNode server = laboratory["server"];
        await server.Shell.InvokeAsync(Start, cancellationToken: Token);
        var random = new Random(4711);
        ConcurrentBag<string> told = [], takenBack = [];
        for (int kill = 0; kill < 4; kill++)
        {
            // Some are told, and while the next ones are on their way into the file the process goes.
            int until = told.Count + random.Next(2, 40);
            var enough = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Task<ShellResult> making = server.Shell.TryInvokeAsync(
                "while ($true) { (New-LtInvitation).Id; $id = (New-LtInvitation).Id; Remove-LtInvitation $id; \"gone $id\" }",
                onOutput: item =>
                {
                    if (item.ToString().Split(' ') is [_, var id])
                        takenBack.Add(id);
                    else
                        told.Add(item.ToString());
                    if (told.Count >= until)
                        enough.TrySetResult();
                },
                cancellationToken: Token);
            await enough.Task.WaitAsync(Patience, Token);
            await server.StopShellAsync(crash: true);
            await Assert.ThrowsAnyAsync<Exception>(() => making);

            await server.StartShellAsync([LabPaths.ModuleManifest()], Token);
            await server.Shell.InvokeAsync(Start, cancellationToken: Token);
            ShellResult kept = await server.Shell.InvokeAsync(
                "Get-LtInvitation | Where-Object State -eq Active | ForEach-Object Id", cancellationToken: Token);
            HashSet<string> active = [.. kept.Output.Select(id => id.ToString())];
            Assert.Subset(active, told.ToHashSet());
            Assert.NotEmpty(takenBack);
            Assert.DoesNotContain(takenBack, active.Contains);
        }

        ShellResult audit = await server.Shell.InvokeAsync(
            "Get-LtLog -Category Audit | Where-Object Action -eq InvitationCreated | ForEach-Object Subject", cancellationToken: Token);
        Assert.Subset(audit.Output.Select(id => id.ToString()).ToHashSet(), told.ToHashSet());
    }
}
