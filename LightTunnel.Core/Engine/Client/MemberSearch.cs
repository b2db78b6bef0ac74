using System.Diagnostics.CodeAnalysis;
using LightTunnel.Addressing;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Client;

/// <summary>
/// A client of a large network finds the members that it deals with: asks the server who has an address when the first packet for it comes,
/// keeps the packet until the answer is there, and remembers for a moment what is nobody's. One question is under way at a time; what comes
/// up meanwhile goes into the next. Owned by the control loop.
/// </summary>
/// <param name="time">The clock.</param>
internal sealed class MemberSearch(TimeProvider time)
{
    /// <summary>Subjects that are asked for or are to be.</summary>
    private const int MaximumWanted = 1024;

    /// <summary>Subjects that are remembered as nobody's.</summary>
    private const int MaximumUnknown = 512;

    /// <summary>Packets that wait for one address.</summary>
    private const int MaximumPackets = 16;

    /// <summary>
    /// Long enough that the system's second attempt meets it, short enough that a member that joins meanwhile is found soon.
    /// </summary>
    private static readonly TimeSpan UnknownFor = TimeSpan.FromSeconds(3);

    /// <summary>
    /// A question without an answer is asked again, and packets are not kept longer: the channel with the server resends, so the
    /// server is gone.
    /// </summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    /// <summary>Between two questions, however fast the answers come: as fast as a server answers for long.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    private readonly Dictionary<MemberSubject, Wanted> _wanted = [];
    private readonly Queue<Wanted> _order = new();
    private readonly Queue<MemberSubject> _next = new();
    private readonly Dictionary<MemberSubject, Timestamp> _unknown = [];
    private readonly Queue<(MemberSubject Subject, Timestamp Until)> _unknownOrder = new();
    private HashSet<MemberSubject> _asked = [];
    private Timestamp _askedAt;

    private sealed class Wanted(MemberSubject subject, Timestamp since)
    {
        public MemberSubject Subject { get; } = subject;

        public Timestamp Since { get; } = since;

        public Queue<byte[]>? Packets { get; set; }

        /// <summary>Completes when the answer is there, or is waited for no longer.</summary>
        public TaskCompletionSource? Answer { get; set; }
    }

    /// <summary>Stands for everybody whom this node does not know, in the routes to the network's prefixes.</summary>
    public RouteTarget Everybody { get; } = new(PeerRoute.Nobody);

    /// <summary>Stands for nobody, in the routes to addresses that are nobody's.</summary>
    public RouteTarget Nobody { get; } = new(PeerRoute.Nobody);

    /// <summary>True when there are members that this node is told of only when it asks.</summary>
    public bool IsNeeded { get; set; }

    /// <summary>Subjects that are asked for or are to be.</summary>
    public int Count => _wanted.Count;

    /// <summary>Wants to know a member; false when that is in vain for now.</summary>
    public bool Want(MemberSubject subject)
    {
        if (_wanted.ContainsKey(subject))
            return true;
        if (!IsNeeded || _unknown.ContainsKey(subject) || _wanted.Count >= MaximumWanted)
            return false;
        var wanted = new Wanted(subject, time.Now());
        _wanted.Add(subject, wanted);
        _order.Enqueue(wanted);
        _next.Enqueue(subject);
        return true;
    }

    /// <summary>Completes when the server has answered a question, or is not waited for any longer.</summary>
    public Task WaitAsync(MemberSubject subject) =>
        Want(subject)
            ? (_wanted[subject].Answer ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task
            : Task.CompletedTask;

    /// <summary>Wants to know the member that has an address, and keeps a packet for it; false when the packet is dropped.</summary>
    public bool Hold(TunnelAddress destination, byte[] packet)
    {
        var subject = MemberSubject.Of(destination);
        if (!Want(subject) || _wanted[subject] is not { } wanted || wanted.Packets?.Count >= MaximumPackets)
            return false;
        (wanted.Packets ??= new Queue<byte[]>()).Enqueue(packet);
        return true;
    }

    /// <summary>A page of the directory told of a member: the packets that waited for it.</summary>
    public IEnumerable<byte[]> OnFound(DirectoryEntry entry)
    {
        OnAnswered(MemberSubject.Of(entry.PublicKey));
        var packets = new List<byte[]>();
        foreach (TunnelAddress address in entry.Addresses)
        {
            if (OnAnswered(MemberSubject.Of(address)) is { } held)
                packets.AddRange(held);
        }

        return packets;
    }

    /// <summary>The server says that a subject is nobody's: the packets that waited for it.</summary>
    public IEnumerable<byte[]> OnUnknown(MemberSubject subject, Timestamp now)
    {
        IEnumerable<byte[]> packets = OnAnswered(subject) ?? new Queue<byte[]>();
        if (_unknown.Count < MaximumUnknown && _unknown.TryAdd(subject, now + UnknownFor))
            _unknownOrder.Enqueue((subject, now + UnknownFor));
        return packets;
    }

    /// <summary>True for a subject that is remembered as nobody's.</summary>
    public bool IsUnknown(MemberSubject subject) => _unknown.ContainsKey(subject);

    /// <summary>A subject that is remembered as nobody's no longer.</summary>
    public bool TryTakeForgotten(Timestamp now, out MemberSubject subject)
    {
        subject = default;
        if (!_unknownOrder.TryPeek(out (MemberSubject Subject, Timestamp Until) first) || first.Until > now)
            return false;
        subject = _unknownOrder.Dequeue().Subject;
        return _unknown.Remove(subject);
    }

    /// <summary>The packets of a subject that was asked for in vain, too long ago.</summary>
    public bool TryTakeLate(Timestamp now, [NotNullWhen(true)] out IEnumerable<byte[]>? packets)
    {
        packets = null;
        while (_order.TryPeek(out Wanted? first) && (_wanted.GetValueOrDefault(first.Subject) != first || now - first.Since >= Patience))
        {
            _order.Dequeue();
            if (_wanted.GetValueOrDefault(first.Subject) != first)
                continue;
            packets = OnAnswered(first.Subject) ?? new Queue<byte[]>();
            return true;
        }

        return false;
    }

    /// <summary>The next question, when it is time for one.</summary>
    public bool TryAsk(Timestamp now, [NotNullWhen(true)] out FindMessage? question)
    {
        question = null;
        if (_next.Count == 0 || now < NextQuestion())
            return false;
        _asked = [];
        while (_asked.Count < FindMessage.MaximumSubjects && _next.TryDequeue(out MemberSubject subject))
        {
            if (_wanted.ContainsKey(subject))
                _asked.Add(subject);
        }

        if (_asked.Count == 0)
            return false;
        _askedAt = now;
        question = new FindMessage { Subjects = [.. _asked] };
        return true;
    }

    /// <summary>Asks everything again: the server knows nothing of questions before.</summary>
    public void AskAgain()
    {
        _asked = [];
        _next.Clear();
        foreach (MemberSubject subject in _wanted.Keys)
            _next.Enqueue(subject);
    }

    /// <summary>When there is something to do.</summary>
    /// <param name="isAsking">False while there is nobody to ask.</param>
    public Timestamp Deadline(bool isAsking)
    {
        Timestamp next = isAsking && _next.Count > 0 ? NextQuestion() : Timestamp.Never;
        if (_unknownOrder.TryPeek(out (MemberSubject, Timestamp Until) first))
            next = Timestamp.Earliest(next, first.Until);
        if (_order.TryPeek(out Wanted? oldest))
            next = Timestamp.Earliest(next, oldest.Since + Patience);
        return next;
    }

    private Timestamp NextQuestion() => _askedAt + (_asked.Count > 0 ? Patience : Interval);

    private Queue<byte[]>? OnAnswered(MemberSubject subject)
    {
        _asked.Remove(subject);
        if (!_wanted.Remove(subject, out Wanted? wanted))
            return null;
        wanted.Answer?.SetResult();
        return wanted.Packets;
    }
}
