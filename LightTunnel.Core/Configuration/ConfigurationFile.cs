using System.Text;
using LightTunnel.Membership;
using LightTunnel.Diagnostics;
using LightTunnel.Routing;
using LightTunnel.WindowsNetwork;
using LightTunnel.WireGuard;

namespace LightTunnel.Configuration;

/// <summary>
/// Configuration files: YAML with the parameters' names in camelCase as keys, and "role: server" or "role: client". Relative paths in a
/// file are relative to the file's folder.
/// </summary>
public static class ConfigurationFile
{
    /// <summary>Longest file that is read, bytes.</summary>
    private const int MaximumLength = 1 << 20;

    private const UnixFileMode OthersRead = UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    private static readonly Dictionary<string, Func<ServerSettings, ConfigurationEntry, ServerSettings>> ServerKeys =
        new(CommonKeys<ServerSettings>())
        {
            ["address"] = static (settings, entry) => settings with { Address = entry.Texts() },
            ["endpoint"] = static (settings, entry) => settings with { Endpoint = entry.Texts() },
            ["observerPort"] = static (settings, entry) => settings with { ObserverPort = entry.Number() },
            ["maxClients"] = static (settings, entry) => settings with { MaxClients = entry.Number() },
            ["clientIsolation"] = static (settings, entry) => settings with { ClientIsolation = entry.Flag() },
            ["allowKeyOnly"] = static (settings, entry) => settings with { AllowKeyOnly = entry.Flag() },
            ["requireApproval"] = static (settings, entry) => settings with { RequireApproval = entry.Flag() },
            ["autoApproveRoute"] = static (settings, entry) => settings with { AutoApproveRoute = entry.Texts() },
            ["memberExpiry"] = static (settings, entry) => settings with { MemberExpiry = entry.Text() },
            ["requireSignedMembers"] = static (settings, entry) => settings with { RequireSignedMembers = entry.Flag() },
            ["signingKey"] = static (settings, entry) => settings with { SigningKey = entry.Texts() },
        };

    private static readonly Dictionary<string, Func<ClientSettings, ConfigurationEntry, ClientSettings>> ClientKeys =
        new(CommonKeys<ClientSettings>())
        {
            ["invitation"] = static (settings, entry) => settings with { Invitation = entry.Secret() },
            ["invitationSecret"] = static (settings, entry) => settings with { InvitationSecret = entry.Secret() },
            ["server"] = static (settings, entry) => settings with { Server = entry.Texts() },
            ["serverKey"] = static (settings, entry) => settings with { ServerKey = entry.Text() },
            ["address"] = static (settings, entry) => settings with { Address = entry.Texts() },
            ["acceptPrefix"] = static (settings, entry) => settings with { AcceptPrefix = entry.Texts() },
            ["advertiseEndpoint"] = static (settings, entry) => settings with { AdvertiseEndpoint = entry.Texts() },
            ["allowRelay"] = static (settings, entry) => settings with { AllowRelay = entry.Flag() },
            ["pathPolicy"] = static (settings, entry) => settings with { PathPolicy = entry.Choice<PathPolicy>() },
            ["portMapping"] = static (settings, entry) => settings with { PortMapping = entry.Flag() },
            ["keyChange"] = static (settings, entry) => settings with { KeyChange = entry.Choice<KeyChangePolicy>() },
            ["requireSignedMembers"] = static (settings, entry) => settings with { RequireSignedMembers = entry.Flag() },
            ["signingKey"] = static (settings, entry) => settings with { SigningKey = entry.Texts() },
        };

    private static readonly HashSet<string> SecretKeys = ["networkKey", "invitation", "invitationSecret"];

    /// <summary>Reads a server's file. What it leaves out may still come as parameters.</summary>
    /// <exception cref="LightTunnelException">NotFound, or InvalidConfiguration: the first problem, with file, line and column.</exception>
    public static ServerSettings LoadServer(string path)
    {
        var file = new OpenFile(path, TunnelRole.Server);
        file.ThrowFirst();
        return file.Server;
    }

    /// <summary>Reads a client's file. What it leaves out may still come as parameters.</summary>
    /// <exception cref="LightTunnelException">NotFound, or InvalidConfiguration: the first problem, with file, line and column.</exception>
    public static ClientSettings LoadClient(string path)
    {
        var file = new OpenFile(path, TunnelRole.Client);
        file.ThrowFirst();
        return file.Client;
    }

    /// <summary>Reads what <see cref="ConfigurationWriter"/> has written, of either role.</summary>
    /// <param name="text">The text, which holds secrets.</param>
    /// <param name="source">What errors call it.</param>
    /// <exception cref="LightTunnelException">InvalidConfiguration: a newer version has written what this one does not know.</exception>
    public static TunnelSettings Parse(Secret text, string source)
    {
        var file = new OpenFile(source, text);
        file.ThrowFirst();
        return file.Role == TunnelRole.Server ? file.Server : file.Client;
    }

    /// <summary>Everything that is wrong with a file of either role, in the order of the file; empty when it is fine.</summary>
    /// <param name="path">The file.</param>
    /// <param name="time">The clock that invitations are checked by; the system's when null.</param>
    public static IReadOnlyList<ConfigurationProblem> Check(string path, TimeProvider? time = null) =>
        new OpenFile(path, null, time ?? TimeProvider.System).Problems;

    /// <summary>Whose file it is, after everything in it was checked.</summary>
    /// <exception cref="LightTunnelException">NotFound, or InvalidConfiguration: the first problem, with file, line and column.</exception>
    public static TunnelRole RoleOf(string path)
    {
        var file = new OpenFile(path, null, TimeProvider.System);
        file.ThrowFirst();
        return file.Role;
    }

    private static Dictionary<string, Func<T, ConfigurationEntry, T>> CommonKeys<T>()
        where T : TunnelSettings => new()
        {
            ["name"] = static (settings, entry) => settings with { Name = entry.Text() },
            ["listenPort"] = static (settings, entry) => settings with { ListenPort = entry.Number() },
            ["mtu"] = static (settings, entry) => settings with { Mtu = entry.Number() },
            ["cipher"] = static (settings, entry) => settings with { Cipher = entry.Choice<CipherPolicy>() },
            ["interfaceName"] = static (settings, entry) => settings with { InterfaceName = entry.Text() },
            ["networkCategory"] = static (settings, entry) => settings with { NetworkCategory = entry.Choice<NetworkCategory>() },
            ["allowInbound"] = static (settings, entry) => settings with { AllowInbound = entry.Flag() },
            ["route"] = static (settings, entry) => settings with { Route = entry.Texts() },
            ["as"] = static (settings, entry) => settings with { As = entry.Texts() },
            ["noSnat"] = static (settings, entry) => settings with { NoSnat = entry.Flag() },
            ["acceptRoute"] = static (settings, entry) => settings with { AcceptRoute = entry.Texts() },
            ["forceRoute"] = static (settings, entry) => settings with { ForceRoute = entry.Flag() },
            ["offerExitNode"] = static (settings, entry) => settings with { OfferExitNode = entry.Flag() },
            ["exitNode"] = static (settings, entry) => settings with { ExitNode = entry.Text() },
            ["allowLan"] = static (settings, entry) => settings with { AllowLan = entry.Flag() },
            ["killSwitch"] = static (settings, entry) => settings with { KillSwitch = entry.Flag() },
            ["queues"] = static (settings, entry) => settings with { Queues = entry.Number() },
            ["disableOffload"] = static (settings, entry) => settings with { DisableOffload = entry.Flag() },
            ["statePath"] = static (settings, entry) => settings with { StatePath = entry.Text() },
            ["logPath"] = static (settings, entry) => settings with { LogPath = entry.Text() },
            ["logLevel"] = static (settings, entry) => settings with { LogLevel = entry.Choice<LogLevel>() },
            ["networkKey"] = static (settings, entry) => settings with { NetworkKey = entry.Secret() },
        };

    /// <summary>One file on its way from text to settings, with its problems.</summary>
    private sealed class OpenFile
    {
        private const string RoleKey = "role";

        private readonly string _path;
        private readonly string? _folder;
        private readonly List<(ConfigurationProblem Problem, LightTunnelException? Cause)> _problems = [];

        /// <param name="path">The file.</param>
        /// <param name="expected">The role that it must have, or null for any.</param>
        /// <param name="time">Given to check everything; null leaves an invitation's expiry, and what is missing, to the resolver.</param>
        public OpenFile(string path, TunnelRole? expected, TimeProvider? time = null)
        {
            _path = path;
            try
            {
                _path = Path.GetFullPath(path);
                _folder = Path.GetDirectoryName(_path);
                if (ReadText() is { } text)
                    Read(text, expected, time);
            }
            catch (DecoderFallbackException)
            {
                Add(default, null, "The file is not UTF-8 text.", "Save it as UTF-8.");
            }
            catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
            {
                const string Message = "There is no such file.";
                const string Remedy = "Check the path.";
                _problems.Add((
                    new ConfigurationProblem(_path, 0, 0, ConfigurationSeverity.Error, null, Message, Remedy),
                    new LightTunnelException(LightTunnelError.NotFound, Message, Remedy, exception)));
            }
            catch (Exception exception)
                when (exception is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
            {
                Add(default, null, $"The file could not be read: {exception.Message}", "Check the path and its permissions.");
            }
        }

        /// <param name="source">What it is called; it is no file.</param>
        /// <param name="text">What would be in it.</param>
        public OpenFile(string source, Secret text)
        {
            _path = source;
            Read(text.Reveal(), null, null);
        }

        public TunnelRole Role { get; private set; }

        public ServerSettings Server { get; private set; } = new();

        public ClientSettings Client { get; private set; } = new();

        public IReadOnlyList<ConfigurationProblem> Problems => [.. Sorted().Select(pair => pair.Problem)];

        public void ThrowFirst()
        {
            (ConfigurationProblem? problem, LightTunnelException? cause) =
                Sorted().FirstOrDefault(pair => pair.Problem.Severity == ConfigurationSeverity.Error);
            if (problem is not null)
                throw problem.ToException(cause);
        }

        private IEnumerable<(ConfigurationProblem Problem, LightTunnelException? Cause)> Sorted() =>
            _problems.OrderBy(pair => pair.Problem.Line).ThenBy(pair => pair.Problem.Column);

        private string? ReadText()
        {
            // Read to the end rather than by its length, which pipes do not have.
            using var stream = new FileStream(_path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var content = new MemoryStream();
            byte[] block = new byte[8192];
            while (stream.Read(block) is var length and > 0)
            {
                content.Write(block, 0, length);
                if (content.Length > MaximumLength)
                {
                    Add(default, null, "The file is longer than 1 MB.", "Check that it is the right file.");
                    return null;
                }
            }

            content.Position = 0;
            var strict = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
            using var reader = new StreamReader(content, strict, detectEncodingFromByteOrderMarks: true);
            return reader.ReadToEnd();
        }

        private void Read(string text, TunnelRole? expected, TimeProvider? time)
        {
            IReadOnlyList<ConfigurationEntry> entries = ConfigurationReader.Read(text, Add);
            if (RoleOf(entries, expected) is not { } role)
                return;
            Role = role;
            if (role == TunnelRole.Server)
                Server = Apply(entries, ServerKeys, Server);
            else
                Client = Apply(entries, ClientKeys, Client);
            CheckMode(entries);
            CheckValues(entries, role, time);
            Server = WithFullPaths(Server);
            Client = WithFullPaths(Client);
        }

        private TunnelRole? RoleOf(IReadOnlyList<ConfigurationEntry> entries, TunnelRole? expected)
        {
            const string Action = "Write role: server, or role: client.";
            ConfigurationEntry? entry = entries.FirstOrDefault(entry => entry.Key == RoleKey);
            if (entry is null)
            {
                if (_problems.Count == 0)
                {
                    Add(
                        new ConfigurationText(string.Empty, true, 1, 1), RoleKey,
                        "The file does not say whose it is: 'role' is missing.", Action);
                }
                return expected;
            }

            if (entry.Choice<TunnelRole>() is not { } role)
                return expected;
            if (expected is null || role == expected)
                return role;
            string other = role == TunnelRole.Server ? "a server: start it with Start-LtServer." : "a client: join with Connect-LtNetwork.";
            Add(entry.ValueText(0), RoleKey, $"This is the file of {other}", "Use the file of the other role.");
            return null;
        }

        private T Apply<T>(IReadOnlyList<ConfigurationEntry> entries, Dictionary<string, Func<T, ConfigurationEntry, T>> keys, T settings)
        {
            var seen = new Dictionary<string, ConfigurationText>();
            foreach (ConfigurationEntry entry in entries)
            {
                if (!seen.TryAdd(entry.Key, entry.KeyText))
                {
                    Add(
                        entry.KeyText, entry.Key,
                        $"'{ConfigurationEntry.Shorten(entry.Key)}' is there twice, first in line {seen[entry.Key].Line}.",
                        "Remove one of them.");
                }
                else if (keys.TryGetValue(entry.Key, out Func<T, ConfigurationEntry, T>? apply))
                {
                    settings = apply(settings, entry);
                }
                else if (entry.Key != RoleKey)
                {
                    ReportUnknown(entry, [.. keys.Keys]);
                }
            }

            return settings;
        }

        private void ReportUnknown(ConfigurationEntry entry, IReadOnlyList<string> known)
        {
            string? near = Spelling.Nearest(entry.Key, [.. known, RoleKey]);
            Add(
                entry.KeyText,
                entry.Key,
                $"'{ConfigurationEntry.Shorten(entry.Key)}' is not a key of this file."
                    + (near is null ? string.Empty : $" Did you mean '{near}'?"),
                near is null ? $"Use one of {string.Join(", ", known.Order(StringComparer.Ordinal))}." : $"Write {near}.");
        }

        /// <summary>Warns of secrets that others on this machine can read.</summary>
        private void CheckMode(IReadOnlyList<ConfigurationEntry> entries)
        {
            if (OperatingSystem.IsWindows() || _folder is null)
                return;
            if (entries.FirstOrDefault(entry => SecretKeys.Contains(entry.Key)) is not { } secret)
                return;
            if ((File.GetUnixFileMode(_path) & OthersRead) != 0)
            {
                _problems.Add((new ConfigurationProblem(
                    _path, secret.KeyText.Line, secret.KeyText.Column, ConfigurationSeverity.Warning, secret.Key,
                    $"Others on this machine can read '{secret.Key}', which is a secret.", $"chmod 600 {_path}"), null));
            }
        }

        private void CheckValues(IReadOnlyList<ConfigurationEntry> entries, TunnelRole role, TimeProvider? time)
        {
            IReadOnlyList<SettingsProblem> found = Resolve(role, time ?? TimeProvider.System, complete: false);
            foreach (SettingsProblem problem in found)
            {
                if (time is not null || problem.Exception.Error != LightTunnelError.InvitationExpired)
                    Add(entries, problem, ConfigurationSeverity.Error);
            }

            if (time is null || _problems.Any(pair => pair.Problem.Severity == ConfigurationSeverity.Error))
                return;
            foreach (SettingsProblem problem in Resolve(role, time, complete: true))
                Add(entries, problem, ConfigurationSeverity.Warning);
        }

        private IReadOnlyList<SettingsProblem> Resolve(TunnelRole role, TimeProvider time, bool complete)
        {
            var check = new SettingsCheck(complete);
            if (role == TunnelRole.Server)
                SettingsResolver.Resolve(Server, check).NetworkKey?.Dispose();
            else
                SettingsResolver.Resolve(Client, time, check).NetworkKey?.Dispose();
            return check.Problems;
        }

        private void Add(IReadOnlyList<ConfigurationEntry> entries, SettingsProblem problem, ConfigurationSeverity severity)
        {
            string key = char.ToLowerInvariant(problem.Key[0]) + problem.Key[1..];
            ConfigurationText where = entries.FirstOrDefault(entry => entry.Key == key)?.ValueText(problem.Index) ?? default;
            string message = severity == ConfigurationSeverity.Warning
                ? $"{problem.Exception.Message} It must be given as a parameter."
                : problem.Exception.Message;
            _problems.Add(
                (new ConfigurationProblem(_path, where.Line, where.Column, severity, key, message, problem.Exception.RecommendedAction),
                    problem.Exception));
        }

        private void Add(ConfigurationText where, string? key, string message, string action) => _problems.Add((
            new ConfigurationProblem(
                _path, where.Line, where.Column, ConfigurationSeverity.Error, key is null ? null : ConfigurationEntry.Shorten(key), message,
                action), null));

        private T WithFullPaths<T>(T settings)
            where T : TunnelSettings => settings with { StatePath = FullPath(settings.StatePath), LogPath = FullPath(settings.LogPath) };

        private string? FullPath(string? path) =>
            path is null || _folder is null || path.Contains('\0', StringComparison.Ordinal)
                ? path
                : Path.GetFullPath(path, _folder);
    }
}
