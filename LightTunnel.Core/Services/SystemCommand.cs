using System.ComponentModel;
using System.Diagnostics;
using LightTunnel.Diagnostics;

namespace LightTunnel.Services;

/// <summary>A program of the system that is asked or told something, and what it answers. No shell is in between.</summary>
/// <param name="path">The program.</param>
internal sealed class SystemCommand(string path)
{
    /// <summary>systemd itself gives a service up to 90 s to stop.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    /// <summary>What it writes when all is well.</summary>
    /// <exception cref="LightTunnelException">ServiceFailed: it says no, with its own words. ServiceManagerUnavailable.</exception>
    public string Run(params IReadOnlyList<string> arguments)
    {
        (int status, string output, string error) = Try(arguments);
        if (status == 0)
            return output;
        string words = LogText.OneLine(error.Trim());
        words = words.Length > 0 ? $": {words}" : ".";
        throw new LightTunnelException(
            LightTunnelError.ServiceFailed,
            $"'{Path.GetFileName(path)} {string.Join(' ', arguments)}' failed with status {status}{words}",
            "Look into the system's log (journalctl -xe).");
    }

    /// <summary>As <see cref="Run"/>, with what it says when all is not well.</summary>
    public (int Status, string Output, string Error) Try(IReadOnlyList<string> arguments)
    {
        var start = new ProcessStartInfo(path, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            // As they are in the manual, whatever the person's language is.
            Environment = { ["LC_ALL"] = "C", ["SYSTEMD_COLORS"] = "0", ["SYSTEMD_PAGER"] = string.Empty },
        };
        try
        {
            using Process process = Process.Start(start) ?? throw new Win32Exception();
            process.StandardInput.Close();
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            Task<string> error = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(Patience))
            {
                process.Kill();
                return (-1, string.Empty, $"It did not end within {Patience.TotalSeconds:0} s.");
            }

            return (process.ExitCode, output.GetAwaiter().GetResult(), error.GetAwaiter().GetResult());
        }
        catch (Win32Exception exception)
        {
            throw new LightTunnelException(
                LightTunnelError.ServiceManagerUnavailable, $"{path} could not be started: {exception.Message}",
                "LightTunnel makes services of systemd only: see docs/services.md for a container or a script.", exception);
        }
    }
}
