using System.Globalization;
using LightTunnel.Diagnostics;

namespace LightTunnel.WindowsNetwork;

/// <summary>What a tunnel wants to be to Windows.</summary>
/// <param name="Tunnel">The tunnel's name with its role, "server office": no two on a machine have the same.</param>
/// <param name="Interface">The interface's name.</param>
/// <param name="Adapter">The adapter's GUID.</param>
/// <param name="Ports">The UDP ports that others reach it at.</param>
/// <param name="Program">The program that has them; null where it is not known.</param>
/// <param name="Category">What the network is to be taken for; null leaves it as Windows decides.</param>
/// <param name="AllowInbound">Whether members may reach everything that listens on this machine.</param>
internal sealed record PresenceOptions(
    string Tunnel, string Interface, Guid Adapter, IReadOnlyList<int> Ports, string? Program, NetworkCategory? Category,
    bool AllowInbound);

/// <summary>
/// Makes a tunnel known to Windows, and forgotten with it: rules in its firewall for the UDP ports, and for what members may reach if that
/// was asked for; and the category of its network. All of it beside the tunnel, which goes on when Windows refuses, and says so in its log.
/// </summary>
/// <remarks>
/// Rules outlive the process that made them, and one that was killed leaves its own: so they have names that follow from the tunnel's, and
/// are replaced when it starts again. A rule of such a name that is not in this module's group is somebody else's, and is left alone.
/// <para>Windows identifies a network some seconds after its adapter has addresses, and a client's come from the server. Until then there
/// is nothing that could have a category, so it is looked for again and again. Each network that Windows takes the adapter's for is given
/// the category once: what a person chooses afterwards stays.</para>
/// </remarks>
/// <param name="options">What is wanted.</param>
/// <param name="firewall">The firewall.</param>
/// <param name="networks">The list of networks.</param>
/// <param name="log">The tunnel's log.</param>
/// <param name="time">The clock.</param>
internal sealed class WindowsPresence(
    PresenceOptions options, IFirewall firewall, INetworkList networks, TunnelLog log, TimeProvider time) : IDisposable
{
    /// <summary>How often a network is looked for that was not identified yet.</summary>
    internal static readonly TimeSpan Soon = TimeSpan.FromSeconds(1);

    /// <summary>How often it is looked for after <see cref="Patience"/>, and whether it is another one now.</summary>
    internal static readonly TimeSpan Later = TimeSpan.FromSeconds(30);

    /// <summary>After this time without a category it is said why.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>A service that hangs must not keep a tunnel from stopping.</summary>
    private static readonly TimeSpan LongestEnd = TimeSpan.FromSeconds(2);

    /// <summary>So many rules of one name are removed at most.</summary>
    private const int MostOfOneName = 16;

    private readonly CancellationTokenSource _ending = new();
    private readonly List<string> _added = [];
    private Task _work = Task.CompletedTask;
    private Guid? _done;
    private string? _told;

    private string PortRule => $"LightTunnel {options.Tunnel}: UDP ports";

    private string MemberRule => $"LightTunnel {options.Tunnel}: from members";

    /// <summary>Begins; returns at once.</summary>
    public void Begin() => _work = Task.Run(WorkAsync);

    /// <summary>
    /// What keeps members out: in the firewall's profiles that are in force now, and by what Windows takes the network for. Nothing that
    /// Windows does not tell. May wait for its services.
    /// </summary>
    public IReadOnlyList<(string Message, string RecommendedAction)> FindProblems() =>
        [.. new[] { Ask(() => Describe(firewall.FindHindrance())), Ask(FindPublic) }.OfType<(string, string)>()];

    private static (string Message, string RecommendedAction)? Ask(Func<(string Message, string RecommendedAction)?> question)
    {
        try
        {
            return question();
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            return null; // The log has told when the tunnel started.
        }
    }

    /// <summary>A network that is public without anybody having said so, and whose members no rule lets in.</summary>
    private (string Message, string RecommendedAction)? FindPublic() =>
        !options.AllowInbound && options.Category != NetworkCategory.Public
            && networks.Find(options.Adapter) is { Category: NetworkCategory.Public }
            ? ($"Windows takes the network of '{options.Interface}' for a public one: it hides this machine from members, and blocks their "
                + "pings, file sharing and remote desktop.",
                "Start the tunnel with -NetworkCategory Private, or with -AllowInbound for everything; or do it once by "
                + $"Set-NetConnectionProfile -InterfaceAlias '{options.Interface}' -NetworkCategory Private.")
            : null;

    /// <summary>Ends it and takes the rules away.</summary>
    public void Dispose()
    {
        if (_ending.IsCancellationRequested)
            return;
        _ending.Cancel();
        Task end = _work.ContinueWith(_ => RemoveAdded(), TaskScheduler.Default);
        if (!end.Wait(LongestEnd))
            log.Warning("The Windows Firewall does not answer: its rules of {Tunnel} are replaced when it starts again", options.Tunnel);
    }

    private async Task WorkAsync()
    {
        OpenFirewall();
        if (options.Category is not { } category)
            return;
        DateTimeOffset begun = time.GetUtcNow();
        while (!_ending.IsCancellationRequested)
        {
            string? missing = Place(category);
            bool isPatient = missing is not null && time.GetUtcNow() - begun < Patience;
            if (missing is not null && !isPatient && missing != _told)
                log.Warning("The network of {Interface} is not {Category}: {Reason}", options.Interface, category, missing);
            _told = isPatient ? _told : missing;
            await Task.Delay(isPatient ? Soon : Later, time, _ending.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Gives the network its category, if it was not given it before; the reason when that cannot be done yet.</summary>
    private string? Place(NetworkCategory category)
    {
        try
        {
            if (networks.Find(options.Adapter) is not { } network)
                return "Windows has not identified it yet. Get-NetConnectionProfile shows when it has.";
            if (network.Id == _done)
                return null;
            if (network.Category is null)
                log.Information("The network of {Interface} is a domain's to Windows, and stays so", options.Interface);
            else if (network.Category != category)
                networks.SetCategory(options.Adapter, category);
            _done = network.Id;
            if (network.Category is not null)
                log.Information("The network of {Interface} is {Category} to Windows", options.Interface, category);
            return null;
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            return WindowsTrouble.Explain(exception, "netprofm");
        }
    }

    private void OpenFirewall()
    {
        try
        {
            // Before any is added: a rule that was left, and is not wanted any more, lets in what nobody may any more.
            RemoveLeft(PortRule);
            RemoveLeft(MemberRule);
            foreach (FirewallRule rule in WantedRules())
            {
                if (_ending.IsCancellationRequested)
                    return;
                firewall.Add(rule);
                _added.Add(rule.Name);
            }

            Tell(firewall.FindHindrance());
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            log.Warning(
                "The Windows Firewall was not told of UDP port {Ports}{Inbound}: {Reason}", PortList(),
                options.AllowInbound ? " and of what members may reach" : string.Empty, WindowsTrouble.Explain(exception, "mpssvc"));
        }
    }

    private IEnumerable<FirewallRule> WantedRules()
    {
        yield return new FirewallRule(
            PortRule, "Lets other members of the network reach this tunnel. Removed when it stops.", options.Ports, options.Program);
        if (options.AllowInbound)
        {
            yield return new FirewallRule(
                MemberRule, $"Lets members of the network reach this machine by {options.Interface}. Removed when the tunnel stops.",
                Interface: options.Interface);
        }
    }

    private void Tell(FirewallHindrance hindrance)
    {
        if (Describe(hindrance) is { } problem)
        {
            log.Warning("{Problem} {Remedy}", problem.Message, problem.RecommendedAction);
        }
        else
        {
            log.Information(
                "The Windows Firewall lets in UDP port {Ports}{Inbound}", PortList(),
                options.AllowInbound ? $", and everything from members by {options.Interface}" : string.Empty);
        }
    }

    private static (string Message, string RecommendedAction)? Describe(FirewallHindrance hindrance) => hindrance switch
    {
        FirewallHindrance.None => null,
        FirewallHindrance.GroupPolicy => (
            "The Windows Firewall does not follow the rules of tunnels: a group policy decides, and leaves out this machine's own rules.",
            "Ask who manages this machine for a rule that lets in this tunnel's UDP port."),
        _ => (
            "The Windows Firewall does not follow the rules of tunnels: it blocks everything that comes in.",
            "Allow it in 'Windows Security', 'Firewall & network protection', or by 'Set-NetFirewallProfile -AllowInboundRules True'."),
    };

    private void RemoveLeft(string name)
    {
        for (int i = 0; i < MostOfOneName && firewall.FindGroup(name) is { } group; i++)
        {
            if (group != FirewallRule.Group)
            {
                throw new LightTunnelException(
                    LightTunnelError.NameInUse, $"There is a rule named '{name}' that is not LightTunnel's.", "Give it another name.");
            }

            firewall.Remove(name);
        }
    }

    private void RemoveAdded()
    {
        foreach (string name in _added)
        {
            try
            {
                RemoveLeft(name);
            }
            catch (Exception exception) when (exception is not OutOfMemoryException)
            {
                log.Warning(
                    "The Windows Firewall keeps the rule '{Rule}': {Reason}", name, WindowsTrouble.Explain(exception, "mpssvc"));
            }
        }
    }

    private string PortList() =>
        string.Join(", ", options.Ports.Select(port => port.ToString(CultureInfo.InvariantCulture)));
}
