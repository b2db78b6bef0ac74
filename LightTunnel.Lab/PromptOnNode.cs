using System.Diagnostics;
using LightTunnel.Lab.Shells;

namespace LightTunnel.Lab;

/// <summary>The "shell" command: three machines, and the terminal at the prompt of one of them.</summary>
internal static class PromptOnNode
{
    private static volatile bool s_isOpen;

    /// <summary>True while the terminal belongs to the prompt.</summary>
    public static bool IsOpen => s_isOpen;

    public static async Task<int> RunAsync(string nodeName, bool bare, TextWriter output, CancellationToken cancellationToken)
    {
        SetupCheck.Provide([.. SetupCheck.Essentials(), .. SetupCheck.ForDemo()], output);
        output.WriteLine("Setting up server, alice and bob, 20 ms apart ...");
        Topology topology = Topology.OpenHosts(TimeSpan.FromMilliseconds(20), "server", "alice", "bob");
        Laboratory laboratory = await Laboratory.StartAsync(topology, cancellationToken: cancellationToken).ConfigureAwait(false);
        await using (laboratory.ConfigureAwait(false))
        {
            if (!bare)
                await JoinAllAsync(laboratory, output, cancellationToken).ConfigureAwait(false);
            return await PromptAsync(laboratory[nodeName], output, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task JoinAllAsync(Laboratory laboratory, TextWriter output, CancellationToken cancellationToken)
    {
        await laboratory["server"].Shell.InvokeAsync(
            "Start-LtServer -Address 10.0.0.1/24 -ListenPort 9000 -Endpoint 203.0.113.1:9000",
            cancellationToken: cancellationToken).ConfigureAwait(false);
        string invitation = (await laboratory["server"].Shell.InvokeAsync(
            "\"$(New-LtInvitation)\"", cancellationToken: cancellationToken).ConfigureAwait(false))
            .Single().ToString();
        foreach ((string name, string address) in new[] { ("alice", "10.0.0.10"), ("bob", "10.0.0.20") })
        {
            await laboratory[name].Shell.InvokeAsync(
                "param($Invitation, $Address) Connect-LtNetwork -Invitation $Invitation -Address $Address",
                new { Invitation = invitation, Address = address }, cancellationToken: cancellationToken).ConfigureAwait(false);
        }

        output.WriteLine("They are one network: server 10.0.0.1, alice 10.0.0.10, bob 10.0.0.20.");
    }

    private static async Task<int> PromptAsync(LabNode node, TextWriter output, CancellationToken cancellationToken)
    {
        output.WriteLine($"This is {node.Name}. Try: Get-LtPeer, Get-LtRoute, Get-LtLog -Tail 5, ping 10.0.0.1. \"exit\" ends it all.");
        // The tunnel runs in the host's other PowerShell; this one asks it, as any session on a machine can.
        string script = $$"""
            Import-Module {{RealPowerShell.Quote(LabPaths.ModuleManifest())}}
            {{node.PresetScript}}
            function prompt { '{{node.Name}} PS> ' }
            """;
        var start = new ProcessStartInfo("ip", ["netns", "exec", node.Namespace, .. RealPowerShell.Command, "-NoExit", "-Command", script])
        {
            WorkingDirectory = node.Folder,
        };
        foreach ((string name, string value) in RealPowerShell.Environment)
            start.Environment[name] = value;
        start.Environment["LIGHTTUNNEL_RUNTIME_DIRECTORY"] = node.RuntimeFolder;
        s_isOpen = true;
        try
        {
            using Process process = Process.Start(start) ?? throw new LabException("The prompt did not start.", "Try again.");
            try
            {
                await process.WaitForExitAsync(cancellationToken).ConfigureAwait(false);
                return process.ExitCode;
            }
            catch (OperationCanceledException)
            {
                process.Kill();
                throw;
            }
        }
        finally
        {
            s_isOpen = false;
        }
    }
}
