using System.Collections;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Management.Automation;
using System.Management.Automation.Language;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Server;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Services;

namespace LightTunnel;

/// <summary>
/// Names for tab completion: what commands have shown in this session, and what the tunnels of this machine say within a second. What comes
/// later is there when Tab is pressed again.
/// </summary>
internal static class KnownNames
{
    /// <summary>Names kept of a kind; a session that has seen more starts anew.</summary>
    private const int Limit = 20_000;

    /// <summary>How long a person who has pressed Tab waits.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>How long what the tunnels said is new enough.</summary>
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(3);

    private static readonly ConcurrentDictionary<(Kind Kind, string Name), string?> Names = new();
    private static readonly Lock Gate = new();
    private static Task _asking = Task.CompletedTask;
    private static long _asked;

    /// <summary>What a name names.</summary>
    internal enum Kind
    {
        Server,
        Network,
        Peer,
        Member,
        Address,
        Destination,
        Service,
        Invitation,
        Group,
    }

    public static void RememberTunnels(IEnumerable<ITunnelHandle> tunnels)
    {
        foreach (ITunnelHandle tunnel in tunnels)
            Remember(KindOf(tunnel), tunnel.Name, null);
    }

    public static void RememberServices(IEnumerable<ServiceDefinition> services)
    {
        foreach (ServiceDefinition service in services)
            Remember(Kind.Service, service.Name, service.SystemName);
    }

    public static void RememberInvitations(IEnumerable<InvitationStatus> invitations)
    {
        foreach (InvitationStatus invitation in invitations)
            Remember(Kind.Invitation, invitation.Id, invitation.Name.Length == 0 ? null : invitation.Name);
    }

    public static void ForgetService(ServiceDefinition service) => Names.TryRemove((Kind.Service, service.Name), out _);

    public static void Forget(ITunnelHandle tunnel) => Names.TryRemove((KindOf(tunnel), tunnel.Name), out _);

    public static void Remember(LtPeer peer)
    {
        Remember(Kind.Peer, peer.Name, peer.Address);
        foreach (string address in peer.Addresses)
            Remember(Kind.Address, address, peer.Name);
    }

    public static void Remember(LtMember member)
    {
        Remember(Kind.Member, member.Name, member.Address);
        foreach (string address in member.Addresses)
            Remember(Kind.Address, address, member.Name);
        foreach (string group in member.Groups)
            Remember(Kind.Group, group, null);
    }

    public static void RememberRoute(string destination, string peer)
    {
        Remember(Kind.Destination, destination, peer);
        Remember(Kind.Peer, peer, null);
    }

    /// <summary>Names of services that begin with what was typed. They are files, so nobody needs to be asked.</summary>
    public static IEnumerable<CompletionResult> CompleteServices(string typed)
    {
        RememberServices(ServiceCatalog.List());
        return Matching(typed, [Kind.Service]);
    }

    /// <summary>Names of the given kinds that begin with what was typed.</summary>
    public static IEnumerable<CompletionResult> Complete(string typed, params Kind[] kinds)
    {
        RememberTunnels(TunnelCatalog.Local);
        Ask().Wait(Patience);
        return Matching(typed, kinds);
    }

    private static IEnumerable<CompletionResult> Matching(string typed, Kind[] kinds)
    {
        string start = typed.Trim('\'', '"');
        return Names
            .Where(entry => kinds.Contains(entry.Key.Kind) && entry.Key.Name.StartsWith(start, StringComparison.OrdinalIgnoreCase))
            .DistinctBy(entry => entry.Key.Name)
            .OrderBy(entry => entry.Key.Name, StringComparer.OrdinalIgnoreCase)
            .Select(entry => new CompletionResult(
                Quote(entry.Key.Name), entry.Key.Name, CompletionResultType.ParameterValue, entry.Value ?? entry.Key.Name));
    }

    /// <summary>Asks all tunnels, unless that was done just now. The task ends without an exception.</summary>
    private static Task Ask()
    {
        lock (Gate)
        {
            if (_asking.IsCompleted && (_asked == 0 || Stopwatch.GetElapsedTime(_asked) > Fresh))
            {
                _asking = Task.Run(AskAsync);
                _asked = Stopwatch.GetTimestamp();
            }

            return _asking;
        }
    }

    private static async Task AskAsync()
    {
        try
        {
            TunnelSearch search = await TunnelCatalog.FindAsync(role: null, CancellationToken.None).ConfigureAwait(false);
            RememberTunnels(search.Tunnels);
            await Task.WhenAll(search.Tunnels.Select(AskAsync)).ConfigureAwait(false);
        }
        catch (LightTunnelException)
        {
            // Completion has nowhere to tell of it; the command that is being typed will.
        }
    }

    private static async Task AskAsync(ITunnelHandle tunnel)
    {
        try
        {
            if (tunnel.Role == TunnelRole.Server)
                RememberInvitations(await tunnel.GetInvitationsAsync(CancellationToken.None).ConfigureAwait(false));
            foreach (PeerStatus status in await tunnel.GetPeersAsync(CancellationToken.None).ConfigureAwait(false))
            {
                var peer = new LtPeer(status);
                Remember(peer);
                foreach (string destination in peer.Routes)
                    Remember(Kind.Destination, destination, peer.Name);
            }

            if (tunnel.Role != TunnelRole.Server)
                return;
            foreach (MemberStatus status in await tunnel.GetMembersAsync(CancellationToken.None).ConfigureAwait(false))
                Remember(new LtMember(status));
        }
        catch (LightTunnelException)
        {
            // It has stopped, or does not answer.
        }
    }

    private static Kind KindOf(ITunnelHandle tunnel) => tunnel.Role == TunnelRole.Server ? Kind.Server : Kind.Network;

    private static void Remember(Kind kind, string name, string? tip)
    {
        if (Names.Count >= Limit)
            Names.Clear();
        Names[(kind, name)] = tip;
    }

    private static string Quote(string name) =>
        name.All(character => char.IsLetterOrDigit(character) || character is '.' or '-' or '_' or ':' or '/')
            ? name
            : $"'{CodeGeneration.EscapeSingleQuotedStringContent(name)}'";
}

/// <summary>Completes the names of servers.</summary>
internal sealed class ServerNameCompleter : IArgumentCompleter
{
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        KnownNames.Complete(wordToComplete, KnownNames.Kind.Server);
}

/// <summary>Completes the names of joined networks.</summary>
internal sealed class NetworkNameCompleter : IArgumentCompleter
{
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        KnownNames.Complete(wordToComplete, KnownNames.Kind.Network);
}

/// <summary>Completes the names of tunnels of either kind.</summary>
internal sealed class TunnelNameCompleter : IArgumentCompleter
{
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        KnownNames.Complete(wordToComplete, KnownNames.Kind.Server, KnownNames.Kind.Network);
}

/// <summary>Completes the names of peers.</summary>
internal sealed class PeerNameCompleter : IArgumentCompleter
{
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        KnownNames.Complete(wordToComplete, KnownNames.Kind.Peer);
}

/// <summary>Completes names and tunnel addresses of peers.</summary>
internal sealed class PeerCompleter : IArgumentCompleter
{
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        KnownNames.Complete(wordToComplete, KnownNames.Kind.Peer, KnownNames.Kind.Address);
}

/// <summary>Completes names and tunnel addresses of members of servers on this machine.</summary>
internal sealed class MemberCompleter : IArgumentCompleter
{
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        KnownNames.Complete(wordToComplete, KnownNames.Kind.Member, KnownNames.Kind.Address);
}

/// <summary>Completes names of members of servers on this machine.</summary>
internal sealed class MemberNameCompleter : IArgumentCompleter
{
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        KnownNames.Complete(wordToComplete, KnownNames.Kind.Member);
}

/// <summary>Completes groups of members of servers on this machine.</summary>
internal sealed class GroupCompleter : IArgumentCompleter
{
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        KnownNames.Complete(wordToComplete, KnownNames.Kind.Group);
}

/// <summary>Completes whom a rule is about.</summary>
internal sealed class RuleSideCompleter : IArgumentCompleter
{
    private static readonly string[] Fixed = ["server", "clients"];

    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters)
    {
        const string GroupPrefix = "group:";
        string typed = wordToComplete.Trim('\'', '"');
        return
        [
            .. Fixed.Where(one => one.StartsWith(typed, StringComparison.OrdinalIgnoreCase)).Select(one => new CompletionResult(one)),
            .. KnownNames.Complete(typed, KnownNames.Kind.Member, KnownNames.Kind.Address),
            .. KnownNames.Complete(
                    typed.StartsWith(GroupPrefix, StringComparison.OrdinalIgnoreCase) ? typed[GroupPrefix.Length..] : typed,
                    KnownNames.Kind.Group)
                .Select(group => new CompletionResult($"{GroupPrefix}{group.ListItemText}")),
        ];
    }
}

/// <summary>Completes tunnel addresses.</summary>
internal sealed class AddressCompleter : IArgumentCompleter
{
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        KnownNames.Complete(wordToComplete, KnownNames.Kind.Address);
}

/// <summary>Completes destinations of routes.</summary>
internal sealed class DestinationCompleter : IArgumentCompleter
{
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        KnownNames.Complete(wordToComplete, KnownNames.Kind.Destination);
}

/// <summary>Completes the ids of invitations.</summary>
internal sealed class InvitationCompleter : IArgumentCompleter
{
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        KnownNames.Complete(wordToComplete, KnownNames.Kind.Invitation);
}

/// <summary>Completes the names of services.</summary>
internal sealed class ServiceNameCompleter : IArgumentCompleter
{
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        KnownNames.CompleteServices(wordToComplete);
}
