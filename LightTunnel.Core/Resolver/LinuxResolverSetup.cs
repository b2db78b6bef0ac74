using System.Globalization;
using System.Runtime.Versioning;
using LightTunnel.Diagnostics;

namespace LightTunnel.Resolver;

/// <summary>
/// Split DNS by what this machine's programs ask: systemd-resolved where it runs for this network namespace and is asked, by its stub in
/// /etc/resolv.conf or by nsswitch.conf; /etc/resolv.conf itself otherwise, whoever writes it. Chosen anew at each look.
/// </summary>
/// <param name="resolved">The way by systemd-resolved.</param>
/// <param name="file">The way by /etc/resolv.conf.</param>
/// <param name="bus">systemd-resolved.</param>
/// <param name="places">The files that say whom programs ask.</param>
[SupportedOSPlatform("linux")]
internal sealed class LinuxResolverSetup(IResolverSetup resolved, IResolverSetup file, IResolvedBus bus, LinuxResolverPlaces places)
    : IResolverSetup
{
    private IResolverSetup? _current;

    /// <inheritdoc/>
    public IReadOnlyList<string> Set(ResolverScope scope)
    {
        bool runs = bus.FindProcess() is { } process && LinuxResolverPlaces.IsHere(process);
        if (runs && places.HasUplinkFile)
        {
            Restore();
            return scope.HasNames
                ? [$"The network's names are not found by this machine's programs: {places.ResolvConf} leads to systemd-resolved's list of "
                    + "all nameservers, so that programs ask these, and not it. Have it lead to the stub: "
                    + $"ln -sf ../run/systemd/resolve/stub-resolv.conf {places.ResolvConf}"]
                : [];
        }

        if (places.IsOfTheMachineOutside)
        {
            Restore();
            return scope.HasNames
                ? [$"The network's names are not found by programs of this network namespace: {places.ResolvConf} is that of the machine "
                    + "outside. Give the namespace one of its own, /etc/netns/NAME/resolv.conf (ip-netns(8)), or ask with Resolve-LtName."]
                : [];
        }

        IResolverSetup chosen = runs && places.AsksResolved() ? resolved : file;
        if (_current != chosen)
            Restore();
        _current = chosen;
        return chosen.Set(scope);
    }

    /// <inheritdoc/>
    public void Restore()
    {
        _current?.Restore();
        _current = null;
    }
}

/// <summary>The files that say whom programs ask for names; elsewhere in tests.</summary>
/// <param name="resolvConf">/etc/resolv.conf.</param>
/// <param name="nameServiceSwitch">/etc/nsswitch.conf.</param>
[SupportedOSPlatform("linux")]
internal sealed class LinuxResolverPlaces(
    string resolvConf = ResolvConfFile.SystemPath, string nameServiceSwitch = "/etc/nsswitch.conf")
{
    private const string Stub = "127.0.0.53", OtherStub = "127.0.0.54";

    /// <summary>/etc/resolv.conf.</summary>
    public string ResolvConf => resolvConf;

    /// <summary>
    /// True when the file is systemd-resolved's list of all links' nameservers: it puts a tunnel's there as well, for every name.
    /// </summary>
    public bool HasUplinkFile => Resolved().EndsWith("/systemd/resolve/resolv.conf", StringComparison.Ordinal);

    /// <summary>
    /// True in a network namespace whose programs read the very file that those of the machine's first process read, whose network is
    /// another: a tunnel's nameserver would stand there for all of them. Where nobody may look (a service) it counts as false.
    /// </summary>
    public bool IsOfTheMachineOutside
    {
        get
        {
            try
            {
                string? first = File.ResolveLinkTarget("/proc/1/ns/net", returnFinalTarget: false)?.Name;
                return first is not null && first != File.ResolveLinkTarget("/proc/thread-self/ns/net", returnFinalTarget: false)?.Name
                    && OwnedFile.Look(Resolved()) is { } own
                    && OwnedFile.Look(ResolvConfFile.Resolve("/proc/1/root" + resolvConf)) is { } outside
                    && own.Identity == outside.Identity;
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                return false;
            }
        }
    }

    /// <summary>Whether programs ask systemd-resolved.</summary>
    public bool AsksResolved()
    {
        try
        {
            return (ResolvConfFile.Read(Resolved()) is { } content
                    && new ResolvConfText(content).OtherNameservers is [Stub or OtherStub, ..])
                || File.ReadLines(nameServiceSwitch)
                    .Any(line => line.Split(['#'])[0].Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)
                        is ["hosts:", .. var sources] && sources.Contains("resolve"));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>
    /// Whether a process is of this thread's network namespace: systemd-resolved has links of its own alone, and its bus is reached from
    /// others, too. Where nobody may look (a service, without the privilege) its stub tells, which listens in its namespace.
    /// </summary>
    public static bool IsHere(uint process)
    {
        try
        {
            string id = process.ToString(CultureInfo.InvariantCulture);
            if (File.ResolveLinkTarget($"/proc/{id}/ns/net", returnFinalTarget: false)?.Name is { } theirs)
                return theirs == File.ResolveLinkTarget("/proc/thread-self/ns/net", returnFinalTarget: false)?.Name;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Asked below.
        }

        return HasStubSocket();
    }

    private static bool HasStubSocket()
    {
        try
        {
            // 127.0.0.53 port 53, as the kernel writes it: in the processor's own order of bytes.
            string stub = BitConverter.IsLittleEndian ? " 3500007F:0035 " : " 7F000035:0035 ";
            return File.ReadLines("/proc/thread-self/net/udp").Any(line => line.Contains(stub, StringComparison.Ordinal));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private string Resolved()
    {
        try
        {
            return ResolvConfFile.Resolve(resolvConf);
        }
        catch (IOException)
        {
            return resolvConf;
        }
    }
}
