using System.Diagnostics;
using System.Globalization;

namespace LightTunnel.Lab.Bench;

/// <summary>What is measured of each tunnel in each round.</summary>
internal sealed class TunnelMeasurements
{
    private const string Rate = "Gbit/s";
    private const string Time = "µs";
    private const int IdlePings = 200;
    private const int PingsPerSecond = 100;

    private static readonly TimeSpan SlowStart = TimeSpan.FromSeconds(1);

    // What a stream needs to find out how much the path holds.
    private static readonly TimeSpan QueueFills = TimeSpan.FromSeconds(3);

    private static readonly TimeSpan FarAway = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan InTheCountry = TimeSpan.FromMilliseconds(20);

    private readonly BenchNetwork _network;
    private readonly int _seconds;

    /// <param name="network">Where.</param>
    /// <param name="seconds">How long each measurement runs.</param>
    public TunnelMeasurements(BenchNetwork network, int seconds)
    {
        _network = network;
        _seconds = seconds;
    }

    /// <summary>All of them, in the order of the table.</summary>
    public IReadOnlyList<Measurement> All() =>
    [
        new([new("TCP, one stream", Rate, Better.More), new("TCP, one stream: CPU of both ends per GB", "s", Better.Less)], OneStreamAsync)
        {
            AlsoOfVariants = true,
        },
        Stream("TCP, four streams", "-P", "4"),
        Stream("TCP, both directions at once", "--bidir"),
        Stream("TCP, server to client", "-R"),
        new([new("TCP, one stream, cables like those of network cards", Rate, Better.More)], OnNetworkCardsAsync) { AlsoOfVariants = true },
        new([new("TCP, relayed by the server", Rate, Better.More)], RelayedAsync),
        .. Processors.Allowed.Count < 2 ? (Measurement[])[] : [new(RelayRows, RelayOnItsOwnCoreAsync) { AlsoOfVariants = true }],
        Packets(50),
        Packets(100),
        Packets(200),
        new([new("ping, idle: median", Time, Better.Less), new("ping, idle: average", Time, Better.Less)], IdlePingAsync),
        new([new("ping, flood: average", Time, Better.Less)], FloodAsync),
        PingUnderLoad("one TCP stream"),
        PingUnderLoad("TCP in both directions", "--bidir"),
        SlowUplink("20mbit", "20 Mbit/s"),
        SlowUplink("100mbit", "100 Mbit/s"),
        LongAndNarrow("200mbit", "200 Mbit/s", FarAway),
        Paced(50),
        Paced(200),
    ];

    private static Row[] RelayRows =>
    [
        new("TCP, everything on one core", Rate, Better.More),
        new("TCP, relayed, the relay alone on another core", Rate, Better.More),
        new("of these, relayed / direct", string.Empty, Better.More),
        new("the relay's CPU per GB / an endpoint's", string.Empty, Better.Less),
    ];

    private Measurement Stream(string name, params string[] arguments) => new(
        [new(name, Rate, Better.More)],
        async (tunnel, token) => [(await DirectAsync(tunnel, arguments, null, token).ConfigureAwait(false)).Gigabits]);

    private Measurement Packets(int thousands) => new(
        [new(
            string.Create(CultureInfo.InvariantCulture, $"UDP, {PacketFlow.PayloadSize} bytes, {thousands} kpps offered: delivered"),
            "kpps", Better.More)],
        async (tunnel, token) =>
            [await PacketFlow.MeasureAsync(
                _network.First, _network.Server, tunnel.ServerAddress, thousands * 1000, _seconds, token).ConfigureAwait(false)]);

    private Measurement PingUnderLoad(string load, params string[] arguments) => new(
        [new($"ping under {load}: median", Time, Better.Less), new($"ping under {load}: average", Time, Better.Less)],
        async (tunnel, token) =>
        {
            (RoundTrips found, _) = await UnderLoadAsync(tunnel, SlowStart, arguments, token).ConfigureAwait(false);
            return [found.Median, found.Average];
        });

    /// <summary>With a congestion control that fills whatever queue it finds, as most systems have.</summary>
    private Measurement SlowUplink(string rate, string name) => new(
        [new($"ping under four TCP streams, uplink of {name}: median", "ms", Better.Less),
            new($"TCP, four streams, uplink of {name}", "Mbit/s", Better.More)],
        async (tunnel, token) =>
        {
            _network.LimitUplink(rate);
            try
            {
                (RoundTrips found, StreamResult stream) = await UnderLoadAsync(
                    tunnel, QueueFills, ["-P", "4", "-C", "cubic"], token).ConfigureAwait(false);
                return [found.Median / 1000, stream.Gigabits * 1000];
            }
            finally
            {
                _network.LimitUplink(null);
            }
        });

    /// <summary>
    /// The same at the end of a long cable, where a sender learns late that it is too fast; what streams need to find their
    /// rate is left out.
    /// </summary>
    private Measurement LongAndNarrow(string rate, string name, TimeSpan roundTrip)
    {
        string where = string.Create(CultureInfo.InvariantCulture, $"{name}, {roundTrip.TotalMilliseconds} ms away");
        string omitted = QueueFills.TotalSeconds.ToString(CultureInfo.InvariantCulture);
        return new(
            [new($"ping under four TCP streams, {where}: median", "ms", Better.Less),
                new($"TCP, four streams, {where}", "Mbit/s", Better.More)],
            async (tunnel, token) =>
            {
                using LongCable cable = _network.LengthenFirst(roundTrip);
                LongCable.Limit(_network.First, rate);
                (RoundTrips found, StreamResult stream) = await UnderLoadAsync(
                    tunnel, QueueFills, ["-P", "4", "-C", "cubic", "-O", omitted], token).ConfigureAwait(false);
                return [found.Median / 1000, stream.Gigabits * 1000];
            });
    }

    /// <summary>A stream that takes its time, as most do: what each end spends on it.</summary>
    private Measurement Paced(int megabits)
    {
        string load = string.Create(
            CultureInfo.InvariantCulture, $"TCP, paced at {megabits} Mbit/s, {InTheCountry.TotalMilliseconds} ms away");
        return new(
            [new($"{load}: receiver's CPU", "% of a core", Better.Less), new($"{load}: sender's CPU", "% of a core", Better.Less)],
            async (tunnel, token) =>
            {
                using LongCable cable = _network.LengthenFirst(InTheCountry);
                double atReceiver = ProcessorSeconds(tunnel, _network.Server), atSender = ProcessorSeconds(tunnel, _network.First);
                var watch = Stopwatch.StartNew();
                await DirectAsync(
                    tunnel, ["--fq-rate", string.Create(CultureInfo.InvariantCulture, $"{megabits}M")], null, token).ConfigureAwait(false);
                double part = 100 / watch.Elapsed.TotalSeconds;
                return [(ProcessorSeconds(tunnel, _network.Server) - atReceiver) * part,
                    (ProcessorSeconds(tunnel, _network.First) - atSender) * part];
            });
    }

    /// <summary>Pings while a stream runs in the same direction.</summary>
    private async Task<(RoundTrips Pings, StreamResult Stream)> UnderLoadAsync(
        IBenchTunnel tunnel, TimeSpan start, string[] arguments, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        int seconds = _seconds + (2 * (int)start.TotalSeconds);
        Task<StreamResult> stream = Iperf.RunAsync(
            _network.First, _network.Server, tunnel.ServerAddress, seconds, arguments, null, stop.Token);
        try
        {
            await Task.Delay(start, cancellationToken).ConfigureAwait(false);
            RoundTrips found = await RoundTrips.MeasureAsync(
                _network.First, tunnel.ServerAddress, _seconds * PingsPerSecond, cancellationToken).ConfigureAwait(false);
            return (found, await stream.ConfigureAwait(false));
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await ((Task)stream).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private Task<StreamResult> DirectAsync(IBenchTunnel tunnel, string[] arguments, int? processor, CancellationToken cancellationToken) =>
        Iperf.RunAsync(_network.First, _network.Server, tunnel.ServerAddress, _seconds, arguments, processor, cancellationToken);

    private async Task<double[]> OneStreamAsync(IBenchTunnel tunnel, CancellationToken cancellationToken)
    {
        double before = ProcessorSeconds(tunnel, _network.First, _network.Server);
        StreamResult result = await DirectAsync(tunnel, [], null, cancellationToken).ConfigureAwait(false);
        double spent = ProcessorSeconds(tunnel, _network.First, _network.Server) - before;
        return [result.Gigabits, spent / result.Gigabytes];
    }

    private async Task<double[]> OnNetworkCardsAsync(IBenchTunnel tunnel, CancellationToken cancellationToken)
    {
        _network.MakeCablesLikeNetworkCards(true);
        try
        {
            return [(await DirectAsync(tunnel, [], null, cancellationToken).ConfigureAwait(false)).Gigabits];
        }
        finally
        {
            _network.MakeCablesLikeNetworkCards(false);
        }
    }

    private async Task<double[]> RelayedAsync(IBenchTunnel tunnel, CancellationToken cancellationToken) =>
        [(await Iperf.RunAsync(
            _network.First, _network.Second, tunnel.SecondAddress, _seconds, [], null, cancellationToken).ConfigureAwait(false)).Gigabits];

    /// <summary>
    /// Both ends of the tunnel and of the stream share one core, directly and then through a relay that has another core to itself: what
    /// the relay costs in throughput, and in CPU beside what an end spends on the same bytes.
    /// </summary>
    private async Task<double[]> RelayOnItsOwnCoreAsync(IBenchTunnel tunnel, CancellationToken cancellationToken)
    {
        (int relayCore, int endCore) = (Processors.Allowed[0], Processors.Allowed[1]);
        LabHost[] hosts = [_network.Server, _network.First, _network.Second];
        try
        {
            foreach (LabHost host in hosts)
                Processors.Pin(host, tunnel.ProcessOn(host), endCore);
            StreamResult direct = await DirectAsync(tunnel, [], endCore, cancellationToken).ConfigureAwait(false);

            Processors.Pin(_network.Server, tunnel.ProcessOn(_network.Server), relayCore);
            double relayBefore = ProcessorSeconds(tunnel, _network.Server),
                endsBefore = ProcessorSeconds(tunnel, _network.First, _network.Second);
            StreamResult relayed = await Iperf.RunAsync(
                _network.First, _network.Second, tunnel.SecondAddress, _seconds, [], endCore, cancellationToken).ConfigureAwait(false);
            double ofRelay = ProcessorSeconds(tunnel, _network.Server) - relayBefore;
            double ofEnd = (ProcessorSeconds(tunnel, _network.First, _network.Second) - endsBefore) / 2;
            return [direct.Gigabits, relayed.Gigabits, relayed.Gigabits / direct.Gigabits, ofRelay / ofEnd];
        }
        finally
        {
            foreach (LabHost host in hosts)
                Processors.Release(host, tunnel.ProcessOn(host));
        }
    }

    private async Task<double[]> IdlePingAsync(IBenchTunnel tunnel, CancellationToken cancellationToken)
    {
        RoundTrips found = await RoundTrips.MeasureAsync(
            _network.First, tunnel.ServerAddress, IdlePings, cancellationToken).ConfigureAwait(false);
        return [found.Median, found.Average];
    }

    private async Task<double[]> FloodAsync(IBenchTunnel tunnel, CancellationToken cancellationToken) =>
        [await RoundTrips.FloodAsync(_network.First, tunnel.ServerAddress, _seconds, cancellationToken).ConfigureAwait(false)];

    private static double ProcessorSeconds(IBenchTunnel tunnel, params LabHost[] hosts) =>
        hosts.Sum(host => ProcessFigures.ProcessorSeconds(tunnel.ProcessOn(host)));
}
