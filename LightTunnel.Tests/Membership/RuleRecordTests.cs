using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using LightTunnel.Tests.Access;
using Xunit;

namespace LightTunnel.Tests.Membership;

/// <summary>Access rules as they stand in the store and in messages: bytes, limits, pages.</summary>
public sealed class RuleRecordTests
{
    private static readonly AccessRule Sample = RulePackets.Rule(20, "Allow Tcp 22,8000-8099 m2,group:office > 10.0.0.5,fd00::/64,server")
        with { Name = "ssh of the office", Enabled = false };

    [Fact]
    public void Rule_IsReadAsItWasWritten_AndKeepsWhatOnlyANewerVersionKnows()
    {
        byte[] written = RuleRecord.Write(Sample, null);
        Assert.True(RuleRecord.TryRead("p/20", written, out AccessRule? read));
        Assert.Equal(Sample, read);
        AccessRule plain = RulePackets.Rule(1, "Deny Any - * > clients");
        Assert.True(RuleRecord.TryRead("p/1", RuleRecord.Write(plain, null), out read));
        Assert.Equal(plain, read);
        byte[] newer = [(byte)(written[0] + 1), .. written[1..], 0x16, 0x03]; // {22: 3} besides.
        Assert.Equal(newer, RuleRecord.Write(Sample, newer));
    }

    [Theory]
    [InlineData("p/0")]
    [InlineData("p/020")]
    [InlineData("p/1000001")]
    [InlineData("p/x")]
    [InlineData("m/20")]
    public void EntryOfAnotherKey_IsNoRule(string key) => Assert.False(RuleRecord.TryRead(key, RuleRecord.Write(Sample, null), out _));

    [Fact]
    public void Rule_OfHostileBytes_NeverThrows_AndIsWithinItsBounds()
    {
        byte[] good = RuleRecord.Write(Sample, null);
        var mutator = new ByteMutator(Fuzz.Seed(10));
        int read = 0;
        for (int i = 0; i < Fuzz.Count(20_000); i++)
        {
            byte[] bytes = i % 20 == 0 ? mutator.Random(i % 200) : mutator.Mutate(good);
            if (!RuleRecord.TryRead("p/20", bytes, out AccessRule? made))
                continue;
            read++;
            made.Check();
            Assert.True(RuleRecord.TryRead("p/20", RuleRecord.Write(made, null), out AccessRule? again));
            Assert.Equal(made, again);
        }

        Assert.InRange(read, 1, Fuzz.Count(20_000) - 1);
    }

    [Fact]
    public void WidestRule_FitsIntoAPage()
    {
        var widest = new ToldRule
        {
            Rule = new NodeRule
            {
                Number = AccessRule.HighestNumber,
                Direction = RuleDirection.Outbound,
                Action = RuleAction.Allow,
                Protocol = RuleProtocol.Udp,
                Ports = [.. Enumerable.Repeat(new PortRange(65535, 65535), AccessRule.MaximumPortRanges)],
                Own = [.. Enumerable.Repeat(RulePackets.Address("fd00::1"), ControlMessage.MaximumAddresses)],
                Scope = RuleScope.Clients,
                Sets = [.. Enumerable.Repeat(uint.MaxValue, AccessRule.MaximumSelectors)],
            },
        };
        NodeRules rules = new([widest.Rule], new Dictionary<uint, AddressSet>());
        RulesMessage page = Assert.Single(RulePages.Make(null, rules, _ => widest));
        Assert.InRange(ControlMessageCodec.Encode(page).Length, 1, RulesMessage.MaximumLength);
    }

    /// <summary>Whatever a member knew before, it knows what it is to know when it has taken all pages, and no page is too long.</summary>
    [Fact]
    public void Pages_MakeOneSetOfRulesIntoTheOther_WhateverTheyAre()
    {
        var random = new Random(5);
        var view = new RulesView();
        NodeRules? before = null;
        for (int round = 0; round < 300; round++)
        {
            NodeRules now = Make(random, before);
            RulesMessage[] pages = [.. RulePages.Make(round % 50 == 0 ? null : before, now, rule => new ToldRule { Rule = rule })];
            for (int i = 0; i < pages.Length; i++)
            {
                byte[] encoded = ControlMessageCodec.Encode(pages[i]);
                Assert.InRange(encoded.Length, 1, RulesMessage.MaximumLength);
                Assert.Equal(DecodeResult.Message, ControlMessageCodec.Decode(encoded, out ControlMessage? decoded));
                Assert.Equal(i == pages.Length - 1, view.TryTake((RulesMessage)decoded!, out NodeRules rules));
                if (i < pages.Length - 1)
                    continue;
                Assert.Equal(now.Rules, rules.Rules);
                Assert.All(now.Sets, set => Assert.True(
                    set.Value.IsSame(rules.Sets.GetValueOrDefault(set.Key) ?? AddressSet.Empty)));
                Assert.All(rules.Sets, set => Assert.True(set.Value.Items.Count == 0 || now.Sets.ContainsKey(set.Key)));
            }

            before = now;
        }
    }

    /// <summary>A server that is at fault makes a member neither run out of memory nor forget the rules that it has.</summary>
    [Fact]
    public void View_ToldMoreThanThereCanBe_TakesNothingMore_UntilTheServerBeginsAnew()
    {
        var view = new RulesView();
        int number = 0;
        RulesMessage Page(bool more) => new()
        {
            More = more,
            Rules = [.. Enumerable.Range(0, 60).Select(_ => new ToldRule { Rule = new NodeRule { Number = ++number } })],
        };
        for (int i = 0; i < 1000; i++)
            Assert.False(view.TryTake(Page(more: true), out _));
        Assert.True(view.IsTooMuch);
        Assert.False(view.TryTake(Page(more: false), out _));
        Assert.True(view.TryTake(new RulesMessage { Start = true }, out NodeRules rules));
        Assert.Empty(rules.Rules);

        for (uint set = 0; set <= RulesView.MaximumSets; set++)
            view.TryTake(new RulesMessage { More = true, Sets = [new ToldSet { Id = set }] }, out _);
        Assert.True(view.IsTooMuch);
    }

    [Fact]
    public void Rules_HoldWhenTheyAreInTheStore_NotBefore_AndAreAsBeforeWhenTheyCouldNotBe()
    {
        var replica = new StoreReplica();
        var rules = new AccessRules(replica);
        rules.Put(Sample);
        Assert.True(rules.HasChanges);
        Assert.Empty(rules.Current);
        rules.OnFailed();
        Assert.Empty(rules.Planned);
        rules.Put(Sample);
        Commit();
        Assert.Equal([Sample], rules.Current);
        int version = rules.Version;
        rules.Remove(20);
        rules.Put(Sample with { Number = 5 });
        Assert.Equal([Sample], rules.Current);
        rules.OnFailed();
        Assert.Equal([20], rules.Planned.Keys);
        rules.Remove(20);
        rules.Put(Sample with { Number = 5 });
        Commit();
        Assert.Equal([5], rules.Current.Select(rule => rule.Number));
        Assert.NotEqual(version, rules.Version);

        void Commit()
        {
            var commit = new StoreCommit(Guid.NewGuid(), [], [.. rules.Plan().Select(write => new StoreWrite(write.Key, write.Value))]);
            replica.Apply(commit, replica.Revision + 1);
            rules.OnApplied();
        }
    }

    [Fact]
    public void RulesThatAStoreHasLost_HoldOn_AndAreWrittenAgain()
    {
        var replica = new StoreReplica();
        var rules = new AccessRules(replica);
        StoreEntry[] entries = [new("p/20", RuleRecord.Write(Sample, null), 1, 1)];
        rules.TakeOver(replica.Apply(new StoreChanges(5, entries, IsWhole: true)), hasLostCommits: false);
        Assert.Equal([Sample], rules.Current);
        rules.TakeOver(replica.Apply(new StoreChanges(3, [], IsWhole: true)), hasLostCommits: true);
        Assert.Equal([Sample], rules.Current);
        Assert.Equal(["p/20"], rules.Plan().Select(write => write.Key));

        // Another server's removal is none of that.
        rules.OnFailed();
        Assert.Empty(rules.Planned);
    }

    private static NodeRules Make(Random random, NodeRules? before)
    {
        Dictionary<uint, AddressSet> sets = [];
        for (uint id = 1; id < 12; id++)
        {
            if (random.Next(4) == 0)
                continue;
            AddressSet? old = before?.Sets.GetValueOrDefault(id);
            IEnumerable<IpPrefix> items = Enumerable.Range(0, random.Next(200))
                .Select(_ => IpPrefix.Host(TunnelAddress.FromIPv4(0x0A000000u + (uint)random.Next(500))));
            sets[id] = old is not null && random.Next(2) == 0 ? old : new AddressSet(items);
        }

        NodeRule[] rules =
        [
            .. Enumerable.Range(1, random.Next(200)).Where(_ => random.Next(3) > 0).Select(number => new NodeRule
            {
                Number = number,
                Direction = (RuleDirection)random.Next(2),
                Action = (RuleAction)random.Next(2),
                Protocol = RuleProtocol.Tcp,
                Ports = [new PortRange(1, (ushort)random.Next(2, 5))],
                Sets = [.. sets.Keys.Take(random.Next(4))],
            }),
        ];
        return new NodeRules(rules, sets);
    }
}
