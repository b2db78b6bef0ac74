using System.Globalization;
using LightTunnel.Diagnostics;
using LightTunnel.Internet.Wires;
using LightTunnel.Tests.Engine;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>
/// The network's key changes again and again, with and without a grace period, while members talk, vanish and come back, and the server is
/// killed, also in the midst of a change; in some runs datagrams are lost, and some are relayed only. No packet between two who are there
/// is lost but by the wires. Who comes back with a key that is good comes in and has the key of now; who has none does not, and does with
/// an invitation.
/// </summary>
public sealed class KeyStormTests
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(8);

    /// <summary>So long after a start, or the server's, others may still take a node for the one that it was.</summary>
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(40);

    private static readonly TimeSpan Soon = TimeSpan.FromMinutes(3);

    [Fact]
    public void KeysThatChange_AmidTraffic_LoseNothing_AndLetInWhoHasOne() => Seeds.Run(6, seed =>
    {
        using var storm = new Storm(seed);
        storm.Run();
    });

    private sealed class Storm : IDisposable
    {
        private readonly int _seed;
        private readonly Random _random;
        private readonly bool _isLossy;
        private readonly SimulatedNetwork _network;
        private readonly Machine[] _machines;
        private readonly Dictionary<string, (Machine From, Machine To, TimeSpan At)> _under = [];
        private TimeSpan _serverStarted;
        private int _count;
        private int _arrived;

        public Storm(int seed)
        {
            _seed = seed;
            _random = new Random(seed);
            _isLossy = _random.Next(3) == 0;
            _network = new SimulatedNetwork(seed)
            {
                IsDirectBlocked = _random.Next(3) == 0,
                Conditions = new WireConditions
                {
                    Delay = TimeSpan.FromMilliseconds(_random.Next(1, 60)),
                    Jitter = TimeSpan.FromMilliseconds(_random.Next(15)),
                    Loss = _isLossy ? 0.05 : 0,
                },
            };
            _network.StartServer();
            _machines =
            [
                .. Enumerable.Range(0, _random.Next(3, 6)).Select(i => new Machine(
                    $"m{i}", _network.NewKey(), _network.NetworkKey.Keys())),
            ];
        }

        public void Dispose() => _network.Dispose();

        public void Run()
        {
            foreach (Machine machine in _machines)
                ComeIn(machine);
            Talk(TimeSpan.FromMinutes(3)); // Each of them is one that will come back.
            for (int round = 0; round < 7; round++)
            {
                switch (_random.Next(6))
                {
                    case 0:
                    case 1:
                        Change(_random.Next(3) == 0 ? TimeSpan.Zero : Grace);
                        break;
                    case 2:
                        KillServer(isInTheMidst: true);
                        break;
                    case 3 when _random.Next(2) == 0:
                        KillServer(isInTheMidst: false);
                        break;
                    default:
                        GoOrCome(_machines[_random.Next(_machines.Length)]);
                        break;
                }

                Talk(TimeSpan.FromSeconds(_random.Next(1, 200)));
            }

            foreach (Machine machine in _machines.Where(machine => machine.Node is null))
                ComeIn(machine);
            Assert.True(_network.RunUntil(() => _machines.All(HasFollowed), Soon), string.Join(", ", _machines.Select(Describe)));
            _network.Run(Grace + TimeSpan.FromMinutes(1));
            Assert.Empty(_network.KeyStore.Keys.Former);
            Assert.All(_machines, machine => Assert.Equal(_network.KeyStore.Keys.Key, machine.Keys.Keys.Key));
            Assert.All(_machines, machine => Assert.Empty(machine.Keys.Keys.Former));
            Talk(Settled);
            Talk(TimeSpan.FromSeconds(30));
            _network.Run(TimeSpan.FromSeconds(5));
            Collect();
            if (!_isLossy && _under.Count > 0)
            {
                Assert.Fail($"Lost: {string.Join("; ", _under.Take(5).Select(lost => $"{lost.Key} at {lost.Value.At}"))}; "
                    + $"{_under.Count} in all. {string.Join(", ", _machines.Select(Describe))}");
            }

            Assert.True(_arrived > _count / 4, $"Of {_count} packets {_arrived} counted and arrived.");
            foreach (Machine from in _machines)
            {
                foreach (Machine to in _machines.Where(other => other != from))
                    AssertReaches(from, to);
            }
        }

        /// <summary>A packet may be lost by the wires, not all of them.</summary>
        private void AssertReaches(Machine from, Machine to)
        {
            bool isThere = false;
            for (int i = 0; i < 20 && !isThere; i++)
            {
                from.Node!.Send(to.Node!.Address, "reaches");
                isThere = _network.RunUntil(() => to.Node.TakeReceived().Contains("reaches"), TimeSpan.FromSeconds(2));
            }

            Assert.True(isThere, $"{from.Name} does not reach {to.Name}: {Describe(from)}, {Describe(to)}");
        }

        private bool HasFollowed(Machine machine) =>
            machine.Node is { IsUp: true } node && node.Node.NetworkKeys.Number == _network.KeyNumber() && _network.HasKey(machine.Name);

        private void Change(TimeSpan grace)
        {
            try
            {
                _network.ChangeKey(grace);
            }
            catch (LightTunnelException reason) when (reason.RecommendedAction.Contains("-GracePeriod 0", StringComparison.Ordinal))
            {
                _network.ChangeKey(TimeSpan.Zero);
            }

            // Who is there and does not hear of it while the key before is good is out as if it had been away.
            if (_network.KeyStore.Keys.Former.Count == 0)
            {
                Assert.True(
                    _network.RunUntil(() => _machines.All(machine => machine.Node is not { IsUp: true } || HasFollowed(machine)), Soon),
                    string.Join(", ", _machines.Select(Describe)));
            }
        }

        private void KillServer(bool isInTheMidst)
        {
            if (isInTheMidst)
            {
                _network.KeyStore.LosesAnswers = true;
                _ = _network.BeginKeyChange(Grace);
            }

            _network.Kill(_network.Server);
            _network.KeyStore.LosesAnswers = false;
            _network.Run(TimeSpan.FromSeconds(_random.Next(1, 20)));
            _network.StartServer();
            _serverStarted = _network.Time.Elapsed;
            Assert.True(
                _network.RunUntil(() => _machines.All(machine => machine.Node is not { } node || node.IsUp), Soon),
                string.Join(", ", _machines.Select(Describe)));
            _serverStarted = _network.Time.Elapsed;
        }

        private void GoOrCome(Machine machine)
        {
            if (machine.Node is null)
            {
                ComeIn(machine);
                return;
            }

            if (_random.Next(2) == 0)
                _network.Stop(machine.Node);
            else
                _network.Kill(machine.Node);
            machine.Node = null;
            machine.Changed = _network.Time.Elapsed;
            if (_random.Next(3) == 0)
                Talk(Grace * _random.NextDouble() * 1.5);
        }

        private void ComeIn(Machine machine)
        {
            NetworkKeySet server = _network.KeyStore.Keys.At(_network.Time.GetUtcNow());
            NetworkKeySet own = machine.Keys.Keys.At(_network.Time.GetUtcNow());
            bool isGood = KeysOf(own).Any(key => KeysOf(server).Any(other => other.AsSpan().SequenceEqual(key)));
            bool isUnclear = server.NextEnd - _network.Time.GetUtcNow() < TimeSpan.FromMinutes(2);
            machine.Node = _network.AddClient(machine.Name, identity: machine.Identity, keys: machine.Keys);
            machine.Changed = _network.Time.Elapsed;
            Assert.True(
                _network.RunUntil(() => machine.Node.IsUp || machine.Node.Client.Connected.IsFaulted, Soon), Describe(machine));
            Assert.True(isUnclear || isGood == machine.Node.IsUp, $"{Describe(machine)}, and its key is good: {isGood}");
            if (machine.Node.IsUp)
                return;
            var reason = Assert.IsType<LightTunnelException>(machine.Node.Client.Connected.Exception!.InnerException);
            Assert.Equal(LightTunnelError.InvalidKey, reason.Error);
            _network.Kill(machine.Node);
            machine.Keys.Restore(new NetworkKeySet { Key = [.. _network.KeyStore.Keys.Key] }); // An invitation.
            machine.Node = _network.AddClient(machine.Name, identity: machine.Identity, keys: machine.Keys);
            Assert.True(_network.RunUntil(() => machine.Node.IsUp, Soon), Describe(machine));
        }

        private static IEnumerable<byte[]> KeysOf(NetworkKeySet keys) => keys.Former.Select(former => former.Key).Prepend(keys.Key);

        private void Talk(TimeSpan duration)
        {
            for (TimeSpan passed = TimeSpan.Zero; passed < duration; passed += Step)
            {
                Machine[] there = [.. _machines.Where(machine => machine.Node is { IsUp: true })];
                foreach (Machine from in there)
                {
                    Machine to = there[_random.Next(there.Length)];
                    if (to == from)
                        continue;
                    string body = string.Create(CultureInfo.InvariantCulture, $"{from.Name} > {to.Name} {++_count}");
                    _under.Add(body, (from, to, _network.Time.Elapsed));
                    from.Node!.Send(to.Node!.Address, body);
                }

                _network.Run(Step);
                Collect();
            }
        }

        /// <summary>What has arrived, and what need not: as one of the two, or the server, has come or gone at about that time.</summary>
        private void Collect()
        {
            foreach (Machine machine in _machines.Where(machine => machine.Node is not null))
            {
                foreach (string body in machine.Node!.TakeReceived())
                    _arrived += _under.Remove(body) ? 1 : 0;
            }

            foreach ((string body, (Machine from, Machine to, TimeSpan at)) in _under.ToArray())
            {
                if (_isLossy || IsNear(at, from.Changed) || IsNear(at, to.Changed) || IsNear(at, _serverStarted))
                    _under.Remove(body);
            }
        }

        private static bool IsNear(TimeSpan at, TimeSpan change) => (at - change).Duration() < Settled;

        private string Describe(Machine machine) => string.Create(
            CultureInfo.InvariantCulture,
            $"seed {_seed} at {_network.Time.Elapsed}: {machine.Name} {machine.Node?.Node.State} has {machine.Node?.Node.NetworkKeys.Set}, "
                + $"the server {_network.Server.Node.NetworkKeys.Set} ({machine.Node?.Node.LastError})");
    }

    /// <summary>Somebody's machine, and what it keeps of the network's keys while it is off.</summary>
    private sealed class Machine(string name, PrivateKey identity, MemoryKeyStore keys)
    {
        public string Name => name;

        public PrivateKey Identity => identity;

        public MemoryKeyStore Keys => keys;

        public SimulatedNode? Node { get; set; }

        /// <summary>When it last came or went.</summary>
        public TimeSpan Changed { get; set; }
    }
}
