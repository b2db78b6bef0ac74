using LightTunnel.Addressing;
using LightTunnel.Engine.Server;
using LightTunnel.Internet.Wires;
using LightTunnel.Tests.Engine;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>
/// Plain WireGuard clients and members all talk to all, by wires with delays, in small and in large networks. Meanwhile clients roam,
/// vanish and come back, are blocked and let in, and the server is started again. In a calm nothing is lost and nothing comes twice,
/// before and afterwards; of who is blocked nothing passes.
/// </summary>
public sealed class PlainClientStormTests
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(100);

    /// <summary>After a start of the server a client that talks finds out after 15 s; a retried handshake takes 5 s more.</summary>
    private static readonly TimeSpan Recovery = TimeSpan.FromMinutes(3);

    [Fact]
    public void Storm_OfAllKinds_LosesNothingInTheCalm_AndLetsNothingOfTheBlockedPass() => Seeds.Run(40, seed =>
    {
        using var storm = new Storm(seed);
        storm.Run();
    });

    private sealed class Storm : IDisposable
    {
        private readonly Random _random;
        private readonly SimulatedNetwork _network;
        private readonly bool _isLarge;
        private readonly List<SimulatedNode> _members = [];
        private readonly Dictionary<string, (PrivateKey Key, TunnelAddress Address, SimulatedNode Node)> _plain = [];
        private readonly Dictionary<string, TunnelAddress> _addresses = [];
        private int _moves;

        public Storm(int seed)
        {
            _random = new Random(seed);
            _network = new SimulatedNetwork(seed)
            {
                Conditions = new WireConditions
                {
                    Delay = TimeSpan.FromMilliseconds(_random.Next(1, 40)), Jitter = TimeSpan.FromMilliseconds(_random.Next(10)),
                },
            };
            _isLarge = _random.Next(3) == 0;
            StartServer();
            for (int i = 0; i < 2; i++)
                _members.Add(_network.AddClient($"m{i}"));
            Assert.True(_network.RunUntil(() => _members.All(member => member.IsUp), TimeSpan.FromSeconds(30)));
            for (int i = 0; i < 2; i++)
            {
                PrivateKey key = _network.NewKey();
                TunnelAddress address = _network.MakePlainAsync(key.PublicKey, $"p{i}").GetAwaiter().GetResult().Addresses[0];
                _plain[$"p{i}"] = (key, address, _network.AddPlain($"p{i}", Copy(key), address));
            }
        }

        private IEnumerable<SimulatedNode> All => [_network.Server, .. _members, .. _plain.Values.Select(plain => plain.Node)];

        public void Run()
        {
            foreach (SimulatedNode node in All)
                _addresses[node.Name] = node.Address;
            BeCalm();
            for (int events = 0; events < 8; events++)
            {
                Happen(_plain.Keys.ElementAt(_random.Next(_plain.Count)));
                Talk(TimeSpan.FromSeconds(_random.Next(1, 20)));
            }

            BeCalm();
        }

        public void Dispose() => _network.Dispose();

        private void Happen(string name)
        {
            SimulatedNode node = _plain[name].Node;
            switch (_random.Next(5))
            {
                case 0:
                    node.Transport.MoveTo($"192.0.2.{++_moves}", 4000 + _moves);
                    break;
                case 1:
                    _network.Kill(_network.Server);
                    StartServer();
                    break;
                case 2:
                    _network.Kill(node);
                    _plain[name] = _plain[name] with { Node = _network.AddPlain(name, Copy(_plain[name].Key), _plain[name].Address) };
                    break;
                default:
                    BeBlocked(name);
                    break;
            }
        }

        private void BeBlocked(string name)
        {
            PublicKey key = _plain[name].Key.PublicKey;
            _network.Change(MemberChangeKind.Block, key);
            Talk(TimeSpan.FromSeconds(1)); // What was under way arrives, and members hear of it.
            Take();
            Talk(TimeSpan.FromSeconds(_random.Next(1, 10)));
            Assert.DoesNotContain(Take(), body => body.Contains(name, StringComparison.Ordinal));
            _network.Change(MemberChangeKind.Unblock, key);
        }

        /// <summary>All is as before within a while, and then nothing is lost and nothing comes twice.</summary>
        private void BeCalm()
        {
            foreach (SimulatedNode from in All)
            {
                foreach (SimulatedNode to in All.Where(node => node != from))
                {
                    bool passes = false;
                    for (TimeSpan passed = TimeSpan.Zero; !passes && passed < Recovery; passed += TimeSpan.FromSeconds(1))
                    {
                        string body = $"calm {from.Name}>{to.Name} {_network.Time.Elapsed.TotalMilliseconds}";
                        from.Send(_addresses[to.Name], body);
                        passes = _network.RunUntil(() => to.TakeReceived().Contains(body), TimeSpan.FromSeconds(1));
                    }

                    Assert.True(passes, $"{from.Name} does not reach {to.Name}");
                }
            }

            _network.Run(TimeSpan.FromSeconds(1));
            Take();
            List<string> sent = Talk(TimeSpan.FromSeconds(2));
            _network.Run(TimeSpan.FromSeconds(1));
            Assert.Equal(sent.Order(StringComparer.Ordinal), Take().Order(StringComparer.Ordinal));
        }

        /// <summary>Each sends to each, all the while.</summary>
        private List<string> Talk(TimeSpan duration)
        {
            var sent = new List<string>();
            for (TimeSpan passed = TimeSpan.Zero; passed < duration; passed += Step)
            {
                foreach (SimulatedNode from in All)
                {
                    foreach (SimulatedNode to in All.Where(node => node != from))
                    {
                        sent.Add($"talk {from.Name}>{to.Name} {_network.Time.Elapsed.TotalMilliseconds}");
                        from.Send(_addresses[to.Name], sent[^1]);
                    }
                }

                _network.Run(Step);
            }

            return sent;
        }

        private List<string> Take() =>
            [.. All.SelectMany(node => node.TakeReceived()).Where(body => !body.StartsWith("icmp", StringComparison.Ordinal))];

        private void StartServer() => _network.StartServer(options => _isLarge ? options with { EagerUpTo = 0 } : options);

        private static PrivateKey Copy(PrivateKey key)
        {
            Assert.True(PrivateKey.TryParse(key.Reveal(), out PrivateKey? copy));
            return copy;
        }
    }
}
