using System.Diagnostics;
using System.Globalization;
using LightTunnel.Lab.Shells;

namespace LightTunnel.Lab;

/// <summary>What a short command printed, and how it ended.</summary>
internal sealed record CommandResult(int ExitCode, string Output, string Errors);

/// <summary>A machine of the laboratory: a network namespace, a folder, and a shell when one was started.</summary>
internal class LabHost : IAsyncDisposable
{
    private ShellSession? _shell;

    /// <param name="name">Its name.</param>
    /// <param name="namespaceName">Its network namespace, made by others.</param>
    /// <param name="folder">Its folder, made by others.</param>
    public LabHost(string name, string namespaceName, string folder)
    {
        Name = name;
        Namespace = namespaceName;
        Folder = folder;
    }

    /// <summary>The host's name.</summary>
    public string Name { get; }

    /// <summary>Its network namespace, for "ip netns exec".</summary>
    public string Namespace { get; }

    /// <summary>A folder of its own, removed at the end.</summary>
    public string Folder { get; }

    /// <summary>Where its tunnels' control sockets are.</summary>
    public string RuntimeFolder => Path.Combine(Folder, "run");

    /// <summary>Its shell.</summary>
    /// <exception cref="InvalidOperationException">None was started.</exception>
    public ShellSession Shell => _shell ?? throw new InvalidOperationException($"{Name} has no shell.");

    /// <summary>How a shell on this host is started.</summary>
    public ShellOptions ShellOptions(IReadOnlyList<string> imports) => new()
    {
        Imports = imports,
        Namespace = Namespace,
        WorkingDirectory = Folder,
        Environment = new Dictionary<string, string> { ["LIGHTTUNNEL_RUNTIME_DIRECTORY"] = RuntimeFolder },
    };

    /// <summary>
    /// Starts the host's shell. A machine has a name and a disk of its own: both are told to the commands as their default -Name and
    /// -StatePath. All machines of a laboratory share one processor: the default -TimeoutSec allows for it.
    /// </summary>
    public async Task StartShellAsync(IReadOnlyList<string> imports, CancellationToken cancellationToken)
    {
        _shell = await ShellSession.StartAsync(ShellOptions(imports), cancellationToken).ConfigureAwait(false);
        await _shell.InvokeAsync(PresetScript, cancellationToken: cancellationToken).ConfigureAwait(false);
    }

    /// <summary>A script that sets the defaults of a runspace on this host.</summary>
    public string PresetScript => $$"""
        foreach ($command in 'Start-LtServer', 'Connect-LtNetwork') {
            $PSDefaultParameterValues["${command}:Name"] = '{{Name}}'
            $PSDefaultParameterValues["${command}:StatePath"] = '{{Path.Combine(Folder, "state")}}'
            $PSDefaultParameterValues["${command}:TimeoutSec"] = 90
        }
        """;

    /// <summary>Ends the shell as its user would (<paramref name="crash"/> false) or as a power cut would.</summary>
    public async Task StopShellAsync(bool crash = false)
    {
        if (_shell is null)
            return;
        if (crash)
            _shell.Kill();
        await _shell.DisposeAsync().ConfigureAwait(false);
        _shell = null;
    }

    /// <summary>Runs a short command on this host.</summary>
    public async Task<CommandResult> ExecuteAsync(string command, IEnumerable<string> arguments, CancellationToken cancellationToken)
    {
        using Process process = StartCommand(command, arguments);
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            Task<string> errors = process.StandardError.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken).ConfigureAwait(false);
            return new CommandResult(process.ExitCode, await output.ConfigureAwait(false), await errors.ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }
    }

    /// <summary>Starts a command on this host; the caller ends and disposes it.</summary>
    public Process StartCommand(string command, IEnumerable<string> arguments)
    {
        // "ip netns exec" replaces itself by the command, so the process is the command's.
        var start = new ProcessStartInfo("ip", ["netns", "exec", Namespace, command, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Folder,
        };
        return Process.Start(start) ?? throw new LabException($"{command} did not start.", "Try again.");
    }

    /// <summary>Pings an address from this host.</summary>
    public Task<CommandResult> PingAsync(
        string address, int count, TimeSpan interval, CancellationToken cancellationToken, params string[] more) =>
        ExecuteAsync(
            "ping",
            ["-n", "-c", count.ToString(CultureInfo.InvariantCulture), "-i", interval.TotalSeconds.ToString(CultureInfo.InvariantCulture),
                "-W", "2", .. more, address],
            cancellationToken);

    public async ValueTask DisposeAsync() => await StopShellAsync().ConfigureAwait(false);
}
