using System.Globalization;
using System.Text;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;

namespace LightTunnel.Services;

/// <summary>Services of systemd: one unit for each tunnel, <c>lighttunnel-office.service</c>.</summary>
/// <param name="root">What stands before all paths, for tests; empty for none.</param>
/// <param name="programs">The folder of systemctl and journalctl.</param>
internal sealed class SystemdServices(string root = "", string programs = "/usr/bin") : IServiceManager
{
    private const string Suffix = ".service";
    private static readonly string[] Properties = ["Id", "ActiveState", "SubState", "Job", "UnitFileState", "MainPID", "Result"];

    private readonly SystemCommand _systemctl = new(Path.Combine(programs, "systemctl"));
    private readonly SystemCommand _journalctl = new(Path.Combine(programs, "journalctl"));

    /// <inheritdoc/>
    public string ConfigurationFolder => root + "/etc/lighttunnel";

    private string UnitFolder => root + "/etc/systemd/system";

    /// <inheritdoc/>
    public void CheckUsable()
    {
        // sd_booted(3).
        if (!Directory.Exists(root + "/run/systemd/system"))
        {
            throw new LightTunnelException(
                LightTunnelError.ServiceManagerUnavailable, "This system was not started by systemd, so there is nobody who runs services.",
                "Run the tunnel with Start-LtServer -Wait or Connect-LtNetwork -Wait: docs/services.md, 'In a container or a script'.");
        }

        if (!Environment.IsPrivilegedProcess)
        {
            throw new LightTunnelException(
                LightTunnelError.PrivilegeRequired, "Services of this machine can be changed by root only.", "Run it as root: sudo pwsh.");
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<ServiceDefinition> List()
    {
        if (!Directory.Exists(UnitFolder))
            return [];
        return
        [
            .. Directory.EnumerateFiles(UnitFolder, "lighttunnel-*" + Suffix)
                .Select(Read)
                .OfType<ServiceDefinition>()
                .OrderBy(service => service.Name, StringComparer.OrdinalIgnoreCase),
        ];

        // What the file says of itself counts only in the file of that name.
        static ServiceDefinition? Read(string path) =>
            SystemdUnit.Read(File.ReadAllText(path)) is { } service && service.SystemName + Suffix == Path.GetFileName(path)
                ? service
                : null;
    }

    /// <inheritdoc/>
    public IReadOnlyList<ServiceStatus> Ask(IReadOnlyList<ServiceDefinition> services)
    {
        if (services.Count == 0)
            return [];
        string output = _systemctl.Run(
            ["show", "--property", string.Join(',', Properties), "--", .. services.Select(service => service.SystemName + Suffix)]);
        Dictionary<string, Dictionary<string, string>> units = output.Split("\n\n", StringSplitOptions.RemoveEmptyEntries)
            .Select(unit => unit.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => line.Split('=', 2))
                .Where(pair => pair.Length == 2)
                .ToDictionary(pair => pair[0], pair => pair[1]))
            .Where(unit => unit.ContainsKey("Id"))
            .ToDictionary(unit => unit["Id"]);
        return [.. services.Select(service => StatusOf(service, units.GetValueOrDefault(service.SystemName + Suffix) ?? []))];
    }

    /// <inheritdoc/>
    public void Register(ServiceDefinition service, string program)
    {
        string path = Path.Combine(UnitFolder, service.SystemName + Suffix);
        AtomicFile.Replace(path, Encoding.UTF8.GetBytes(SystemdUnit.Write(service, program, DotNetRuntime.NotFoundByItself(program))));
        ProgramFiles.LetEverybodyRead(path);
        _systemctl.Run("daemon-reload");
        _systemctl.Run("enable", "--", service.SystemName + Suffix);
    }

    /// <inheritdoc/>
    public void Unregister(ServiceDefinition service)
    {
        _systemctl.Run("disable", "--", service.SystemName + Suffix);
        File.Delete(Path.Combine(UnitFolder, service.SystemName + Suffix));
        _systemctl.Run("daemon-reload");
        // Otherwise one that failed is still shown, without a unit.
        _systemctl.Try(["reset-failed", "--", service.SystemName + Suffix]);
    }

    /// <inheritdoc/>
    public void Start(ServiceDefinition service) => _systemctl.Run("start", "--no-block", "--", service.SystemName + Suffix);

    /// <inheritdoc/>
    public void Stop(ServiceDefinition service) => _systemctl.Run("stop", "--", service.SystemName + Suffix);

    /// <inheritdoc/>
    public void Restart(ServiceDefinition service) => _systemctl.Run("restart", "--no-block", "--", service.SystemName + Suffix);

    private ServiceStatus StatusOf(ServiceDefinition service, Dictionary<string, string> unit)
    {
        // What was asked for and is not begun or done yet: until then the state is that of before.
        bool isAwaited = unit.GetValueOrDefault("Job") is { Length: > 0 } job && job != "0";
        ServiceState state = (unit.GetValueOrDefault("ActiveState"), unit.GetValueOrDefault("SubState"), isAwaited) switch
        {
            ("deactivating", _, _) => ServiceState.Stopping,
            (_, _, true) => ServiceState.Starting,
            ("active" or "reloading", _, _) => ServiceState.Running,
            ("activating", "auto-restart" or "auto-restart-queued", _) => ServiceState.Restarting,
            ("activating", _, _) => ServiceState.Starting,
            ("failed", _, _) => ServiceState.Failed,
            _ => ServiceState.Stopped,
        };
        int.TryParse(unit.GetValueOrDefault("MainPID"), NumberStyles.None, CultureInfo.InvariantCulture, out int process);
        string? error = state switch
        {
            ServiceState.Failed or ServiceState.Restarting => LastWords(service) ?? unit.GetValueOrDefault("Result"),
            _ => null,
        };
        return new ServiceStatus(
            service, state, unit.GetValueOrDefault("UnitFileState") == "enabled", process, VersionOf(process), error);
    }

    /// <summary>What its own process logged last: systemd's own lines about it say no reason.</summary>
    private string? LastWords(ServiceDefinition service)
    {
        (int status, string output, _) = _journalctl.Try(
            ["--quiet", "--no-pager", "--output", "cat", "--lines", "1", $"_SYSTEMD_UNIT={service.SystemName}{Suffix}"]);
        string words = LogText.OneLine(output.Trim());
        return status == 0 && words.Length > 0 ? words : null;
    }

    /// <summary>The folder that the process's program was started from has the version's name.</summary>
    private static Version? VersionOf(int process)
    {
        try
        {
            return process == 0 || new FileInfo($"/proc/{process}/exe").LinkTarget is not { } program
                ? null
                : HostPayload.VersionOf(Path.GetFileName(Path.GetDirectoryName(program)) ?? string.Empty);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
