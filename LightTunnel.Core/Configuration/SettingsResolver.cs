using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.Packets;
using LightTunnel.WireGuard;

namespace LightTunnel.Configuration;

/// <summary>From what a person wrote to checked options: parameters over file, defaults last.</summary>
internal static class SettingsResolver
{
    /// <summary>Most members that a server may be told to admit.</summary>
    private const int MaximumClients = Leases.DefaultMaximumCount;

    /// <summary>The file's settings with the parameters' over them.</summary>
    public static ServerSettings Overlay(ServerSettings file, ServerSettings parameters) => Overlay<ServerSettings>(file, parameters) with
    {
        Address = parameters.Address ?? file.Address,
        Endpoint = parameters.Endpoint ?? file.Endpoint,
        ObserverPort = parameters.ObserverPort ?? file.ObserverPort,
        MaxClients = parameters.MaxClients ?? file.MaxClients,
        ClientIsolation = parameters.ClientIsolation ?? file.ClientIsolation,
        AllowKeyOnly = parameters.AllowKeyOnly ?? file.AllowKeyOnly,
        RequireApproval = parameters.RequireApproval ?? file.RequireApproval,
        AutoApproveRoute = parameters.AutoApproveRoute ?? file.AutoApproveRoute,
        MemberExpiry = parameters.MemberExpiry ?? file.MemberExpiry,
        RequireSignedMembers = parameters.RequireSignedMembers ?? file.RequireSignedMembers,
        SigningKey = parameters.SigningKey ?? (parameters.RequireSignedMembers == false ? null : file.SigningKey),
    };

    /// <summary>
    /// The file's settings with the parameters' over them. An invitation there replaces server and keys here, and the other way round.
    /// </summary>
    public static ClientSettings Overlay(ClientSettings file, ClientSettings parameters)
    {
        if (parameters.Invitation is not null)
            file = file with { Server = null, ServerKey = null, NetworkKey = null, InvitationSecret = null };
        else if (parameters.Server is not null || parameters.ServerKey is not null || parameters.NetworkKey is not null)
            file = file with { Invitation = null, InvitationSecret = null };
        return Overlay<ClientSettings>(file, parameters) with
        {
            Invitation = parameters.Invitation ?? file.Invitation,
            InvitationSecret = parameters.InvitationSecret ?? file.InvitationSecret,
            Server = parameters.Server ?? file.Server,
            ServerKey = parameters.ServerKey ?? file.ServerKey,
            Address = parameters.Address ?? file.Address,
            AcceptPrefix = parameters.AcceptPrefix ?? file.AcceptPrefix,
            AdvertiseEndpoint = parameters.AdvertiseEndpoint ?? file.AdvertiseEndpoint,
            AllowRelay = parameters.AllowRelay ?? file.AllowRelay,
            PathPolicy = parameters.PathPolicy ?? file.PathPolicy,
            PortMapping = parameters.PortMapping ?? file.PortMapping,
            KeyChange = parameters.KeyChange ?? file.KeyChange,
            RequireSignedMembers = parameters.RequireSignedMembers ?? file.RequireSignedMembers,
            SigningKey = parameters.SigningKey ?? (parameters.RequireSignedMembers == false ? null : file.SigningKey),
        };
    }

    /// <summary>Checks a server's settings.</summary>
    /// <exception cref="LightTunnelException">The first thing that is wrong.</exception>
    public static ServerOptions Resolve(ServerSettings settings)
    {
        var check = new SettingsCheck(complete: true);
        ServerOptions options = Resolve(settings, check);
        check.ThrowFirst();
        return options;
    }

    /// <summary>Checks a client's settings.</summary>
    /// <exception cref="LightTunnelException">The first thing that is wrong.</exception>
    public static ClientOptions Resolve(ClientSettings settings, TimeProvider time)
    {
        var check = new SettingsCheck(complete: true);
        ClientOptions options = Resolve(settings, time, check);
        check.ThrowFirst();
        return options;
    }

    /// <summary>
    /// The settings with which another process makes the same node of it, at any time: with the name and the folders that were found, and
    /// with what an invitation says in its place, as its time may end.
    /// </summary>
    /// <param name="settings">What a person wrote.</param>
    /// <param name="options">What that was resolved to.</param>
    public static TunnelSettings Lasting(TunnelSettings settings, TunnelOptions options)
    {
        settings = settings with { Name = options.Name, StatePath = options.StatePath, LogPath = options.LogPath };
        return settings is not ClientSettings { Invitation: not null } client || options is not ClientOptions joined
            ? settings
            : client with
            {
                Invitation = null,
                InvitationSecret = joined.Invitation is { } token ? new Secret(token.Reveal()) : null,
                Server = [.. joined.Servers.Select(server => server.ToString())],
                ServerKey = joined.ServerKey.ToString(),
                NetworkKey = new Secret(joined.NetworkKey.Reveal()),
                AcceptPrefix = [.. joined.AgreedPrefixes.Select(prefix => prefix.ToString()).Distinct()],
                SigningKey = client.SigningKey
                    ?? (joined is { RequireSignedMembers: not false, InvitedSigningKeys: { Count: > 0 } invited }
                        ? [.. invited.Select(key => key.ToString())]
                        : null),
            };
    }

    /// <summary>The options, usable only when the check has found no problem.</summary>
    internal static ServerOptions Resolve(ServerSettings settings, SettingsCheck check)
    {
        CheckCommon(settings, check);
        string name = NameOf(settings);
        List<InterfaceAddress> addresses = check.ReadAll(nameof(settings.Address), settings.Address, SettingValues.ServerAddress);
        CheckFamilies(check, addresses.Select(address => address.Address));
        if (settings.Address is null or [] && check.Complete)
        {
            check.Add(nameof(settings.Address), new LightTunnelException(
                LightTunnelError.InvalidOption, "The server has no address.",
                "Give it an address with its network's prefix length, such as 10.0.0.1/24."));
        }

        int listenPort = settings.ListenPort ?? ServerOptions.DefaultListenPort;
        List<ServerEndpoint> endpoints = check.ReadAll(nameof(settings.Endpoint), settings.Endpoint, text =>
        {
            ServerEndpoint endpoint = SettingValues.Endpoint(text, listenPort);
            SettingValues.CheckOutside(endpoint, [.. addresses.Select(address => address.Prefix)]);
            return endpoint;
        });
        CheckCount(check, nameof(settings.Endpoint), endpoints.Count, Invitation.MaximumEndpoints);
        CheckObserverPort(check, settings.ObserverPort, listenPort);
        check.Guard(nameof(settings.MaxClients), 0, () =>
        {
            if (settings.MaxClients is { } clients)
                SettingValues.Number("MaxClients", clients, 1, MaximumClients);
        });
        TimeSpan? memberExpiry = null;
        check.Guard(nameof(settings.MemberExpiry), 0, () =>
        {
            if (settings.MemberExpiry is { } time)
                memberExpiry = SettingValues.Duration("MemberExpiry", time, TimeSpan.FromHours(1), TimeSpan.FromDays(3650));
        });
        var options = new ServerOptions
        {
            Name = name,
            StatePath = StatePathOf(settings, "server", name),
            Addresses = addresses,
            Endpoints = endpoints,
            ListenPort = listenPort,
            ObserverPort = settings.ObserverPort,
            NetworkKey = check.Read(nameof(settings.NetworkKey), settings.NetworkKey, SettingValues.NetworkKey),
            ClientIsolation = settings.ClientIsolation ?? false,
            AllowKeyOnly = settings.AllowKeyOnly,
            RequireApproval = settings.RequireApproval ?? false,
            AutoApprovedRoutes = RouteSettings.AutoApproved(settings, check),
            MemberExpiry = memberExpiry,
            SigningKeys = ReadSigningKeys(settings.RequireSignedMembers, settings.SigningKey, check, isNeeded: true),
            Mtu = settings.Mtu,
            Cipher = settings.Cipher ?? default,
            InterfaceName = settings.InterfaceName,
            NetworkCategory = settings.NetworkCategory,
            AllowInbound = settings.AllowInbound ?? false,
            Routes = RouteSettings.Offered(settings, [.. addresses.Select(own => own.Prefix)], check),
            AcceptedRoutes = RouteSettings.Accepted(settings, check),
            Exit = RouteSettings.Exit(settings, check),
            DataPath = DataPathOf(settings),
            LogPath = LogPathOf(settings),
            LogLevel = settings.LogLevel ?? LogLevel.Information,
        };
        return settings.MaxClients is { } maxClients ? options with { MaxClients = maxClients } : options;
    }

    /// <summary>The options, usable only when the check has found no problem.</summary>
    internal static ClientOptions Resolve(ClientSettings settings, TimeProvider time, SettingsCheck check)
    {
        CheckCommon(settings, check);
        string name = NameOf(settings);
        Invitation? invitation = check.Read(
            nameof(settings.Invitation), settings.Invitation, secret => Invitation.Parse(secret.Reveal(), time.GetUtcNow()));
        CheckWayToJoin(settings, check);
        List<ServerEndpoint> servers = check.ReadAll(
            nameof(settings.Server), settings.Server, text => SettingValues.Endpoint(text, ServerOptions.DefaultListenPort));
        CheckCount(check, nameof(settings.Server), servers.Count, Invitation.MaximumEndpoints);
        PublicKey serverKey = invitation?.ServerKey ?? default;
        check.Guard(nameof(settings.ServerKey), 0, () =>
        {
            if (settings.ServerKey is not null)
                serverKey = SettingValues.ServerKey(settings.ServerKey);
        });
        PresharedKey? networkKey = check.Read(nameof(settings.NetworkKey), settings.NetworkKey, SettingValues.NetworkKey);
        InvitationToken? token = check.Read(
            nameof(settings.InvitationSecret), settings.InvitationSecret, SettingValues.InvitationSecret);
        List<TunnelAddress> addresses = check.ReadAll(nameof(settings.Address), settings.Address, text =>
        {
            TunnelAddress address = SettingValues.ClientAddress(text);
            if (invitation is not null)
                SettingValues.CheckInside(address, invitation.Prefixes);
            return address;
        });
        CheckFamilies(check, addresses);
        List<IpPrefix> accepted = check.ReadAll(nameof(settings.AcceptPrefix), settings.AcceptPrefix, SettingValues.AcceptedPrefix);
        CheckCount(check, nameof(settings.AcceptPrefix), accepted.Count, ControlMessage.MaximumAddresses);
        IReadOnlyList<IpPrefix> inside = invitation?.Prefixes ?? [.. addresses.Select(IpPrefix.Host)];
        List<UdpEndpoint> advertised = check.ReadAll(
            nameof(settings.AdvertiseEndpoint), settings.AdvertiseEndpoint, text => SettingValues.AdvertisedEndpoint(text, inside));
        CheckCount(check, nameof(settings.AdvertiseEndpoint), advertised.Count, ClientOptions.MaximumAdvertisedEndpoints);
        CheckChoice(check, nameof(settings.PathPolicy), settings.PathPolicy, "path policy");
        CheckChoice(check, nameof(settings.KeyChange), settings.KeyChange, "answer to changed keys");
        List<SigningPublicKey> signingKeys = ReadSigningKeys(
            settings.RequireSignedMembers, settings.SigningKey, check, isNeeded: false);
        CheckSigningKeys(signingKeys, invitation, check);
        return new ClientOptions
        {
            Name = name,
            StatePath = StatePathOf(settings, "client", name),
            Servers = invitation?.Endpoints ?? servers,
            ServerKey = serverKey,
            NetworkKey = invitation?.NetworkKey ?? networkKey!,
            Invitation = invitation?.Token ?? token,
            RequestedAddresses = addresses,
            AgreedPrefixes = [.. invitation?.Prefixes ?? [], .. accepted],
            AdvertisedEndpoints = advertised,
            AllowRelay = settings.AllowRelay,
            PathPolicy = settings.PathPolicy ?? default,
            PortMapping = settings.PortMapping ?? true,
            KeyChange = settings.KeyChange ?? default,
            RequireSignedMembers = settings.RequireSignedMembers,
            SigningKeys = signingKeys,
            InvitedSigningKeys = invitation?.SigningKeys ?? [],
            ListenPort = settings.ListenPort ?? 0,
            Mtu = settings.Mtu,
            Cipher = settings.Cipher ?? default,
            InterfaceName = settings.InterfaceName,
            NetworkCategory = settings.NetworkCategory,
            AllowInbound = settings.AllowInbound ?? false,
            Routes = RouteSettings.Offered(
                settings, [.. invitation?.Prefixes ?? [], .. accepted, .. addresses.Select(IpPrefix.Host)], check),
            AcceptedRoutes = RouteSettings.Accepted(settings, check),
            Exit = RouteSettings.Exit(settings, check),
            DataPath = DataPathOf(settings),
            LogPath = LogPathOf(settings),
            LogLevel = settings.LogLevel ?? LogLevel.Information,
        };
    }

    /// <summary>The signing keys; to ask for signatures by none is a problem where nothing else can say by which.</summary>
    private static List<SigningPublicKey> ReadSigningKeys(
        bool? isRequired, IReadOnlyList<string>? texts, SettingsCheck check, bool isNeeded)
    {
        List<SigningPublicKey> keys = check.ReadAll(nameof(ServerSettings.SigningKey), texts, SettingValues.SigningKey);
        if (keys.Count > SigningPublicKey.MaximumCount)
        {
            check.Add(nameof(ServerSettings.SigningKey), new LightTunnelException(
                LightTunnelError.InvalidOption, $"SigningKey: {keys.Count} keys are too many.",
                $"Give at most {SigningPublicKey.MaximumCount}."));
        }

        if (isRequired == false && texts is { Count: > 0 })
        {
            check.Add(nameof(ServerSettings.SigningKey), new LightTunnelException(
                LightTunnelError.InvalidOption, "SigningKey contradicts RequireSignedMembers, which says that members are not signed.",
                "Leave out one of them."));
        }

        if (isRequired == true && isNeeded && check.Complete && texts is null or [])
        {
            check.Add(nameof(ServerSettings.RequireSignedMembers), new LightTunnelException(
                LightTunnelError.InvalidOption, "Members are to be signed, and nothing says by which key.",
                "Give SigningKey, the public half that an admin's New-LtSigningKey has shown."));
        }

        return [.. keys.Distinct()];
    }

    /// <summary>A person who names the keys does not want others.</summary>
    private static void CheckSigningKeys(List<SigningPublicKey> named, Invitation? invitation, SettingsCheck check)
    {
        if (named.Count == 0 || invitation is not { SigningKeys: { Count: > 0 } invited } || SigningPublicKey.AreSame(named, invited))
            return;
        check.Add(nameof(ClientSettings.SigningKey), new LightTunnelException(
            LightTunnelError.NotSigned,
            $"The invitation names the signing key {SigningPublicKey.Fingerprints(invited)}, and not "
                + $"{SigningPublicKey.Fingerprints(named)}.",
            "Compare both with an admin's, as a server in bad hands makes invitations with a key of its own. Ask for a new invitation, or "
                + "give the right -SigningKey."));
    }

    private static T Overlay<T>(T file, T parameters)
        where T : TunnelSettings => file with
        {
            Name = parameters.Name ?? file.Name,
            ListenPort = parameters.ListenPort ?? file.ListenPort,
            Mtu = parameters.Mtu ?? file.Mtu,
            Cipher = parameters.Cipher ?? file.Cipher,
            InterfaceName = parameters.InterfaceName ?? file.InterfaceName,
            NetworkCategory = parameters.NetworkCategory ?? file.NetworkCategory,
            AllowInbound = parameters.AllowInbound ?? file.AllowInbound,
            Route = parameters.Route ?? file.Route,
            // Networks that are given anew are not what those of the file are.
            As = parameters.As ?? (parameters.Route is null ? file.As : null),
            NoSnat = parameters.NoSnat ?? file.NoSnat,
            AcceptRoute = parameters.AcceptRoute ?? file.AcceptRoute,
            ForceRoute = parameters.ForceRoute ?? file.ForceRoute,
            OfferExitNode = parameters.OfferExitNode ?? file.OfferExitNode,
            ExitNode = parameters.ExitNode ?? file.ExitNode,
            AllowLan = parameters.AllowLan ?? file.AllowLan,
            KillSwitch = parameters.KillSwitch ?? file.KillSwitch,
            Queues = parameters.Queues ?? file.Queues,
            DisableOffload = parameters.DisableOffload ?? file.DisableOffload,
            StatePath = parameters.StatePath ?? file.StatePath,
            LogPath = parameters.LogPath ?? file.LogPath,
            LogLevel = parameters.LogLevel ?? file.LogLevel,
            NetworkKey = parameters.NetworkKey ?? file.NetworkKey,
        };

    private static void CheckCommon(TunnelSettings settings, SettingsCheck check)
    {
        check.Read(nameof(settings.Name), settings.Name, SettingValues.Name);
        check.Read(nameof(settings.InterfaceName), settings.InterfaceName, SettingValues.InterfaceName);
        check.Read(nameof(settings.StatePath), settings.StatePath, path => SettingValues.FullPath("state path", path));
        check.Read(nameof(settings.LogPath), settings.LogPath, path => SettingValues.FullPath("log path", path));
        if (settings.ListenPort is { } port)
            check.Guard(nameof(settings.ListenPort), 0, () => SettingValues.Number("ListenPort", port, 0, ushort.MaxValue));
        if (settings.Mtu is { } mtu)
        {
            check.Guard(
                nameof(settings.Mtu), 0, () => SettingValues.Number("Mtu", mtu, TunnelOptions.MinimumMtu, TunnelOptions.MaximumMtu));
        }
        if (settings.Queues is { } queues)
            check.Guard(nameof(settings.Queues), 0, () => SettingValues.Number("Queues", queues, 1, DataPathOptions.MaximumQueues));
        CheckChoice(check, nameof(settings.LogLevel), settings.LogLevel, "log level");
        CheckChoice(check, nameof(settings.Cipher), settings.Cipher, "cipher policy");
        CheckChoice(check, nameof(settings.NetworkCategory), settings.NetworkCategory, "network category");
    }

    private static DataPathOptions DataPathOf(TunnelSettings settings) => new()
    {
        Queues = settings.Queues ?? DataPathOptions.Default.Queues,
        Offloads = settings.DisableOffload == true ? Offloads.None : Offloads.All,
    };

    private static void CheckChoice<TEnum>(SettingsCheck check, string key, TEnum? choice, string what)
        where TEnum : struct, Enum
    {
        if (choice is { } value && !Enum.IsDefined(value))
        {
            check.Add(key, new LightTunnelException(
                LightTunnelError.InvalidOption, $"'{value}' is not a {what}.", $"Use one of {string.Join(", ", Enum.GetNames<TEnum>())}."));
        }
    }

    private static void CheckObserverPort(SettingsCheck check, int? port, int listenPort)
    {
        if (port is not { } given)
            return;
        check.Guard(nameof(ServerSettings.ObserverPort), 0, () => SettingValues.Number("ObserverPort", given, 0, ushort.MaxValue));
        if (given != 0 && given == listenPort)
        {
            check.Add(nameof(ServerSettings.ObserverPort), new LightTunnelException(
                LightTunnelError.InvalidOption,
                $"ObserverPort {given} is the port that the server listens on: a NAT is seen by what it does with two.",
                "Give another port, or 0 for none.") { Target = given });
        }
    }

    /// <summary>Invitation, or server with both keys.</summary>
    private static void CheckWayToJoin(ClientSettings settings, SettingsCheck check)
    {
        const string Action = "Give either an invitation, or server, server key and network key.";
        (string Key, bool Given)[] parts =
        [
            (nameof(settings.Server), settings.Server is { Count: > 0 }),
            (nameof(settings.ServerKey), settings.ServerKey is not null),
            (nameof(settings.NetworkKey), settings.NetworkKey is not null),
        ];
        if (settings.Invitation is not null)
        {
            foreach ((string key, bool given) in parts.Append((nameof(settings.InvitationSecret), settings.InvitationSecret is not null)))
            {
                if (given)
                {
                    check.Add(
                        key, new LightTunnelException(
                            LightTunnelError.InvalidOption, $"{key} contradicts Invitation, which says it already.", Action));
                }
            }
        }
        else if (check.Complete)
        {
            string[] missing = [.. parts.Where(part => !part.Given).Select(part => part.Key)];
            if (missing.Length == parts.Length)
            {
                check.Add(
                    nameof(settings.Invitation),
                    new LightTunnelException(LightTunnelError.InvalidOption, "Nothing says which network to join.", Action));
            }
            else if (missing.Length > 0)
            {
                check.Add(
                    missing[0], new LightTunnelException(
                        LightTunnelError.InvalidOption, $"{string.Join(" and ", missing)} missing.", Action));
            }
        }
    }

    private static void CheckFamilies(SettingsCheck check, IEnumerable<TunnelAddress> addresses)
    {
        if (addresses.GroupBy(address => address.IsIPv4).Any(family => family.Count() > 1))
        {
            check.Add(nameof(ServerSettings.Address), new LightTunnelException(
                LightTunnelError.InvalidOption, "There are two addresses of one kind.", "Give at most one IPv4 and one IPv6 address."));
        }
    }

    private static void CheckCount(SettingsCheck check, string key, int count, int maximum)
    {
        if (count > maximum)
        {
            check.Add(
                key, new LightTunnelException(
                    LightTunnelError.InvalidOption, $"{key}: {count} endpoints are too many.", $"Give at most {maximum}."));
        }
    }

    private static string NameOf(TunnelSettings settings) => settings.Name ?? NodeName.Sanitize(Environment.MachineName);

    /// <summary>Where a client keeps its state.</summary>
    /// <exception cref="LightTunnelException">Name or path is none.</exception>
    public static string ClientStatePath(ClientSettings settings)
    {
        var check = new SettingsCheck(complete: false);
        CheckCommon(settings, check);
        check.ThrowFirst();
        return StatePathOf(settings, "client", NameOf(settings));
    }

    private static string StatePathOf(TunnelSettings settings, string role, string name) =>
        FullPathOrNull(settings.StatePath) ?? DefaultStatePath(role, name);

    private static string? LogPathOf(TunnelSettings settings) => FullPathOrNull(settings.LogPath);

    /// <summary>Null also for what <see cref="CheckCommon"/> has found to be no path.</summary>
    private static string? FullPathOrNull(string? path) =>
        string.IsNullOrWhiteSpace(path) || path.Contains('\0', StringComparison.Ordinal) ? null : Path.GetFullPath(path);

    private static string DefaultStatePath(string role, string name)
    {
        string folder = $"{role}-{name}";
        if (OperatingSystem.IsWindows())
            return Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.CommonApplicationData), "LightTunnel", folder);
        if (Environment.IsPrivilegedProcess)
            return Path.Combine("/var/lib/lighttunnel", folder);

        // XDG base directory specification: relative values are to be ignored.
        string? state = Environment.GetEnvironmentVariable("XDG_STATE_HOME");
        if (string.IsNullOrEmpty(state) || !Path.IsPathRooted(state))
            state = Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".local", "state");
        return Path.Combine(state, "lighttunnel", folder);
    }
}
