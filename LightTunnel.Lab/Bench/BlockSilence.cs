using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using LightTunnel.Lab.Shells;

namespace LightTunnel.Lab.Bench;

/// <summary>How long a member is heard that an admin blocks.</summary>
/// <param name="Command">How long the command took.</param>
/// <param name="Silent">
/// Of each other member, from the beginning of the command to the last packet that reached it from the blocked one, or the other way round;
/// ordered.
/// </param>
/// <param name="IsCalm">False when the machine was still busy with joining and finding each other when the command began.</param>
internal sealed record BlockSilenceReport(TimeSpan Command, IReadOnlyList<TimeSpan> Silent, bool IsCalm)
{
    /// <summary>When the last of them was silent.</summary>
    public TimeSpan Last => Silent[^1];
}

/// <summary>Measures <c>Block-LtMember</c> of a member that talks with all the others, by the clock on the wall. Needs root.</summary>
internal static class BlockSilence
{
    /// <summary>How often the member sends to each of the others, which answers.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    /// <summary>Who was not heard for so long is not heard any more.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(3);

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>The "block" command.</summary>
    /// <returns>0 when it was measured.</returns>
    public static async Task<int> RunAsync(int members, string? program, TextWriter output, CancellationToken cancellationToken)
    {
        if (members is < 2 or > 100)
            throw new LabException("--members must be 2 to 100.", "Give another number.");
        SetupCheck.Provide(SetupCheck.Essentials(), output);
        program ??= HostNetwork.ProgramOfTheModule();
        output.WriteLine($"Starting a server and {members} members, {program} ...");
        BlockSilenceReport report = await MeasureAsync(members, program, cancellationToken).ConfigureAwait(false);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"Block-LtMember took {report.Command.TotalMilliseconds:F0} ms. The member, which sent to all {report.Silent.Count} others "
                + $"every {Interval.TotalMilliseconds:F0} ms and was answered, was last heard at or by one of them "
                + $"{report.Last.TotalMilliseconds:F0} ms after the command began (median "
                + $"{report.Silent[report.Silent.Count / 2].TotalMilliseconds:F0} ms)."));
        if (!report.IsCalm)
            output.WriteLine("The machine was busy before already: the figures are the machine's.");
        return 0;
    }

    /// <summary>Starts a network, has its first member talk with all others, and blocks it.</summary>
    public static async Task<BlockSilenceReport> MeasureAsync(int members, string program, CancellationToken cancellationToken)
    {
        HostNetwork network = await HostNetwork.StartAsync(members, program, cancellationToken).ConfigureAwait(false);
        await using (network.ConfigureAwait(false))
        {
            ShellResult listed = await network.Server.Shell.InvokeAsync(
                "Get-LtPeer | ForEach-Object { \"$($_.Name) $($_.Address)\" }", cancellationToken: cancellationToken).ConfigureAwait(false);
            Dictionary<string, IPAddress> addresses = listed.Output.Select(line => line.ToString().Split(' '))
                .ToDictionary(words => words[0], words => IPAddress.Parse(words[1]));
            LabNode blocked = network.Members[0];
            Ear[] ears =
            [
                .. network.Members.Skip(1).Select(member => new Ear(member, addresses[member.Name], addresses[blocked.Name])),
            ];
            using Socket socket = HostNetwork.IcmpSocket(blocked);
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var threads = new List<Thread> { Run(() => Talk(socket, ears, ended.Token)), Run(() => Hear(socket, ears, ended.Token)) };
            threads.AddRange(ears.Select(ear => Run(() => ear.Listen(ended.Token))));
            try
            {
                await UntilAsync(() => ears.All(ear => ear.IsAnswered), "Not all members answer", cancellationToken).ConfigureAwait(false);
                bool isCalm = await Processors.UntilCalmAsync(Patience, cancellationToken).ConfigureAwait(false);
                long begun = Stopwatch.GetTimestamp();
                await network.Server.Shell.InvokeAsync(
                    $"Block-LtMember {blocked.Name} -Confirm:$false", cancellationToken: cancellationToken).ConfigureAwait(false);
                TimeSpan command = Stopwatch.GetElapsedTime(begun);
                await UntilAsync(
                    () => ears.All(ear => Stopwatch.GetElapsedTime(ear.Last) > Silence), "The blocked member is heard on and on",
                    cancellationToken).ConfigureAwait(false);
                return new BlockSilenceReport(command, [.. ears.Select(ear => Stopwatch.GetElapsedTime(begun, ear.Last)).Order()], isCalm);
            }
            finally
            {
                await ended.CancelAsync().ConfigureAwait(false);
                threads.ForEach(thread => thread.Join());
                foreach (Ear ear in ears)
                    ear.Dispose();
            }
        }
    }

    private static Thread Run(Action body)
    {
        var thread = new Thread(() => body(), maxStackSize: 256 * 1024) { IsBackground = true };
        thread.Start();
        return thread;
    }

    private static async Task UntilAsync(Func<bool> condition, string otherwise, CancellationToken cancellationToken)
    {
        long begun = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(begun) > Patience)
                throw new LabException($"{otherwise}.", "See whether the machine has much else to do.");
            await Task.Delay(50, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Sends to all, as long as it lasts.</summary>
    private static void Talk(Socket socket, Ear[] ears, CancellationToken cancellationToken)
    {
        IPEndPoint[] all = [.. ears.Select(ear => new IPEndPoint(ear.Address, 0))];
        while (!cancellationToken.IsCancellationRequested)
        {
            foreach (IPEndPoint to in all)
            {
                try
                {
                    socket.SendTo(HostNetwork.Ping, to);
                }
                catch (SocketException)
                {
                    // The node refuses what it cannot send, which is what is waited for.
                }
            }

            cancellationToken.WaitHandle.WaitOne(Interval);
        }
    }

    /// <summary>Takes the answers.</summary>
    private static void Hear(Socket socket, Ear[] ears, CancellationToken cancellationToken)
    {
        Dictionary<IPAddress, Ear> byAddress = ears.ToDictionary(ear => ear.Address);
        const byte EchoReply = 0;
        Take(socket, cancellationToken: cancellationToken, take: (type, from) =>
        {
            if (type == EchoReply && byAddress.TryGetValue(from, out Ear? ear))
                ear.NoteAnswer();
        });
    }

    private static void Take(Socket socket, Action<byte, IPAddress> take, CancellationToken cancellationToken)
    {
        byte[] packet = new byte[256];
        while (!cancellationToken.IsCancellationRequested)
        {
            if (!socket.Poll(TimeSpan.FromMilliseconds(200), SelectMode.SelectRead))
                continue;
            EndPoint from = new IPEndPoint(IPAddress.Any, 0);
            int length = socket.ReceiveFrom(packet, SocketFlags.None, ref from);
            int header = (packet[0] & 0xF) * 4;
            if (length > header)
                take(packet[header], ((IPEndPoint)from).Address);
        }
    }

    /// <summary>One of the others, which notes when it heard the blocked member, or was heard by it.</summary>
    private sealed class Ear(LabHost member, IPAddress address, IPAddress blocked) : IDisposable
    {
        private const byte EchoRequest = 8;

        private readonly Socket _socket = HostNetwork.IcmpSocket(member);
        private long _last = Stopwatch.GetTimestamp();
        private volatile bool _isAnswered;

        public IPAddress Address => address;

        /// <summary>True once an answer of this member reached the blocked one.</summary>
        public bool IsAnswered => _isAnswered;

        /// <summary>When a packet last passed between the two, by <see cref="Stopwatch"/>.</summary>
        public long Last => Volatile.Read(ref _last);

        public void Listen(CancellationToken cancellationToken) => Take(_socket, cancellationToken: cancellationToken, take: (type, from) =>
        {
            if (type == EchoRequest && from.Equals(blocked))
                Volatile.Write(ref _last, Stopwatch.GetTimestamp());
        });

        public void NoteAnswer()
        {
            Volatile.Write(ref _last, Stopwatch.GetTimestamp());
            _isAnswered = true;
        }

        public void Dispose() => _socket.Dispose();
    }
}
