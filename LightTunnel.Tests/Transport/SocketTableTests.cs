using LightTunnel.Addressing;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

public sealed class SocketTableTests
{
    private readonly SocketTable<string> _table = new("own");

    [Fact]
    public void TryAdd_AfterARemoval_GivesAnotherNumber_AsLongAsThereAreSome()
    {
        LocalEnd first = Add();
        _table.Remove(first, _ => { });
        Assert.Null(_table.Find(first.Index));
        for (int i = 1; i < LocalEnd.MaximumFurther; i++)
            Assert.NotEqual(first, Add());
        Assert.Equal(first, Add());
    }

    [Fact]
    public void TryAdd_AllAreTaken_IsRefused_UntilOneIsRemoved()
    {
        LocalEnd[] all = [.. Enumerable.Range(0, LocalEnd.MaximumFurther).Select(_ => Add())];
        Assert.Equal(all.Length, all.Distinct().Count());
        Assert.DoesNotContain(all, end => end.IsOwn);
        Assert.False(_table.TryAdd(number => $"{number}", out _));
        _table.Remove(all[700], _ => { });
        Assert.Equal(all[700], Add());
    }

    [Fact]
    public void Remove_WhatIsNoFurtherSocket_LeavesTheOwn()
    {
        LocalEnd further = Add();
        var closed = new List<string>();
        _table.Remove(default, closed.Add);
        _table.Remove(LocalEnd.Stripe(further.Index), closed.Add);
        Assert.Empty(closed);
        _table.Close(closed.Add);
        Assert.Equal(["1"], closed);
        Assert.Equal("own", _table.Main);
        Assert.False(_table.TryAdd(number => $"{number}", out _));
    }

    private LocalEnd Add()
    {
        Assert.True(_table.TryAdd(number => $"{number}", out LocalEnd end));
        Assert.Equal($"{end.Index}", _table.Find(end.Index));
        return end;
    }
}
