using System.Management.Automation;
using System.Management.Automation.Runspaces;
using System.Runtime.InteropServices;

namespace LightTunnel.Shell;

/// <summary>Runs one script in the way a console does: output through the views, errors to standard error, Ctrl+C stops it.</summary>
internal static class ScriptRunner
{
    /// <returns>The script's "exit" code; otherwise 0, or 1 when it ended with an error.</returns>
    public static int Run(ShellOptions options)
    {
        var host = new ShellHost(new ConsoleUserInterface(options.Width));
        using Runspace? runspace = TryOpen(host, options);
        if (runspace is null)
            return 1;

        bool succeeded = options.Mode == ShellMode.File
            ? Invoke(runspace, host, powerShell => powerShell.AddCommand(Path.GetFullPath(options.Script)).AddParameters(options.Arguments.ToArray()))
            : Invoke(runspace, host, powerShell => powerShell.AddScript(options.Script, useLocalScope: false));
        return host.ExitCode ?? (succeeded ? 0 : 1);
    }

    /// <summary>Opens the console's runspace, or says on standard error why it could not.</summary>
    public static Runspace? TryOpen(ShellHost host, ShellOptions options)
    {
        try
        {
            return RunspaceMaker.Open(host, options.Imports);
        }
        catch (RuntimeException exception)
        {
            host.UI.WriteErrorLine(ErrorText.Format(ErrorText.RecordOf(exception)));
            return null;
        }
    }

    /// <summary>Runs one pipeline to its end, or until Ctrl+C or SIGTERM.</summary>
    /// <returns>False when an error ended it or the last command reported one.</returns>
    public static bool Invoke(Runspace runspace, ShellHost host, Action<PowerShell> fill)
    {
        using var powerShell = PowerShell.Create(runspace);
        fill(powerShell);
        powerShell.AddCommand("Out-Default");

        // Each error is shown where it happens, between the output's lines.
        PSDataCollection<ErrorRecord> errors = powerShell.Streams.Error;
        errors.DataAdded += (_, _) =>
        {
            foreach (ErrorRecord error in errors.ReadAll())
                host.UI.WriteErrorLine(ErrorText.Format(error));
        };

        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        try
        {
            powerShell.Invoke();
            return !powerShell.HadErrors;
        }
        catch (PipelineStoppedException)
        {
            return false;
        }
        catch (RuntimeException exception)
        {
            host.UI.WriteErrorLine(ErrorText.Format(ErrorText.RecordOf(exception)));
            return false;
        }

        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            powerShell.BeginStop(null, null);
        }
    }
}
