using LightTunnel.Addressing;
using LightTunnel.Transport;

namespace LightTunnel.Engine.Control;

/// <summary>
/// What one turn of the control loop wants done: datagrams to be sent, in order, then sockets to be closed and opened, questions to the
/// system, and at last answers to be given, as all is under way. The turn itself does none of it; whoever runs it does
/// (<see cref="CarryOut"/>), and what came of it is the next turn's input (<see cref="HasNews"/>). The memory is used again.
/// </summary>
internal sealed class TurnOutputs
{
    private readonly List<Datagram> _datagrams = [];
    private readonly List<Action> _answers = [];
    private readonly List<SendReport> _reports = [];
    private readonly List<LocalEnd> _closings = [];
    private readonly List<Opening> _openings = [];
    private readonly List<Action> _questions = [];
    private readonly List<Action> _news = [];
    private byte[] _bytes = new byte[4096];
    private int _used;

    /// <summary>What was to be told of the datagrams that were sent since this was last emptied.</summary>
    public IReadOnlyList<SendReport> Reports => _reports;

    /// <summary>True when nothing waits to be carried out.</summary>
    public bool IsEmpty =>
        _datagrams.Count + _answers.Count + _closings.Count + _openings.Count + _questions.Count == 0;

    /// <summary>True when the next turn should be run at once, for what came of the last one.</summary>
    public bool HasNews => _reports.Count > 0 || _news.Count > 0;

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

    /// <summary>Has a further socket closed, once what was to be sent is sent.</summary>
    public void Close(LocalEnd socket) => _closings.Add(socket);

    /// <summary>Has so many further sockets opened; the next turn is given those that the system did not refuse.</summary>
    public void Open(int count, Action<IReadOnlyList<LocalEnd>> opened) => _openings.Add(new Opening(count, opened));

    /// <summary>Has the stripes opened; the next turn is given their ports (<see cref="IDatagramTransport.OpenStripes"/>).</summary>
    public void OpenStripes(Action<IReadOnlyList<int>> opened) => _openings.Add(new Opening(0, null, opened));

    /// <summary>Has something done that may wait for the system, beside the control loop; it posts what came of it.</summary>
    public void Ask(Action question) => _questions.Add(question);

    /// <summary>Does everything; what comes of it is the next turn's to take.</summary>
    /// <param name="transport">Sends, and has the sockets.</param>
    /// <param name="background">Runs what may wait for the system.</param>
    public void CarryOut(IDatagramTransport transport, Action<Action> background)
    {
        Send(transport);
        foreach (LocalEnd socket in _closings)
            transport.CloseSocket(socket);
        _closings.Clear();
        foreach (Opening opening in _openings)
            Open(transport, opening);
        _openings.Clear();
        foreach (Action question in _questions)
            background(question);
        _questions.Clear();
        // An answer may stop the tunnel, or ask for the next thing.
        Action[] answers = [.. _answers];
        _answers.Clear();
        foreach (Action answer in answers)
            answer();
    }

    /// <summary>Hands out what came of the sockets that were to be opened.</summary>
    public void TakeNews()
    {
        foreach (Action news in _news)
            news();
        _news.Clear();
    }

    /// <summary>The reports have been looked at.</summary>
    public void ForgetReports() => _reports.Clear();

    private void Send(IDatagramTransport transport)
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
    }

    private void Open(IDatagramTransport transport, in Opening opening)
    {
        if (opening.Stripes is { } stripes)
        {
            IReadOnlyList<int> ports = transport.OpenStripes();
            _news.Add(() => stripes(ports));
            return;
        }

        var sockets = new List<LocalEnd>(opening.Count);
        for (int i = 0; i < opening.Count; i++)
        {
            if (transport.TryOpenSocket(out LocalEnd socket))
                sockets.Add(socket);
        }

        Action<IReadOnlyList<LocalEnd>> opened = opening.Sockets!;
        _news.Add(() => opened(sockets));
    }

    private readonly record struct Opening(
        int Count, Action<IReadOnlyList<LocalEnd>>? Sockets, Action<IReadOnlyList<int>>? Stripes = null);

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
