using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

public sealed class SendQueueLimitTests
{
    private readonly SendQueueLimit _limit = new();

    [Fact]
    public void Note_SlowNetwork_ShrinksToTheSmallest()
    {
        int rounds = Drain(until: SendQueueLimit.Smallest);

        Assert.Equal(SendQueueLimit.Smallest, _limit.Bytes);
        Assert.InRange(rounds, 8, 200);
        Assert.False(_limit.Note(SendQueueLimit.Smallest / 2));
    }

    [Fact]
    public void Note_FewRounds_ChangeNothing()
    {
        for (int i = 0; i < 7; i++)
            Assert.False(_limit.Note(SendQueueLimit.First / 2));
        Assert.Equal(SendQueueLimit.First, _limit.Bytes);
    }

    [Fact]
    public void Note_OneRoundThatNeededMore_CountsForAll()
    {
        _limit.Note(1000);
        for (int i = 0; i < 7; i++)
            _limit.Note(SendQueueLimit.First / 2);
        Assert.Equal(SendQueueLimit.First - 500, _limit.Bytes);
    }

    [Fact]
    public void Note_QueueRanDry_GrowsAtOnce_AndShrinksLaterThanBefore()
    {
        Drain(until: SendQueueLimit.First / 2);
        int small = _limit.Bytes;

        Assert.True(_limit.Note(0));
        Assert.Equal(2 * small, _limit.Bytes);
        for (int i = 0; i < 15; i++)
            Assert.False(_limit.Note(_limit.Bytes / 2));
        Assert.True(_limit.Note(_limit.Bytes / 2));
    }

    [Fact]
    public void Note_AlwaysDry_StaysWithinTheLargest()
    {
        for (int i = 0; i < 100; i++)
            _limit.Note(0);
        Assert.Equal(SendQueueLimit.Largest, _limit.Bytes);
    }

    /// <summary>A network so slow that half of the queue is always left when the sender goes on.</summary>
    private int Drain(int until)
    {
        int rounds = 0;
        for (; _limit.Bytes > until && rounds < 1000; rounds++)
            _limit.Note(_limit.Bytes / 2);
        return rounds;
    }
}
