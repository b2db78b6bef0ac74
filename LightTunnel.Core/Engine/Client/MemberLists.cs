using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Client;

/// <summary>
/// A client asks the server for members by name, for a person: one question after the other, each answered in parts. Owned by
/// the control loop.
/// </summary>
internal sealed class MemberLists
{
    /// <summary>Questions that may wait.</summary>
    private const int MaximumWaiting = 16;

    /// <summary>A server that says nothing for so long does not answer: it is gone, or of a version that knows no such questions.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly Queue<List> _lists = new();
    private uint _questions;

    private sealed class List(string pattern, Timestamp now)
    {
        public string Pattern { get; } = pattern;

        public List<DirectoryEntry> Entries { get; } = [];

        public TaskCompletionSource<IReadOnlyList<DirectoryEntry>> Answer { get; } = new(
            TaskCreationOptions.RunContinuationsAsynchronously);

        public uint After { get; set; }

        /// <summary>The question that is under way, 0 for none.</summary>
        public uint Question { get; set; }

        public Timestamp LastHeard { get; set; } = now;
    }

    /// <summary>Members whose names match a pattern.</summary>
    /// <exception cref="LightTunnelException">The server does not answer.</exception>
    public Task<IReadOnlyList<DirectoryEntry>> AskAsync(string pattern, Timestamp now)
    {
        if (_lists.Count >= MaximumWaiting)
            return Task.FromException<IReadOnlyList<DirectoryEntry>>(NoAnswer());
        var list = new List(pattern, now);
        _lists.Enqueue(list);
        return list.Answer.Task;
    }

    /// <summary>The server begins anew with a client: what was asked before is asked again.</summary>
    public void AskAgain()
    {
        if (_lists.TryPeek(out List? list))
            list.Question = 0;
    }

    /// <summary>A part of an answer.</summary>
    public void OnListing(ListingMessage part, Timestamp now)
    {
        if (!_lists.TryPeek(out List? list) || part.Question != list.Question || list.Question == 0)
            return;
        list.LastHeard = now;
        list.Entries.AddRange(part.Entries);
        switch (part.GoOnAfter)
        {
            case null:
                _lists.Dequeue();
                list.Answer.SetResult(list.Entries);
                break;
            case not 0 and uint after:
                list.After = after;
                list.Question = 0;
                break;
        }
    }

    /// <summary>Asks, and gives up; returns when to call again.</summary>
    /// <param name="now">The present.</param>
    /// <param name="session">The conversation with the server, null while there is none.</param>
    public Timestamp RunTimers(Timestamp now, ControlSession? session)
    {
        while (_lists.TryPeek(out List? list))
        {
            if (now - list.LastHeard >= Patience)
            {
                _lists.Dequeue();
                list.Answer.SetException(NoAnswer());
                if (_lists.TryPeek(out List? next))
                    next.LastHeard = now;
                continue;
            }

            if (list.Question == 0 && session is not null)
            {
                list.Question = ++_questions;
                session.Send(new ListMessage { Question = list.Question, Pattern = list.Pattern, After = list.After });
            }

            return list.LastHeard + Patience;
        }

        return Timestamp.Never;
    }

    private static LightTunnelException NoAnswer() => new(
        LightTunnelError.ServerUnreachable, "The server does not say which members there are.",
        "Try again when Get-LtNetwork shows the network as Up.");
}
