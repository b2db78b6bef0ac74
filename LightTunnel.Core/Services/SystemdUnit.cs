using System.Globalization;
using System.Text;
using LightTunnel.Membership;

namespace LightTunnel.Services;

/// <summary>
/// The text of a service's unit: what it needs, and no more. A section of its own, which systemd passes over (systemd.unit(5)), has what
/// LightTunnel itself wants to know again.
/// </summary>
internal static class SystemdUnit
{
    private const string Section = "[X-LightTunnel]";
    private const string StateFolder = "/var/lib/lighttunnel", LogFolder = "/var/log/lighttunnel";
    private static readonly string[] Homes = ["/home", "/root", "/run/user"];

    /// <summary>The unit of a service.</summary>
    /// <param name="service">The service.</param>
    /// <param name="program">The program that it runs.</param>
    /// <param name="runtime">Where a .NET runtime is that the program would not find by itself; null for nowhere.</param>
    public static string Write(ServiceDefinition service, string program, string? runtime = null)
    {
        string role = service.Role == TunnelRole.Server ? "server" : "client";
        string[] writable =
            [.. new[] { service.StatePath, Path.GetDirectoryName(service.LogPath) }
                .OfType<string>()
                .Where(path => !IsBelow(path, StateFolder) && !IsBelow(path, LogFolder))
                .Distinct()];
        string home = writable.Any(path => Homes.Any(folder => IsBelow(path, folder))) ? "read-only" : "yes";
        string further = string.Concat(writable.Select(path => $"ReadWritePaths={Quote(path)}\n"))
            + (runtime is null ? string.Empty : $"Environment={Quote($"DOTNET_ROOT={runtime}")}\n");
        return $"""
            # Made by Register-LtService, which makes it anew; what is to stay belongs into a drop-in (systemctl edit {service.SystemName}).
            [Unit]
            Description=LightTunnel {role} {service.Name}
            Wants=network-online.target
            After=network-online.target
            StartLimitIntervalSec=0

            [Service]
            Type=notify
            NotifyAccess=main
            ExecStartPre=-+{Quote(program)} update
            ExecStart={Quote(program)} --configuration {Quote(service.ConfigurationPath)}
            Restart=on-failure
            RestartSec=5
            RestartForceExitStatus=75
            SuccessExitStatus=75
            RestartPreventExitStatus=78
            TimeoutStartSec=90
            TimeoutStopSec=15
            WatchdogSec=60
            UMask=0077
            StateDirectory=lighttunnel
            StateDirectoryMode=0700
            LogsDirectory=lighttunnel
            LogsDirectoryMode=0700
            CacheDirectory=lighttunnel
            CacheDirectoryMode=0700
            RuntimeDirectory=lighttunnel
            RuntimeDirectoryMode=0700
            RuntimeDirectoryPreserve=yes
            Environment=HOME=/var/cache/lighttunnel DOTNET_EnableDiagnostics=0
            {further}CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_BIND_SERVICE
            NoNewPrivileges=yes
            DevicePolicy=closed
            DeviceAllow=/dev/net/tun rw
            ProtectSystem=strict
            ProtectHome={home}
            PrivateTmp=yes
            ProtectClock=yes
            ProtectControlGroups=yes
            ProtectHostname=yes
            ProtectKernelLogs=yes
            ProtectKernelModules=yes
            ProtectKernelTunables=yes
            ReadWritePaths=-/proc/sys/net -/etc/resolv.conf
            ProtectProc=invisible
            RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
            RestrictNamespaces=yes
            RestrictRealtime=yes
            RestrictSUIDSGID=yes
            LockPersonality=yes
            KeyringMode=private
            SystemCallArchitectures=native
            SystemCallFilter=@system-service
            SystemCallErrorNumber=EPERM

            [Install]
            WantedBy=multi-user.target

            {Section}
            Name={service.Name}
            Role={role}
            Configuration={service.ConfigurationPath}

            """.ReplaceLineEndings("\n");
    }

    /// <summary>The service of a unit that was written here; null for any other unit.</summary>
    public static ServiceDefinition? Read(string text)
    {
        string[] own = [.. text.Split('\n').SkipWhile(line => line != Section).Skip(1)];
        return Value("Name") is { Length: > 0 } name && Value("Configuration") is { Length: > 0 } path
            && Enum.TryParse(Value("Role"), ignoreCase: true, out TunnelRole role)
            ? new ServiceDefinition(name, role, path)
            : null;

        string? Value(string key) => own.FirstOrDefault(line => line.StartsWith(key + "=", StringComparison.Ordinal))?[(key.Length + 1)..];
    }

    /// <summary>A word of a unit that means nothing else than itself (systemd.syntax(7)).</summary>
    internal static string Quote(string text)
    {
        if (text.All(c => char.IsAsciiLetterOrDigit(c) || "/._-+:@=,".Contains(c, StringComparison.Ordinal)))
            return text;
        var quoted = new StringBuilder("\"");
        foreach (char c in text)
        {
            quoted = c switch
            {
                '"' or '\\' => quoted.Append('\\').Append(c),
                '%' or '$' => quoted.Append(c, 2),
                < ' ' => quoted.Append(CultureInfo.InvariantCulture, $"\\x{(int)c:x2}"),
                _ => quoted.Append(c),
            };
        }

        return quoted.Append('"').ToString();
    }

    private static bool IsBelow(string path, string folder) =>
        path == folder || path.StartsWith(folder + "/", StringComparison.Ordinal);
}
