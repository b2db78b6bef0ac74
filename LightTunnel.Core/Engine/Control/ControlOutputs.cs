using LightTunnel.Addressing;
using LightTunnel.Transport;

namespace LightTunnel.Engine.Control;

/// <summary>
/// What one turn of the control loop wants done, in order: datagrams to be sent, and answers to be given once those are under way.
/// The turn itself does neither; whoever runs it does (<see cref="CarryOut"/>), and what came of it is the next turn's input. The
/// memory is used again.
/// </summary>
internal sealed class ControlOutputs
{
    private readonly List<Datagram> _datagrams = [];
    private readonly List<Action> _answers = [];
    private readonly List<SendReport> _reports = [];
    private byte[] _bytes = new byte[4096];
    private int _used;

    /// <summary>What was to be told of the datagrams that were sent since this was last emptied.</summary>
    public IReadOnlyList<SendReport> Reports => _reports;

    /// <summary>True when nothing waits to be carried out.</summary>
    public bool IsEmpty => _datagrams.Count == 0 && _answers.Count == 0;

    /// <summary>Has a datagram sent.</summary>
    /// <param name="path">By what.</param>
    /// <param name="header">Its first bytes.</param>
    /// <param name="datagram">The others.</param>
    /// <param name="question">What is to be told of it.</param>
    public void Send(in PathHandle path, ReadOnlySpan<byte> header, ReadOnlySpan<byte> datagram, SendQuestion question = default)
    {
        int length = header.Length + datagram.Length;
        if (_bytes.Length - _used < length)
            Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, _used + length));
        header.CopyTo(_bytes.AsSpan(_used));
        datagram.CopyTo(_bytes.AsSpan(_used + header.Length));
        _datagrams.Add(new Datagram(path, _used, length, question));
        _used += length;
    }

    /// <summary>Has somebody answered who asked for something, when all that it led to is under way.</summary>
    public void Answer(Action answer) => _answers.Add(answer);

    /// <summary>Does everything; what comes of it is in <see cref="Reports"/>.</summary>
    public void CarryOut(IDatagramTransport transport)
    {
        foreach (Datagram datagram in _datagrams)
        {
            ReadOnlySpan<byte> bytes = _bytes.AsSpan(datagram.Start, datagram.Length);
            SendQuestion question = datagram.Question;
            switch (question.Kind)
            {
                case SendQuestionKind.None:
                    transport.Send(bytes, datagram.Path);
                    break;
                case SendQuestionKind.Obstacle:
                    _reports.Add(new SendReport(question, datagram.Path.Endpoint, transport.SendOrTell(bytes, datagram.Path)));
                    break;
                case SendQuestionKind.Whole when !transport.TrySendWhole(bytes, datagram.Path):
                    _reports.Add(new SendReport(question, datagram.Path.Endpoint, SendObstacle.None));
                    break;
            }
        }

        _datagrams.Clear();
        _bytes.AsSpan(0, _used).Clear();
        _used = 0;
        // An answer may stop the tunnel, or ask for the next thing.
        Action[] answers = [.. _answers];
        _answers.Clear();
        foreach (Action answer in answers)
            answer();
    }

    /// <summary>The reports have been looked at.</summary>
    public void ForgetReports() => _reports.Clear();

    private readonly record struct Datagram(PathHandle Path, int Start, int Length, SendQuestion Question);
}

/// <summary>What is to be told of a datagram that was sent.</summary>
internal enum SendQuestionKind : byte
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>What of this machine's own was in the way, if anything was.</summary>
    Obstacle,

    /// <summary>Nobody on its way may cut it in pieces; when it is too long for this machine's own network, that.</summary>
    Whole,
}

/// <summary>What is to be told of a datagram that was sent, and to what that belongs.</summary>
/// <param name="Kind">What.</param>
/// <param name="Peer">Whom it is sent to, where that matters.</param>
/// <param name="Transaction">What its answer is known by.</param>
internal readonly record struct SendQuestion(SendQuestionKind Kind, Peer? Peer = null, uint Transaction = 0);

/// <summary>What came of a datagram.</summary>
/// <param name="Question">What was asked.</param>
/// <param name="Endpoint">Where it went.</param>
/// <param name="Obstacle">What was in the way; of a datagram that was too long nothing more is told.</param>
internal readonly record struct SendReport(SendQuestion Question, UdpEndpoint Endpoint, SendObstacle Obstacle);
