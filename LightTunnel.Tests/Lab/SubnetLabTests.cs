using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using LightTunnel.Lab;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>Networks behind members, with hosts there that run no LightTunnel: through the commands, with the real program.</summary>
[SupportedOSPlatform("linux")]
public sealed class SubnetLabTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task TwoSites_ReachEachOther_AndOfTwoGatewaysOneTakesOver_WhenTheOtherIsKilled()
    {
        Prerequisites.SkipUnlessGateway();
        await using Laboratory laboratory = await LabFixture.StartAsync(
            Topology.OpenHosts(TimeSpan.FromMilliseconds(4), "server", "alice", "bob", "carol"));
        LabNode server = laboratory["server"], alice = laboratory["alice"], bob = laboratory["bob"], carol = laboratory["carol"];
        using var north = new Home(alice.Namespace + "n", "192.168.1");
        using var south = new Home(bob.Namespace + "s", "192.168.2");
        using var shared = new Home(carol.Namespace + "h", "192.168.7");
        north.Attach(alice, "site", 1);
        north.RouteBy(1);
        south.Attach(bob, "site", 1);
        south.RouteBy(1);
        shared.Attach(alice, "lan", 1);
        shared.Attach(bob, "lan", 2);
        string invitation = (await server.Shell.InvokeAsync(
            "$null = Start-LtServer -Address 10.0.0.1/24 -Endpoint 203.0.113.1:9000; \"$(New-LtInvitation)\"",
            cancellationToken: Token)).Single().ToString();
        await JoinAsync(alice, "-Name alice -Route 192.168.1.0/24 -NoSnat -AcceptRoute 192.168.0.0/16");
        await JoinAsync(bob, "-Name bob -Route 192.168.2.0/24 -NoSnat -AcceptRoute 192.168.0.0/16");
        await JoinAsync(carol, "-Name carol -AcceptRoute 192.168.0.0/16");
        await ApproveAsync("192.168.1.0/24", "alice");
        await ApproveAsync("192.168.2.0/24", "bob");

        // Site to site: hosts see each other's own addresses, and either may begin.
        await ReachesAsync(north.Namespace, "192.168.2.20");
        AssertTalk(north, "192.168.1.20", south, "192.168.2.20");
        AssertTalk(south, "192.168.2.20", north, "192.168.1.20");

        // On running tunnels: both offer one network that both are in.
        foreach (LabNode gateway in (LabNode[])[alice, bob])
        {
            await gateway.Shell.InvokeAsync(
                $"Set-LtNetwork {gateway.Name} -Route 192.168.7.0/24 -NoSnat:$false", cancellationToken: Token);
        }

        await ApproveAsync("192.168.7.0/24", "alice");
        await ApproveAsync("192.168.7.0/24", "bob");
        await ReachesAsync(carol.Namespace, "192.168.7.20");
        string active = await ActiveAsync("alice", "bob");
        LabNode killed = laboratory[active];
        string other = active == "alice" ? "bob" : "alice";
        await using (var pings = new Pings(carol, "192.168.7.20"))
        {
            await pings.WaitForAnswerAsync();
            await killed.StopShellAsync(crash: true);
            await pings.WaitForAnswerAfterSilenceAsync();
            output.WriteLine($"{active} was killed; {other} carried {pings.LongestGap.TotalMilliseconds:F0} ms after the last answer.");
        }

        Assert.Equal(other, await ActiveAsync(other));

        async Task JoinAsync(LabNode node, string how) => await node.Shell.InvokeAsync(
            $"param($Text) $null = Connect-LtNetwork -Invitation $Text {how}", new { Text = invitation }, cancellationToken: Token);

        async Task ApproveAsync(string network, string member) => await UntilAsync(
            server, $"Approve-LtRoute {network} -Peer {member} -ErrorAction Ignore; "
                + $"[bool](Get-LtRoute {network} | Where-Object {{ $_.Peer -eq '{member}' -and $_.Standing -eq 'Approved' }})");

        async Task<string> ActiveAsync(params string[] expected)
        {
            string wanted = string.Join(',', expected.Select(name => $"'{name}'"));
            return await UntilAsync(
                carol, "(Get-LtRoute 192.168.7.0/24 | Where-Object { $_.Standing -eq 'Active' -and $_.Peer -in " + wanted + " }).Peer");
        }
    }

    /// <summary>What the script says, once that is neither nothing nor false.</summary>
    private static async Task<string> UntilAsync(LabNode node, string script)
    {
        long began = Stopwatch.GetTimestamp();
        while (true)
        {
            ShellResult result = await node.Shell.TryInvokeAsync(script, cancellationToken: Token);
            string said = string.Join(' ', result.Output.Select(line => line.ToString()));
            if (said.Length > 0 && !said.EndsWith("False", StringComparison.OrdinalIgnoreCase))
                return said;
            Assert.True(Stopwatch.GetElapsedTime(began) < Patience, $"{node.Name} never says more than '{said}' to: {script}");
            await Task.Delay(50, Token);
        }
    }

    private static async Task ReachesAsync(string from, string host)
    {
        long began = Stopwatch.GetTimestamp();
        while (true)
        {
            using var ping = Process.Start(new ProcessStartInfo("ip", ["netns", "exec", from, "ping", "-n", "-c", "1", "-w", "2", host])
            {
                RedirectStandardOutput = true,
            })!;
            string said = await ping.StandardOutput.ReadToEndAsync(Token);
            await ping.WaitForExitAsync(Token);
            if (ping.ExitCode == 0)
                return;
            Assert.True(Stopwatch.GetElapsedTime(began) < Patience, said);
        }
    }

    private static void AssertTalk(Home from, string address, Home to, string host)
    {
        using TcpListener listener = NetworkNamespace.Run(to.Namespace, () =>
        {
            var made = new TcpListener(IPAddress.Any, 4242);
            made.Start();
            return made;
        });
        byte[] sent = new byte[1 << 18];
        new Random(1).NextBytes(sent);
        Task<byte[]> got = Task.Run(() =>
        {
            using TcpClient accepted = listener.AcceptTcpClient();
            Assert.Equal(address, ((IPEndPoint)accepted.Client.RemoteEndPoint!).Address.ToString());
            byte[] all = new byte[sent.Length];
            accepted.GetStream().ReadExactly(all);
            return all;
        });
        NetworkNamespace.Run(from.Namespace, () =>
        {
            using var client = new TcpClient(host, 4242);
            client.GetStream().Write(sent);
            return client.Connected;
        });
        Assert.Equal(sent, got.GetAwaiter().GetResult());
    }

    /// <summary>Pings without end, and when each was answered.</summary>
    private sealed class Pings : IAsyncDisposable
    {
        private readonly Process _process;
        private readonly Lock _gate = new();
        private readonly List<double> _answered = [];
        private readonly Task _reading;
        private TaskCompletionSource _more = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Pings(LabNode from, string host)
        {
            _process = from.StartCommand("ping", ["-n", "-D", "-i", "0.05", host]);
            _reading = ReadAsync();
        }

        /// <summary>The longest time between two answers.</summary>
        public TimeSpan LongestGap
        {
            get
            {
                lock (_gate)
                    return TimeSpan.FromSeconds(_answered.Zip(_answered.Skip(1), (before, after) => after - before).Max());
            }
        }

        public Task WaitForAnswerAsync() => UntilAsync(() => _answered.Count > 10);

        /// <summary>Waits until answers come again, after some that did not.</summary>
        public Task WaitForAnswerAfterSilenceAsync()
        {
            int before;
            lock (_gate)
                before = _answered.Count;
            return UntilAsync(() => _answered.Count > before + 40);
        }

        public async ValueTask DisposeAsync()
        {
            _process.Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
            await _reading;
            _process.Dispose();
        }

        private async Task UntilAsync(Func<bool> isTrue)
        {
            long began = Stopwatch.GetTimestamp();
            while (true)
            {
                Task more;
                lock (_gate)
                {
                    if (isTrue())
                        return;
                    more = _more.Task;
                }

                await more.WaitAsync(Patience - Stopwatch.GetElapsedTime(began), Token);
            }
        }

        private async Task ReadAsync()
        {
            // "[1700000000.123456] 64 bytes from 192.168.7.20: icmp_seq=1 ttl=63 time=4.2 ms"
            while (await _process.StandardOutput.ReadLineAsync(CancellationToken.None) is { } line)
            {
                if (!line.Contains("bytes from", StringComparison.Ordinal))
                    continue;
                lock (_gate)
                {
                    _answered.Add(double.Parse(line[1..line.IndexOf(']')], CultureInfo.InvariantCulture));
                    _more.SetResult();
                    _more = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                }
            }
        }
    }
}
