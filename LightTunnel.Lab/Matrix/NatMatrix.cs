using System.Globalization;
using System.Text;
using LightTunnel.Internet.Nats;
using LightTunnel.Lab.Shells;

namespace LightTunnel.Lab.Matrix;

/// <summary>How often the matrix is measured, and how long a pair may take.</summary>
/// <param name="Rounds">Measurements of each pair.</param>
/// <param name="Timeout">A pair that is not direct by then counts as relayed.</param>
internal sealed record MatrixOptions(int Rounds, TimeSpan Timeout);

/// <summary>
/// Every kind of NAT against every other, with the real program through its commands: two members join, and it is measured how long it
/// takes from the moment that both have until both reach each other directly.
/// </summary>
internal sealed class NatMatrix
{
    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(200);

    /// <summary>What can join at all.</summary>
    private static readonly NatKind[] FieldKinds = [.. NatKinds.All.Where(kind => kind != NatKind.UdpBlocked)];

    private readonly Laboratory _laboratory;
    private readonly MatrixOptions _options;
    private readonly TextWriter _output;
    private readonly CancellationToken _cancellationToken;
    private readonly Dictionary<(NatKind First, NatKind Second), List<TimeSpan?>> _results = [];

    private NatMatrix(Laboratory laboratory, MatrixOptions options, TextWriter output, CancellationToken cancellationToken)
    {
        _laboratory = laboratory;
        _options = options;
        _output = output;
        _cancellationToken = cancellationToken;
    }

    /// <returns>0 when every pair that can be direct was each time, otherwise 1.</returns>
    public static async Task<int> RunAsync(MatrixOptions options, TextWriter output, CancellationToken cancellationToken)
    {
        SetupCheck.Provide([.. SetupCheck.Essentials()], output);
        Topology topology = Topology.OpenHosts(Delay, "server");
        foreach (NatKind kind in FieldKinds)
        {
            topology = kind == NatKind.SameLanNoHairpin
                ? topology.WithLan(kind.ToString(), kind, Delay, Host(kind, isFirst: true), Host(kind, isFirst: false))
                : topology
                    .WithLan(kind + "1", kind, Delay, Host(kind, isFirst: true))
                    .WithLan(kind + "2", kind, Delay, Host(kind, isFirst: false));
        }

        Laboratory laboratory = await Laboratory.StartAsync(topology, cancellationToken: cancellationToken).ConfigureAwait(false);
        await using (laboratory.ConfigureAwait(false))
        {
            var matrix = new NatMatrix(laboratory, options, output, cancellationToken);
            await matrix.MeasureAsync().ConfigureAwait(false);
            output.WriteLine(matrix.Render());
            return matrix.IsAsExpected ? 0 : 1;
        }
    }

    private bool IsAsExpected => _results.All(entry =>
        entry.Value.TrueForAll(time =>
            time.HasValue == (entry.Key == (NatKind.SameLanNoHairpin, NatKind.SameLanNoHairpin)
                || NatKinds.CanBeDirect(entry.Key.First, entry.Key.Second))));

    private async Task MeasureAsync()
    {
        LabNode server = _laboratory["server"];
        await server.Shell.InvokeAsync(
            "Start-LtServer -Address 10.0.0.1/24 -ListenPort 9000 -Endpoint 203.0.113.1:9000",
            cancellationToken: _cancellationToken).ConfigureAwait(false);
        string invitation =
            (await server.Shell.InvokeAsync(
                "\"$(New-LtInvitation)\"", cancellationToken: _cancellationToken).ConfigureAwait(false)).Single().ToString();
        for (int round = 0; round < _options.Rounds; round++)
        {
            foreach (NatKind first in FieldKinds)
            {
                foreach (NatKind second in FieldKinds.Where(second => second >= first))
                {
                    TimeSpan? time = await MeasureAsync(first, second, invitation).ConfigureAwait(false);
                    if (!_results.TryGetValue((first, second), out List<TimeSpan?>? times))
                        _results[(first, second)] = times = [];
                    times.Add(time);
                    _output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{first} - {second}: {Show(time)}"));
                }
            }
        }
    }

    private async Task<TimeSpan?> MeasureAsync(NatKind first, NatKind second, string invitation)
    {
        LabNode[] pair = [_laboratory[Host(first, isFirst: true)], _laboratory[Host(second, isFirst: false)]];
        await Task.WhenAll(pair.Select(node => node.Shell.InvokeAsync(
            "param($text) Connect-LtNetwork -Invitation $text", new { text = invitation },
            cancellationToken: _cancellationToken))).ConfigureAwait(false);
        try
        {
            DateTimeOffset joined =
                (await Task.WhenAll(pair.Select(node => FindInLogAsync(node, "Joined *"))).ConfigureAwait(false)).Max()!.Value;
            DateTimeOffset?[] direct = await Task.WhenAll(
                pair.Select(node => FindInLogAsync(node, "✓ P2P direct route established*"))).ConfigureAwait(false);
            return direct.Contains(null) ? null : direct.Max() - joined;
        }
        finally
        {
            await Task.WhenAll(pair.Select(node =>
                node.Shell.InvokeAsync("Disconnect-LtNetwork -Name *", cancellationToken: _cancellationToken))).ConfigureAwait(false);
        }
    }

    /// <summary>When a line was first logged; null when that did not happen in time.</summary>
    private async Task<DateTimeOffset?> FindInLogAsync(LabNode node, string pattern)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(_cancellationToken);
        deadline.CancelAfter(_options.Timeout);
        while (true)
        {
            ShellResult lines = await node.Shell.InvokeAsync(
                "param($pattern) Get-LtLog | Where-Object Message -like $pattern", new { pattern },
                cancellationToken: _cancellationToken).ConfigureAwait(false);
            if (lines.Output.Count > 0)
                return lines.Output[0]["Time"].GetDateTimeOffset();
            try
            {
                await Task.Delay(PollInterval, deadline.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!_cancellationToken.IsCancellationRequested)
            {
                return null;
            }
        }
    }

    private string Render()
    {
        var text = new StringBuilder();
        text.Append("| |").AppendJoin("|", FieldKinds.Select(kind => $" {kind} ")).AppendLine("|");
        text.Append("|---|").AppendJoin("|", FieldKinds.Select(_ => "---")).AppendLine("|");
        foreach (NatKind first in FieldKinds)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {first} |");
            foreach (NatKind second in FieldKinds)
                text.Append(CultureInfo.InvariantCulture, $" {Cell(first, second)} |");
            text.AppendLine();
        }

        return text.ToString();
    }

    private string Cell(NatKind first, NatKind second)
    {
        if (!_results.TryGetValue((first, second), out List<TimeSpan?>? times))
            return string.Empty;
        TimeSpan?[] direct = [.. times.Where(time => time.HasValue).Order()];
        if (direct.Length == 0)
            return "server";
        string share = direct.Length == times.Count
            ? string.Empty
            : string.Create(CultureInfo.InvariantCulture, $" ({direct.Length} of {times.Count})");
        return direct.Length == 1 ? $"{Show(direct[0])}{share}" : $"{Show(direct[direct.Length / 2])} / {Show(direct[^1])}{share}";
    }

    private static string Show(TimeSpan? time) => time switch
    {
        null => "through the server",
        { TotalMilliseconds: < 1000 } brief => string.Create(CultureInfo.InvariantCulture, $"{brief.TotalMilliseconds:F0} ms"),
        { } lengthy => string.Create(CultureInfo.InvariantCulture, $"{lengthy.TotalSeconds:F1} s"),
    };

    private static string Host(NatKind kind, bool isFirst) =>
        string.Create(CultureInfo.InvariantCulture, $"{(isFirst ? 'l' : 'r')}{(int)kind}");
}
