using System.Management.Automation;
using System.Management.Automation.Host;
using System.Management.Automation.Runspaces;

namespace LightTunnel.ShellServer;

/// <summary>Opens runspaces that all look the same: the engine's core commands and the modules asked for.</summary>
internal static class RunspaceMaker
{
    /// <summary>Opens a runspace that runs its pipelines on the thread that invokes them, and imports the modules.</summary>
    /// <exception cref="RuntimeException">A module could not be imported.</exception>
    public static Runspace Open(PSHost host, IReadOnlyList<string> imports)
    {
        Runspace runspace = RunspaceFactory.CreateRunspace(host, InitialSessionState.CreateDefault2());
        try
        {
            runspace.ThreadOptions = PSThreadOptions.UseCurrentThread;
            runspace.Open();
            Runspace.DefaultRunspace = runspace;
            foreach (string module in imports)
            {
                using var powerShell = PowerShell.Create(runspace);
                powerShell.AddCommand("Import-Module").AddParameter("Name", module).AddParameter("ErrorAction", "Stop").Invoke();
            }

            return runspace;
        }
        catch
        {
            runspace.Dispose();
            throw;
        }
    }
}
