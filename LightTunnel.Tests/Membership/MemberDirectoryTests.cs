using FsCheck.Xunit;
using LightTunnel.Membership;
using Xunit;
using static LightTunnel.Tests.Membership.ControlMessageTests;

namespace LightTunnel.Tests.Membership;

public sealed class MemberDirectoryTests
{
    private static DirectoryMessage Decode(byte[] page)
    {
        Assert.Equal(DecodeResult.Message, ControlMessageCodec.Decode(page, out ControlMessage? message));
        return Assert.IsType<DirectoryMessage>(message);
    }

    private static List<DirectoryMessage> Pages(
        MemberDirectory directory, DirectoryCursor cursor, int maximum = DirectoryMessage.MaximumLength)
    {
        var pages = new List<DirectoryMessage>();
        while (directory.TryBuildPage(cursor, maximum, out DirectoryMessage? page))
        {
            byte[] encoded = ControlMessageCodec.Encode(page);
            Assert.InRange(encoded.Length, 1, maximum);
            pages.Add(Decode(encoded));
        }

        return pages;
    }

    [Fact]
    public void TryBuildPage_NewClient_GetsWholeListingWithoutItself()
    {
        var directory = new MemberDirectory();
        for (uint id = 2; id < 5; id++)
            Assert.True(directory.Upsert(Entry(id)));
        directory.Remove(Key(3));
        DirectoryMessage page = Assert.Single(Pages(directory, directory.OpenCursor(Key(4))));
        Assert.True(page.Start);
        Assert.False(page.More);
        Assert.Equal([2u], page.Changed.Select(entry => entry.MemberId));
        Assert.Empty(page.Removed);
        Assert.Equal(directory.Revision, page.Revision);
    }

    [Fact]
    public void TryBuildPage_OnlyTheClientItself_TellsThatTheListingIsComplete()
    {
        var directory = new MemberDirectory();
        directory.Upsert(Entry(2));
        DirectoryMessage page = Assert.Single(Pages(directory, directory.OpenCursor(Key(2))));
        Assert.True(page is { Start: true, More: false, Changed.Count: 0 });
    }

    [Fact]
    public void TryBuildPage_LaterChanges_AreAllThatIsTold()
    {
        var directory = new MemberDirectory();
        for (uint id = 2; id < 10; id++)
            directory.Upsert(Entry(id));
        DirectoryCursor cursor = directory.OpenCursor(Key(2));
        Pages(directory, cursor);
        Assert.False(directory.HasNews(cursor));

        Assert.False(directory.Upsert(Entry(5)));
        Assert.False(directory.SetOnline(Key(5), true));
        Assert.False(directory.SetOnline(Key(99), true));
        Assert.False(directory.Remove(Key(99)));
        Assert.True(directory.SetOnline(Key(5), false));
        Assert.True(directory.SetOnline(Key(6), false));
        Assert.True(directory.SetOnline(Key(5), true));
        Assert.True(directory.Remove(Key(7)));
        Assert.True(directory.Upsert(Entry(2, name: "renamed")));
        DirectoryMessage page = Assert.Single(Pages(directory, cursor));
        Assert.False(page.Start);
        Assert.Equal([(6u, false), (5u, true)], page.Changed.Select(entry => (entry.MemberId, entry.Online)));
        Assert.Equal([7u], page.Removed);
        Assert.Equal(7, directory.Count);
        Assert.False(directory.TryGet(Key(7), out _));
    }

    [Fact]
    public void TryBuildPage_ManyMembers_ComeInPagesThatFit()
    {
        var directory = new MemberDirectory();
        for (uint id = 2; id < 1002; id++)
            directory.Upsert(Entry(id, name: new string('n', 50)));
        List<DirectoryMessage> pages = Pages(directory, directory.OpenCursor(Key(0)));
        Assert.InRange(pages.Count, 100, 300);
        Assert.True(pages[0].Start);
        Assert.All(pages[1..], page => Assert.False(page.Start));
        Assert.All(pages[..^1], page => Assert.True(page.More));
        Assert.False(pages[^1].More);
        Assert.Equal(
            Enumerable.Range(2, 1000).Select(id => (uint)id), pages.SelectMany(page => page.Changed).Select(entry => entry.MemberId));
    }

    [Fact]
    public void Tombstones_EveryoneWasTold_AreForgotten()
    {
        var directory = new MemberDirectory();
        DirectoryCursor cursor = directory.OpenCursor(Key(0));
        directory.Upsert(Entry(2));
        Pages(directory, cursor);
        for (uint id = 3; id < 5000; id++)
        {
            directory.Upsert(Entry(id));
            directory.Remove(Key((int)id));
            Pages(directory, cursor);
        }

        Assert.InRange(directory.Tombstones, 0, 200);
        Assert.Equal(1, directory.Count);
    }

    [Fact]
    public void Tombstones_SomeoneWasNotTold_AreKeptUntilItIsOrLeaves()
    {
        var directory = new MemberDirectory();
        directory.Upsert(Entry(2));
        DirectoryCursor slow = directory.OpenCursor(Key(2));
        DirectoryCursor gone = directory.OpenCursor(Key(2));
        Pages(directory, slow);
        Pages(directory, gone);
        for (uint id = 3; id < 1003; id++)
        {
            directory.Upsert(Entry(id));
            directory.Remove(Key((int)id));
        }

        Assert.Equal(1000, directory.Tombstones);
        Assert.Equal(1000, Pages(directory, slow).Sum(page => page.Removed.Count));
        directory.CloseCursor(gone);
        for (uint id = 1003; id < 4003; id++)
        {
            directory.Upsert(Entry(id));
            directory.Remove(Key((int)id));
            Pages(directory, slow);
        }

        Assert.InRange(directory.Tombstones, 0, 3000);
        Assert.Empty(Pages(directory, directory.OpenCursor(Key(9))).SelectMany(page => page.Removed));
    }

    [Property(MaxTest = 60)]
    public void View_AnyHistoryAndAnyPaging_EndsUpAsTheDirectory(int seed)
    {
        var random = new Random(seed);
        var directory = new MemberDirectory();
        var views = new List<(DirectoryView View, DirectoryCursor Cursor)>();
        uint nextId = 40;
        for (int step = 0; step < 600; step++)
        {
            uint id = (uint)random.Next(2, 40);
            switch (random.Next(8))
            {
                case 0: directory.Remove(Key((int)id)); break;
                case 1: directory.SetOnline(Key((int)id), random.Next(2) == 0); break;
                case 2 when views.Count < 5: views.Add((new DirectoryView(), directory.OpenCursor(Key(0)))); break;
                case 3 when views.Count > 0: // A new registration: a new cursor, the same view.
                    int which = random.Next(views.Count);
                    directory.CloseCursor(views[which].Cursor);
                    views[which] = (views[which].View, directory.OpenCursor(Key(0)));
                    break;
                case 4 when views.Count > 0:
                    (DirectoryView view, DirectoryCursor cursor) = views[random.Next(views.Count)];
                    if (directory.TryBuildPage(cursor, random.Next(300, 1100), out DirectoryMessage? page))
                        view.Apply(Decode(ControlMessageCodec.Encode(page)));
                    break;
                case 5 when random.Next(4) == 0: // It was removed, and is admitted again: the same key and address, another number.
                    directory.Remove(Key((int)id));
                    directory.Upsert(Entry(id) with { MemberId = nextId++ });
                    break;
                default: directory.Upsert(Entry(id, random.Next(2) == 0, random.Next(3) == 0 ? "other" : "node")); break;
            }
        }

        foreach ((DirectoryView view, DirectoryCursor cursor) in views)
        {
            foreach (DirectoryMessage page in Pages(directory, cursor))
                view.Apply(page);
            Assert.Equal(directory.Entries.OrderBy(entry => entry.MemberId), view.Entries.OrderBy(entry => entry.MemberId));
        }
    }

    [Fact]
    public void Apply_Page_TellsWhatWasAddedChangedAndRemoved()
    {
        var view = new DirectoryView();
        DirectoryChanges changes = view.Apply(new DirectoryMessage { Revision = 3, Start = true, Changed = [Entry(2), Entry(3)] });
        Assert.Equal([2u, 3u], changes.Added.Select(entry => entry.MemberId));
        changes = view.Apply(new DirectoryMessage { Revision = 5, Changed = [Entry(2), Entry(3, online: false)], Removed = [2, 77] });
        Assert.Equal([2u], changes.Removed.Select(entry => entry.MemberId));
        Assert.Equal([2u], changes.Added.Select(entry => entry.MemberId));
        Assert.Equal((Entry(3), Entry(3, online: false)), Assert.Single(changes.Changed));
        Assert.Equal(5u, view.Revision);
    }

    [Fact]
    public void Apply_NewListing_KeepsMembersUntilItsLastPage()
    {
        var view = new DirectoryView();
        view.Apply(new DirectoryMessage { Revision = 3, Start = true, Changed = [Entry(2), Entry(3), Entry(4)] });
        DirectoryChanges first = view.Apply(new DirectoryMessage { Revision = 1, Start = true, More = true, Changed = [Entry(2)] });
        Assert.Empty(first.Removed);
        Assert.Equal(3, view.Count);
        DirectoryChanges last = view.Apply(new DirectoryMessage { Revision = 2, Changed = [Entry(4)] });
        Assert.Empty(last.Added);
        Assert.Equal([3u], last.Removed.Select(entry => entry.MemberId));
    }

    [Fact]
    public void TryGet_AfterChanges_FindsByIdAddressAndKey()
    {
        var view = new DirectoryView();
        view.Apply(new DirectoryMessage { Revision = 1, Changed = [Entry(2)] });
        DirectoryEntry moved = Entry(2) with { Addresses = [Address("10.0.0.99")], PublicKey = Key(99) };
        view.Apply(new DirectoryMessage { Revision = 2, Changed = [moved] });
        Assert.False(view.TryGet(Entry(2).Addresses[0], out _));
        Assert.False(view.TryGet(Entry(2).PublicKey, out _));
        Assert.True(view.TryGet(2u, out DirectoryEntry? byId));
        Assert.True(view.TryGet(Address("10.0.0.99"), out DirectoryEntry? byAddress));
        Assert.True(view.TryGet(Key(99), out DirectoryEntry? byKey));
        Assert.Equal([moved, moved, moved], [byId, byAddress, byKey]);
    }

    [Fact]
    public void Apply_AddressMovedToAnotherMember_BelongsToTheNewOne()
    {
        var view = new DirectoryView();
        view.Apply(new DirectoryMessage { Revision = 1, Changed = [Entry(2)] });
        DirectoryChanges changes = view.Apply(
            new DirectoryMessage { Revision = 2, Changed = [Entry(3) with { Addresses = Entry(2).Addresses }] });
        Assert.Equal([2u], changes.Removed.Select(entry => entry.MemberId));
        Assert.True(view.TryGet(Entry(2).Addresses[0], out DirectoryEntry? owner));
        Assert.Equal(3u, owner.MemberId);
    }

    [Fact]
    public void Apply_MoreThanTheMaximum_IsBounded()
    {
        var view = new DirectoryView(maximumCount: 3);
        view.Apply(new DirectoryMessage { Revision = 1, Changed = [Entry(2), Entry(3), Entry(4), Entry(5), Entry(6)] });
        Assert.Equal((3, 2L), (view.Count, view.Ignored));
        Assert.Single(view.Apply(new DirectoryMessage { Revision = 2, Changed = [Entry(3, online: false)] }).Changed);
    }
}
