using LightTunnel.Timing;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

/// <summary>The timers of the paper's section 6, one by one.</summary>
public sealed class LinkTimerTests : IDisposable
{
    private readonly LinkWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public void Idle_ConnectedLink_SendsNothingAndWaitsOnlyForTheKeysToBeZeroed()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        _world.Advance(500);
        Assert.Empty(_world.Log);
        Assert.Equal(0, a.Lost + b.Lost);
    }

    [Fact]
    public void Initiation_NoAnswer_IsRepeatedEveryFiveSecondsWithJitterForNinety()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        _world.Filter = _ => false;
        List<Timestamp> times = [];
        _world.Filter = _ =>
        {
            times.Add(_world.Time.Now());
            return false;
        };
        a.LinkTo(b).RequestHandshake();
        _world.Advance(89);
        Assert.Equal(0, a.Lost);
        _world.Advance(7);

        Assert.Equal(1, a.Lost);
        Assert.InRange(times.Count, 17, 18);
        double[] gaps = [.. times.Zip(times.Skip(1), (x, y) => (y - x).TotalSeconds)];
        Assert.All(gaps, g => Assert.InRange(g, 5.0, 5.334));
        Assert.True(gaps.Distinct().Count() > 5);
        Assert.Equal(0, a.Table.Indexes.Handshakes);

        _world.Advance(1000);
        Assert.InRange(times.Count, 17, 18);
        Assert.Equal(1, a.Lost);
    }

    [Fact]
    public void GivenUp_NextRequest_StartsAgain()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        _world.Filter = _ => false;
        a.LinkTo(b).RequestHandshake();
        _world.Advance(100);
        _world.Filter = _ => true;
        a.LinkTo(b).RequestHandshake();
        _world.Deliver();
        Assert.True(a.LinkTo(b).HasSession);
    }

    [Fact]
    public void RequestHandshake_Forced_SendsEachTimeYetIsGivenUpInTime()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        _world.Filter = _ => false;
        for (int i = 0; i < 95; i++)
        {
            a.LinkTo(b).RequestHandshake(force: true);
            _world.Advance(1);
        }

        Assert.Equal(95, _world.Log.Count);
        Assert.Equal(1, a.Lost);
    }

    [Fact]
    public void RequestHandshake_TwiceNotForced_SendsOne()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        _world.Filter = _ => false;
        a.LinkTo(b).RequestHandshake();
        a.LinkTo(b).RequestHandshake();
        _world.Advance(4.9);
        Assert.Single(_world.Log);
    }

    [Fact]
    public void RequestHandshake_SoonAfterASuccess_WaitsForTheRekeyTimeout()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        a.LinkTo(b).RequestHandshake();
        _world.Advance(4.9);
        Assert.Empty(_world.Log);
        _world.Advance(0.5);
        Assert.Equal(1, a.Established);
        Assert.Equal(1, b.Established);
    }

    [Fact]
    public void DataReceived_NothingToSend_IsAnsweredByAKeepaliveAfterTenSeconds()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        a.Send(b, 1);
        _world.Advance(9.9);
        Assert.Single(_world.Log);
        _world.Advance(0.2);
        Assert.Equal(OpenResult.KeepAlive, Assert.Single(a.Results));
        // A keepalive is not answered: the two fall silent.
        _world.Advance(100);
        Assert.Equal(2, _world.Log.Count);
    }

    [Fact]
    public void DataReceived_AnsweredByData_NeedsNoKeepalive()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        a.Send(b, 1);
        _world.Advance(5);
        b.Send(a, 2);
        _world.Advance(9);
        Assert.Equal(2, _world.Log.Count);
        _world.Advance(2);
        // Now A owes one, for what B said.
        Assert.Equal(3, _world.Log.Count);
        Assert.Equal(a.Address, _world.Log[2].From);
    }

    [Fact]
    public void DataSent_NoAnswerForFifteenSeconds_StartsAHandshake()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        _world.Filter = _ => false;
        a.Send(b, 1);
        _world.Advance(14.9);
        Assert.Single(_world.Log);
        _world.Advance(0.2);
        Assert.Equal(Messages.InitiationType, _world.Log[1].Type);
        Assert.Equal(2, _world.Log.Count);
    }

    [Fact]
    public void DataSent_KeepaliveSent_ExpectsNoAnswerToTheKeepalive()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        a.Send(b, 1);
        _world.Advance(100);
        Assert.DoesNotContain(_world.Log, d => d.Type == Messages.InitiationType);
    }

    [Fact]
    public void Initiator_SendingAfter120Seconds_Rekeys()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        KeyPair first = a.LinkTo(b).Sessions.Current!;
        _world.Advance(119);
        a.Send(b, 1);
        _world.Deliver();
        Assert.Same(first, a.LinkTo(b).Sessions.Current);
        _world.Advance(1.1);
        a.Send(b, 2);
        _world.Deliver();

        Assert.NotSame(first, a.LinkTo(b).Sessions.Current);
        Assert.Same(first, a.LinkTo(b).Sessions.Previous);
        Assert.Equal(1, a.Established);
        Assert.Equal(1, b.Established);
        Assert.Equal(2, b.Received.Count);
    }

    [Fact]
    public void Responder_SendingAfter120Seconds_DoesNotRekey()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        _world.Advance(125);
        b.Send(a, 1);
        _world.Advance(5);
        Assert.DoesNotContain(_world.Log, d => d.Type == Messages.InitiationType);
        Assert.Single(a.Received);
    }

    [Fact]
    public void Initiator_OnlyReceivingAfter165Seconds_RekeysBeforeTheKeysExpire()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        _world.Advance(164);
        b.Send(a, 1);
        _world.Deliver();
        Assert.DoesNotContain(_world.Log, d => d.Type == Messages.InitiationType);
        _world.Advance(2);
        b.Send(a, 2);
        _world.Deliver();
        Assert.Equal(1, b.Established);
    }

    [Fact]
    public void SteadyTraffic_ForAnHour_IsNeverInterrupted()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        for (int i = 0; i < 3600; i++)
        {
            Assert.Equal(SealResult.Sealed, a.Send(b, 1));
            Assert.Equal(SealResult.Sealed, b.Send(a, 1));
            _world.Advance(1);
        }

        Assert.Equal(3600, a.Received.Count);
        Assert.Equal(3600, b.Received.Count);
        Assert.InRange(a.Established, 28, 30);
        Assert.InRange(a.Table.Indexes.Sessions, 1, 2);
    }

    [Fact]
    public void Keys_180SecondsOld_NeitherSealNorOpen()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        _world.Advance(170);
        _world.Filter = _ => false;
        a.Send(b, 1);
        Datagram late = _world.Log[^1];
        _world.Advance(10.1);

        Assert.False(a.LinkTo(b).HasSession);
        Assert.Equal(SealResult.NoSession, b.Send(a, 2));
        b.Receive([.. late.Bytes], a.Address);
        Assert.Equal(OpenResult.Expired, Assert.Single(b.Results));
        Assert.Equal(1, b.Table.Counters[LinkEvent.DataExpired]);
    }

    [Fact]
    public void Keys_540SecondsAfterTheLastHandshake_AreZeroedAndReportedLost()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        KeyPair session = a.LinkTo(b).Sessions.Current!;
        _world.Advance(539);
        Assert.False(session.IsZeroed);
        _world.Advance(2);
        Assert.True(session.IsZeroed);
        Assert.Equal(1, a.Lost);
        Assert.Equal(1, b.Lost);
        Assert.Equal(0, a.Table.Indexes.Sessions);
        Assert.Equal(Timestamp.Never, _world.RunTimers());
    }

    [Fact]
    public void Rekey_OldestSession_IsZeroed()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        KeyPair first = a.LinkTo(b).Sessions.Current!;
        KeyPair firstOfB = b.LinkTo(a).Sessions.Current!;
        for (int i = 0; i < 2; i++)
        {
            _world.Advance(10);
            a.LinkTo(b).RequestHandshake(force: true);
            _world.Deliver();
        }

        Assert.True(first.IsZeroed);
        Assert.True(firstOfB.IsZeroed);
        Assert.Equal(2, a.Table.Indexes.Sessions);
    }

    [Fact]
    public void MessageLimit_2To60_AsksForNewKeysOnce()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        _world.Advance(6);
        a.LinkTo(b).Sessions.Current!.NextCounter = KeyPair.RekeyAfterMessages - 1;
        a.Send(b, 1);
        _world.Deliver();
        Assert.Equal(0, a.Established);
        a.Send(b, 1);
        a.Send(b, 1);
        _world.Deliver();
        Assert.Equal(1, a.Established);
        Assert.Equal(1, _world.Log.Count(d => d.Type == Messages.InitiationType));
    }

    [Fact]
    public void MessageLimit_RejectAfterMessages_SealsNothingMoreAndNeverWraps()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        KeyPair session = a.LinkTo(b).Sessions.Current!;
        session.NextCounter = KeyPair.RejectAfterMessages - 1;
        byte[] buffer = new byte[100];
        Assert.Equal(SealResult.Sealed, a.LinkTo(b).SealCopy([1], buffer, 1400, out _));
        for (int i = 0; i < 3; i++)
            Assert.Equal(SealResult.NoSession, a.LinkTo(b).SealCopy([1], buffer, 1400, out _));
        Assert.False(a.LinkTo(b).HasSession);
        Assert.Equal(KeyPair.RejectAfterMessages, session.NextCounter);
    }

    [Fact]
    public void PersistentKeepalive_Idle_IsSentEveryInterval()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        a.LinkTo(b).PersistentKeepalive = TimeSpan.FromSeconds(25);
        _world.Advance(101);
        Assert.Equal(4, b.Results.Count(r => r == OpenResult.KeepAlive));
        _world.Advance(1000);
        // The keepalives count as sending, so the keys never grow too old either.
        Assert.True(a.LinkTo(b).HasSession);
        Assert.True(b.LinkTo(a).HasSession);
        a.LinkTo(b).PersistentKeepalive = null;
        int sent = _world.Log.Count;
        _world.Advance(200);
        Assert.Equal(sent, _world.Log.Count);
    }

    [Fact]
    public void PersistentKeepalive_WithoutSession_MakesOneAndKeepsTrying()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        _world.Filter = _ => false;
        a.LinkTo(b).PersistentKeepalive = TimeSpan.FromSeconds(25);
        _world.Advance(300);
        Assert.True(_world.Log.Count > 40);
        _world.Filter = _ => true;
        _world.Advance(31);
        Assert.True(b.LinkTo(a).HasSession);
    }

    [Fact]
    public void PersistentKeepalive_OtherTraffic_ReplacesIt()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        a.LinkTo(b).PersistentKeepalive = TimeSpan.FromSeconds(25);
        for (int i = 0; i < 10; i++)
        {
            _world.Advance(8);
            a.Send(b, 1);
            b.Send(a, 1);
            _world.Deliver();
        }

        Assert.DoesNotContain(OpenResult.KeepAlive, b.Results);
    }

    [Fact]
    public void BusyLink_DataThreads_WakeTheControlLoopOnceInTenSeconds()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        _world.Advance(20);
        byte[] buffer = new byte[100];
        for (int i = 0; i < 1000; i++)
        {
            _world.Time.Advance(TimeSpan.FromMilliseconds(9));
            a.LinkTo(b).SealCopy([1], buffer, 1400, out int written);
            b.Table.Open(buffer.AsSpan(0, written), a.Address, out _, out _, out _);
            b.LinkTo(a).SealCopy([1], buffer, 1400, out written);
            a.Table.Open(buffer.AsSpan(0, written), b.Address, out _, out _, out _);
            // The control loop runs as soon as it is woken.
            a.Table.RunTimers();
            b.Table.RunTimers();
        }

        Assert.Equal(1, a.Wakes);
        Assert.Equal(1, b.Wakes);
    }

    [Fact]
    public void Wake_UntilRunTimers_IsCalledOnce()
    {
        LinkNode a = _world.AddNode();
        LinkNode[] others = [_world.AddNode(), _world.AddNode(), _world.AddNode()];
        foreach (LinkNode other in others)
        {
            a.Table.Add(other.Key, null).Path = other.Address;
            a.LinkTo(other).RequestHandshake();
        }

        Assert.Equal(1, a.Wakes);
        a.Table.RunTimers();
        a.LinkTo(others[0]).PersistentKeepalive = TimeSpan.FromSeconds(1);
        Assert.Equal(2, a.Wakes);
    }

    [Fact]
    public void TenThousandIdleLinks_ASweep_VisitsOnlyTheOneThatIsDue()
    {
        LinkNode a = _world.AddNode();
        Span<byte> bytes = stackalloc byte[32];
        for (int i = 1; i <= 10_000; i++)
        {
            BitConverter.TryWriteBytes(bytes, i);
            a.Table.Add(new PublicKey(bytes), null).Path = LinkWorld.Endpoint(9);
        }

        Assert.Equal(Timestamp.Never, a.Table.RunTimers());
        a.Table.Links.First().RequestHandshake();
        Timestamp next = a.Table.RunTimers();
        Assert.InRange(next - _world.Time.Now(), TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(5.4));
    }

    [Fact]
    public void SessionLost_TheLinkIsRemoved_NothingBreaks()
    {
        using var identity = PrivateKey.Generate();
        using var other = PrivateKey.Generate();
        using var table = new LinkTable(identity, _world.Time);
        table.Add(other.PublicKey, null).RequestHandshake();
        for (int i = 0; i < 200; i++)
        {
            table.RunTimers();
            while (table.TryTakeOutput(out LinkOutput output))
            {
                if (output.Kind == LinkOutputKind.SessionLost)
                    table.Remove(output.Link!);
            }

            _world.Time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Empty(table.Links);
        Assert.Equal(Timestamp.Never, table.RunTimers());
    }
}
