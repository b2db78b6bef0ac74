using System.Runtime.Versioning;
using LightTunnel.Addressing;
using Tmds.DBus.Protocol;

namespace LightTunnel.Resolver;

/// <summary>What systemd-resolved is told of a link (org.freedesktop.resolve1(5)).</summary>
/// <param name="Servers">Its nameservers.</param>
/// <param name="Domains">The suffixes that are looked up there, without being search domains: "office.lt"; "." for all names.</param>
/// <param name="IsDefault">Whether names of no link's domains are looked up there, too.</param>
internal sealed record ResolvedLink(IReadOnlyList<TunnelAddress> Servers, IReadOnlyList<string> Domains, bool IsDefault)
{
    /// <inheritdoc/>
    public bool Equals(ResolvedLink? other) => other is not null && IsDefault == other.IsDefault && Servers.SequenceEqual(other.Servers)
        && Domains.SequenceEqual(other.Domains);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(IsDefault, Servers.Count, Domains.Count);
}

/// <summary>systemd-resolved; replaced in tests. Each call throws <see cref="ResolvedException"/> when it says no.</summary>
internal interface IResolvedBus
{
    /// <summary>The number of its process; null when it does not run.</summary>
    uint? FindProcess();

    /// <summary>What it has of a link.</summary>
    /// <param name="interfaceIndex">The link.</param>
    ResolvedLink Read(int interfaceIndex);

    /// <summary>Tells it of a link.</summary>
    void Set(int interfaceIndex, ResolvedLink link);

    /// <summary>Has it forget what it was told of a link.</summary>
    void Revert(int interfaceIndex);
}

/// <summary>systemd-resolved does not do as it is told.</summary>
/// <param name="name">The error's name on the bus, "org.freedesktop.resolve1.LinkBusy"; empty when the bus itself does not answer.</param>
/// <param name="message">Its own words.</param>
internal sealed class ResolvedException(string name, string message) : Exception(message)
{
    /// <summary>The error's name on the bus.</summary>
    public string Name { get; } = name;
}

/// <summary>systemd-resolved by the system's bus. A connection for each call: they are rare, and it may start anew.</summary>
[SupportedOSPlatform("linux")]
internal sealed class ResolvedBus : IResolvedBus
{
    /// <summary>Where the system's bus is by its specification. What the environment says of it may be another's.</summary>
    private const string SocketPath = "/run/dbus/system_bus_socket";

    private const string Service = "org.freedesktop.resolve1", ManagerPath = "/org/freedesktop/resolve1",
        ManagerInterface = "org.freedesktop.resolve1.Manager", LinkInterface = "org.freedesktop.resolve1.Link";

    private const int InterNetwork = 2, InterNetworkV6 = 10; // AF_INET, AF_INET6

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <inheritdoc/>
    public uint? FindProcess()
    {
        if (!File.Exists(SocketPath))
            return null;
        try
        {
            return Ask<uint?>(connection => connection.CallMethodAsync<uint?>(
                Message(connection, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionUnixProcessID",
                    "s", (ref MessageWriter writer) => writer.WriteString(Service)),
                static (message, _) => message.GetBodyReader().ReadUInt32()));
        }
        catch (ResolvedException)
        {
            return null; // Nobody has the name, or there is no bus.
        }
    }

    /// <inheritdoc/>
    public ResolvedLink Read(int interfaceIndex) => Ask(async connection =>
    {
        string path = await connection.CallMethodAsync(
            ToManager(connection, "GetLink", "i", (ref MessageWriter writer) => writer.WriteInt32(interfaceIndex)),
            static (message, _) => message.GetBodyReader().ReadObjectPathAsString()).ConfigureAwait(false);
        VariantValue servers = await GetAsync("DNS").ConfigureAwait(false), domains = await GetAsync("Domains").ConfigureAwait(false);
        VariantValue isDefault = await GetAsync("DefaultRoute").ConfigureAwait(false);
        return new ResolvedLink(
            [.. Items(servers).Select(server => TunnelAddress.FromBytes(server.GetItem(1).GetArray<byte>()))],
            [.. Items(domains).Where(domain => domain.GetItem(1).GetBool()).Select(domain => domain.GetItem(0).GetString())],
            isDefault.GetBool());

        Task<VariantValue> GetAsync(string property) => connection.CallMethodAsync(
            Message(connection, Service, path, "org.freedesktop.DBus.Properties", "Get", "ss", (ref MessageWriter writer) =>
            {
                writer.WriteString(LinkInterface);
                writer.WriteString(property);
            }),
            static (message, _) => message.GetBodyReader().ReadVariantValue());
    });

    /// <inheritdoc/>
    public void Set(int interfaceIndex, ResolvedLink link) => Ask(async connection =>
    {
        await TellAsync("SetLinkDNS", "ia(iay)", (ref MessageWriter writer) =>
        {
            ArrayStart array = writer.WriteArrayStart(DBusType.Struct);
            foreach (TunnelAddress server in link.Servers)
            {
                byte[] bytes = new byte[16];
                int length = server.WriteTo(bytes);
                writer.WriteStructureStart();
                writer.WriteInt32(server.IsIPv4 ? InterNetwork : InterNetworkV6);
                writer.WriteArray(bytes.AsSpan(0, length));
            }

            writer.WriteArrayEnd(array);
        }).ConfigureAwait(false);
        await TellAsync("SetLinkDomains", "ia(sb)", (ref MessageWriter writer) =>
        {
            ArrayStart array = writer.WriteArrayStart(DBusType.Struct);
            foreach (string domain in link.Domains)
            {
                writer.WriteStructureStart();
                writer.WriteString(domain);
                writer.WriteBool(true);
            }

            writer.WriteArrayEnd(array);
        }).ConfigureAwait(false);
        await TellAsync("SetLinkDefaultRoute", "ib", (ref MessageWriter writer) => writer.WriteBool(link.IsDefault)).ConfigureAwait(false);
        // The link is private and sealed: nobody signs its names, and names without a dot are not shouted into it.
        foreach (string setting in (string[])["SetLinkDNSSEC", "SetLinkDNSOverTLS", "SetLinkLLMNR"])
            await TellAsync(setting, "is", (ref MessageWriter writer) => writer.WriteString("no")).ConfigureAwait(false);
        return true;

        Task TellAsync(string member, string signature, BodyWriter body) => connection.CallMethodAsync(
            ToManager(connection, member, signature, (ref MessageWriter writer) =>
            {
                writer.WriteInt32(interfaceIndex);
                body(ref writer);
            }));
    });

    /// <inheritdoc/>
    public void Revert(int interfaceIndex) => Ask(async connection =>
    {
        await connection.CallMethodAsync(
            ToManager(connection, "RevertLink", "i", (ref MessageWriter writer) => writer.WriteInt32(interfaceIndex)))
            .ConfigureAwait(false);
        return true;
    });

    private delegate void BodyWriter(ref MessageWriter writer);

    private static T Ask<T>(Func<DBusConnection, Task<T>> question)
    {
        try
        {
            return AskAsync(question).WaitAsync(Patience).GetAwaiter().GetResult();
        }
        catch (DBusErrorReplyException exception)
        {
            throw new ResolvedException(exception.ErrorName, exception.ErrorMessage);
        }
        catch (Exception exception) when (exception is DBusExceptionBase or TimeoutException or InvalidOperationException or IOException)
        {
            throw new ResolvedException(string.Empty, exception.Message);
        }
    }

    private static async Task<T> AskAsync<T>(Func<DBusConnection, Task<T>> question)
    {
        using var connection = new DBusConnection($"unix:path={SocketPath}");
        await connection.ConnectAsync().ConfigureAwait(false);
        return await question(connection).ConfigureAwait(false);
    }

    private static MessageBuffer ToManager(DBusConnection connection, string member, string signature, BodyWriter body) =>
        Message(connection, Service, ManagerPath, ManagerInterface, member, signature, body);

    /// <summary>It is never started by being asked: whoever stopped it meant it.</summary>
    private static MessageBuffer Message(
        DBusConnection connection, string service, string path, string type, string member, string signature, BodyWriter body)
    {
        MessageWriter writer = connection.GetMessageWriter();
        try
        {
            writer.WriteMethodCallHeader(service, path, type, member, signature, MessageFlags.NoAutoStart);
            body(ref writer);
            return writer.CreateMessage();
        }
        finally
        {
            writer.Dispose();
        }
    }

    private static IEnumerable<VariantValue> Items(VariantValue array)
    {
        for (int i = 0; i < array.Count; i++)
            yield return array.GetItem(i);
    }
}
