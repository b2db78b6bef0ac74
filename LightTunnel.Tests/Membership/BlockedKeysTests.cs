using LightTunnel.Membership;
using LightTunnel.Membership.Cbor;
using LightTunnel.Membership.Store;
using LightTunnel.WireGuard;
using Xunit;
using static LightTunnel.Tests.Membership.ControlMessageTests;

namespace LightTunnel.Tests.Membership;

/// <summary>Keys that are kept out, in the store and as a server knows them.</summary>
public sealed class BlockedKeysTests
{
    private static readonly Block Sample = new()
    {
        Name = "laptop", Since = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero), By = "root",
    };

    /// <summary>The bytes stay what they have always been.</summary>
    [Fact]
    public void Block_InTheStore_IsItsFields()
    {
        byte[] bytes = CborRecord.Encode(Sample);
        Assert.Equal("A301666C6170746F70021B08DE49AB96B700800364726F6F74", Convert.ToHexString(bytes));
        Assert.True(CborMap.TryRead(bytes, out CborMap? map));
        Assert.True(CborRecord.TryRead(map, out Block? read));
        Assert.Equal(Sample, read);
    }

    [Fact]
    public void Key_OfTheStore_IsReadAsItIsWritten_AndNoOther()
    {
        Assert.True(StoreKeys.TryReadBlock(StoreKeys.Block(Key(7)), out PublicKey read));
        Assert.Equal(Key(7), read);
        foreach (string? other in new[] { null, "", "r/", "r/abc", $"k/{Key(7)}", $"r/{Key(7)} ", "m/2" })
            Assert.False(StoreKeys.TryReadBlock(other, out _));
    }

    [Fact]
    public void Commit_OfABlock_ExpectsThatThereIsNone_AndCountsWhenItIsApplied()
    {
        (Leases leases, StoreContents store) = Create();
        leases.Want(WriteOf(Key(1)));
        Assert.True(leases.HasChanges);
        Assert.False(leases.Blocked.Contains(Key(1)));
        StoreCommit commit = leases.Plan();
        Assert.Contains(new StoreExpectation(StoreKeys.Block(Key(1)), StoreExpectation.Absent), commit.Expect);

        store = Apply(leases, store, commit);
        Assert.Equal(Sample, leases.Blocked.Find(Key(1)));
        Assert.True(leases.Blocked.TryTakeNews(out PublicKey news));
        Assert.Equal(Key(1), news);
        Assert.False(leases.HasChanges);

        leases.Want(new StoreWrite(StoreKeys.Block(Key(1)), null));
        Apply(leases, store, leases.Plan());
        Assert.False(leases.Blocked.Contains(Key(1)));
        Assert.True(leases.Blocked.TryTakeNews(out _));
        Assert.False(leases.Blocked.TryTakeNews(out _));
    }

    [Fact]
    public void Commit_ThatFailed_IsMadeAgain_UnlessNobodyWantsItAnyMore()
    {
        (Leases leases, _) = Create();
        leases.Want(WriteOf(Key(1)));
        leases.Plan();
        leases.OnFailed();
        Assert.Contains(leases.Plan().Write, write => write.Key == StoreKeys.Block(Key(1)));
        leases.OnFailed();
        leases.Unwant(WriteOf(Key(1)));
        Assert.DoesNotContain(leases.Plan().Write, write => write.Key == StoreKeys.Block(Key(1)));
    }

    [Fact]
    public void Block_OfAnotherServer_IsTakenOver()
    {
        (Leases first, StoreContents store) = Create();
        (Leases second, _) = Create();
        first.Want(WriteOf(Key(1)));
        store = Apply(first, store, first.Plan());

        second.TakeOver(store.ChangesAfter(second.Revision));
        Assert.True(second.Blocked.Contains(Key(1)));
        Assert.True(second.Blocked.TryTakeNews(out _));
    }

    [Fact]
    public void Block_ThatTheStoreHasLost_IsWrittenAgain_AndHoldsMeanwhile()
    {
        (Leases leases, StoreContents before) = Create();
        leases.Want(WriteOf(Key(1)));
        Apply(leases, before, leases.Plan());
        leases.TakeOver(before.ChangesAfter(INetworkStore.Everything), isOtherHistory: true);

        Assert.True(leases.Blocked.Contains(Key(1)));
        Apply(leases, before, leases.Plan());
        Assert.Equal(Sample, leases.Blocked.Find(Key(1)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("A0")]
    [InlineData("FF")]
    [InlineData("A10163612062")]
    public void Entry_ThatCannotBeRead_KeepsItsKeyOut(string hex)
    {
        (Leases leases, StoreContents store) = Create();
        var commit = new StoreCommit(Guid.NewGuid(), [], [new StoreWrite(StoreKeys.Block(Key(1)), Convert.FromHexString(hex))]);
        leases.TakeOver(store.Apply(commit, out _).ChangesAfter(leases.Revision));

        Assert.True(leases.Blocked.Contains(Key(1)));
        Assert.False(leases.Blocked.Contains(Key(2)));
    }

    private static StoreWrite WriteOf(in PublicKey key) => new(StoreKeys.Block(key), CborRecord.Encode(Sample));

    private static (Leases Leases, StoreContents Store) Create()
    {
        var leases = new Leases([Interface("10.0.0.1/24")]);
        StoreContents store = StoreContents.Empty;
        store = Apply(leases, store, leases.Plan());
        return (leases, store);
    }

    private static StoreContents Apply(Leases leases, StoreContents store, StoreCommit commit)
    {
        store = store.Apply(commit, out CommitAnswer answer);
        Assert.Equal(CommitOutcome.Applied, answer.Outcome);
        leases.OnApplied(commit, answer.Revision);
        return store;
    }
}
