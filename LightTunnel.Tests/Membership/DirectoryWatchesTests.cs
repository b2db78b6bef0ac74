using LightTunnel.Membership;
using LightTunnel.WireGuard;
using Xunit;
using static LightTunnel.Tests.Membership.ControlMessageTests;

namespace LightTunnel.Tests.Membership;

public sealed class DirectoryWatchesTests
{
    private static readonly PublicKey Client = Key(100);

    private readonly MemberDirectory _directory = new();
    private readonly DirectoryWatches _watches;
    private readonly DirectoryWatch _watch;

    public DirectoryWatchesTests()
    {
        _watches = new DirectoryWatches(_directory);
        for (uint id = 2; id < 50; id++)
            _directory.Upsert(Entry(id));
        _directory.Upsert(Entry(100));
        _watch = DirectoryWatches.Open(Client);
    }

    [Fact]
    public void FirstPage_BeginsAListing_OfNobody()
    {
        DirectoryMessage page = NextPage();
        Assert.True(page is { Start: true, Partial: true, More: false, Revision: 1 });
        Assert.Empty(page.Changed);
        Assert.False(_watch.HasNews);
    }

    [Fact]
    public void Changes_AreTold_OfWatchedMembersOnly()
    {
        NextPage();
        Assert.True(_watches.TryWatch(_watch, Key(7)));
        Assert.Equal([7u], NextPage().Changed.Select(entry => entry.MemberId));

        _directory.SetOnline(Key(7), online: false);
        Assert.Equal([_watch], _watches.Changed(Key(7)));
        _directory.SetOnline(Key(8), online: false);
        Assert.Empty(_watches.Changed(Key(8)));
        Assert.False(Assert.Single(NextPage().Changed).Online);

        _directory.Remove(Key(7));
        _watches.Changed(Key(7));
        Assert.Equal([7u], NextPage().Removed);
        Assert.Equal(0, _watches.Count);
    }

    [Fact]
    public void MemberThatIsAdmittedAgain_IsTheSame_UnderAnotherNumber()
    {
        _watches.TryWatch(_watch, Key(7));
        NextPage();
        _directory.Remove(Key(7));
        _watches.Changed(Key(7));
        _directory.Upsert(Entry(7) with { MemberId = 77 });
        _watches.Changed(Key(7));

        DirectoryMessage page = NextPage();
        Assert.Empty(page.Removed);
        Assert.Equal((77u, Key(7)), (Assert.Single(page.Changed).MemberId, page.Changed[0].PublicKey));
        Assert.False(_directory.TryGet(7u, out _));
        _directory.Remove(Key(7));
        _watches.Changed(Key(7));
        Assert.Equal([77u], NextPage().Removed);
    }

    [Fact]
    public void ManyMembers_AreToldInPages_ThatFit()
    {
        for (uint id = 2; id < 50; id++)
            Assert.True(_watches.TryWatch(_watch, Key((int)id)));
        var told = new List<uint>();
        DirectoryMessage page;
        do
        {
            page = NextPage();
            told.AddRange(page.Changed.Select(entry => entry.MemberId));
        }
        while (page.More);

        Assert.Equal(Enumerable.Range(2, 48), told.Select(id => (int)id).Order());
        Assert.False(_watch.HasNews);
    }

    [Fact]
    public void Forget_OfAMemberThatALaterPageTellsOf_ComesTooLate()
    {
        _watches.TryWatch(_watch, Key(7));
        ulong read = NextPage().Revision;
        _watches.TryWatch(_watch, Key(7));
        NextPage();
        _watches.Forget(_watch, Key(7), read);
        Assert.True(_watch.IsWatching(Key(7)));

        _watches.Forget(_watch, Key(7), read + 1);
        Assert.False(_watch.IsWatching(Key(7)));
        Assert.Empty(_watches.Changed(Key(7)));
    }

    [Fact]
    public void Strangers_ItselfAndUnknown_AreNotWatched()
    {
        Assert.False(_watches.TryWatch(_watch, Client));
        Assert.False(_watches.TryWatch(_watch, Key(51)));
        for (int i = 0; i < 1000; i++)
            DirectoryWatches.AnswerUnknown(_watch, MemberSubject.Of(Key(i)));
        int answers = 0;
        while (_watch.HasNews)
            answers += NextPage().Unknown.Count;
        Assert.InRange(answers, FindMessage.MaximumSubjects, 200);
    }

    [Fact]
    public void Close_LeavesNothing()
    {
        _watches.TryWatch(_watch, Key(7));
        _watches.TryWatch(_watch, Key(8));
        _watches.Close(_watch);
        Assert.Equal(0, _watches.Count);
        Assert.Empty(_watches.Changed(Key(7)));
    }

    [Theory]
    [InlineData("*", "web1", true)]
    [InlineData("web*", "WEB1", true)]
    [InlineData("web?", "web1", true)]
    [InlineData("web?", "web", false)]
    [InlineData("*b*1", "web-b1", true)]
    [InlineData("*b*2", "web-b1", false)]
    [InlineData("", "web", false)]
    [InlineData("web", "web1", false)]
    [InlineData("a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false)]
    public void NamePattern_Matches_AsInShells(string pattern, string name, bool expected) =>
        Assert.Equal(expected, NamePattern.IsMatch(pattern, name));

    private DirectoryMessage NextPage()
    {
        Assert.True(_watches.TryBuildPage(_watch, DirectoryMessage.MaximumLength, out DirectoryMessage? page));
        byte[] encoded = ControlMessageCodec.Encode(page);
        Assert.InRange(encoded.Length, 1, DirectoryMessage.MaximumLength);
        Assert.Equal(DecodeResult.Message, ControlMessageCodec.Decode(encoded, out ControlMessage? message));
        return Assert.IsType<DirectoryMessage>(message);
    }
}
