using LightTunnel.Addressing;
using LightTunnel.WireGuard;
using LightTunnel.WireGuard.Ciphers;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

public sealed class LinkDataTests : IDisposable
{
    private readonly LinkWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Theory]
    [InlineData(0, 1400, 0)]
    [InlineData(1, 1400, 16)]
    [InlineData(16, 1400, 16)]
    [InlineData(17, 1400, 32)]
    [InlineData(1399, 1400, 1400)]
    [InlineData(1400, 1400, 1400)]
    [InlineData(1401, 1400, 1401)]
    [InlineData(1281, 1290, 1290)]
    public void Seal_PadsTo16ButNotAboveTheMtu_AndLeavesWhatLiesBehindThePacket(int length, int mtu, int padded)
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        byte[] memory = new byte[length + 64];
        new Random(1).NextBytes(memory);
        byte[] before = [.. memory];
        byte[] datagram = new byte[padded + 32];

        Assert.Equal(padded, Messages.PaddedLength(length, mtu));
        Assert.True(a.LinkTo(b).TryBeginSeal(1, out SealRun run));
        Assert.Equal(datagram.Length, run.Seal(memory.AsSpan(0, padded), length, datagram));
        Assert.True(run.Finish());

        Assert.Equal(before, memory);
        Assert.Equal([4, 0, 0, 0], datagram[..4]);
        OpenResult result = b.Table.Open(datagram, a.Address, out Link? link, out int offset, out int opened);
        Assert.Equal(length == 0 ? OpenResult.KeepAlive : OpenResult.Packet, result);
        Assert.Same(b.LinkTo(a), link);
        Assert.Equal(padded, opened);
        Assert.Equal(before[..length], datagram.AsSpan(offset, length).ToArray());
        Assert.Equal(new byte[padded - length], datagram[(offset + length)..(offset + padded)]);
    }

    [Fact]
    public void Open_Train_OpensWhatBelongsToOneSession_AndEachMessageOnce()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        const int Size = 64 + 32;
        byte[] train = new byte[5 * Size];
        Assert.True(a.LinkTo(b).TryBeginSeal(3, out SealRun run));
        for (int i = 0; i < 3; i++)
            run.Seal(Enumerable.Repeat((byte)(i + 1), 64).ToArray(), 64, train.AsSpan(i * Size, Size));
        Assert.True(run.Finish());
        train.AsSpan(Size, Size).CopyTo(train.AsSpan(3 * Size)); // Once more the second, then one of another session.
        train.AsSpan(0, Size).CopyTo(train.AsSpan(4 * Size));
        train[(4 * Size) + 4] ^= 1;
        train[(2 * Size) + 40] ^= 1;
        var opened = new OpenedMessage[64];

        Assert.Equal(4, b.Table.Open(train, Size, 0, a.Address, opened, out Link? link));
        Assert.Same(b.LinkTo(a), link);
        Assert.Equal(
            [OpenResult.Packet, OpenResult.Packet, OpenResult.Forged, OpenResult.Replayed], opened[..4].Select(message => message.Result));
        Assert.Equal(Enumerable.Repeat((byte)2, 64), train[opened[1].Offset..(opened[1].Offset + opened[1].Length)]);
        Assert.Equal(2, b.LinkTo(a).ReceivedPackets);
        Assert.Equal(1, b.Table.Open(train.AsSpan(4 * Size), Size, 0, a.Address, opened, out link));
        Assert.Equal(OpenResult.UnknownSession, opened[0].Result);
        Assert.Null(link);
    }

    [Fact]
    public void Open_ReorderedWithinTheWindow_AllArriveOnce()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        for (int i = 0; i < 200; i++)
            a.Send(b, (byte)i);
        Datagram[] sent = [.. _world.UnderWay];
        _world.UnderWay.Clear();
        new Random(3).Shuffle(sent);
        foreach (Datagram datagram in sent)
            b.Receive([.. datagram.Bytes], datagram.From);
        foreach (Datagram datagram in sent)
            b.Receive([.. datagram.Bytes], datagram.From);

        Assert.Equal(200, b.Received.Select(p => p[0]).Distinct().Count());
        Assert.Equal(200, b.Results.Count(r => r == OpenResult.Packet));
        Assert.Equal(200, b.Results.Count(r => r == OpenResult.Replayed));
        Assert.Equal(200, b.Table.Counters[LinkEvent.DataReplayed]);
    }

    [Fact]
    public void Open_PacketOfThePreviousKeys_StillArrivesAfterARekey()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        _world.Advance(10);
        a.Send(b, 9);
        Datagram late = _world.UnderWay.Single();
        _world.UnderWay.Clear();
        a.LinkTo(b).RequestHandshake(force: true);
        _world.Deliver();
        _world.Deliver(late);
        Assert.Equal(9, b.Received.Single()[0]);
    }

    [Fact]
    public void Open_ForgedUnknownOrMalformed_IsCountedAndChangesNothing()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        a.Send(b, 1);
        byte[] good = _world.UnderWay.Single().Bytes;
        _world.UnderWay.Clear();
        PathAddress elsewhere = LinkWorld.Endpoint(77);

        byte[] forged = [.. good];
        forged[^1] ^= 0x80;
        Assert.Equal(OpenResult.Forged, b.Table.Open(forged, elsewhere, out Link? link, out _, out int length));
        Assert.Null(link);
        Assert.Equal(0, length);
        byte[] unknown = [.. good];
        unknown[5] ^= 1;
        Assert.Equal(OpenResult.UnknownSession, b.Table.Open(unknown, elsewhere, out _, out _, out _));
        byte[] reserved = [.. good];
        reserved[2] = 1;
        Assert.Equal(OpenResult.Malformed, b.Table.Open(reserved, elsewhere, out _, out _, out _));
        Assert.Equal(OpenResult.Malformed, b.Table.Open(good.AsSpan(0, 31), elsewhere, out _, out _, out _));
        Assert.Equal(OpenResult.Malformed, b.Table.Open(default, elsewhere, out _, out _, out _));

        Assert.Equal(a.Address, b.LinkTo(a).Path);
        Assert.Equal(1, b.Table.Counters[LinkEvent.DataForged]);
        Assert.Equal(1, b.Table.Counters[LinkEvent.UnknownSession]);
        Assert.Equal(3, b.Table.Counters[LinkEvent.Malformed]);
        Assert.Equal(OpenResult.Packet, b.Table.Open([.. good], a.Address, out _, out _, out _));
    }

    [Fact]
    public void Roaming_AuthenticPacketFromElsewhere_MovesThePathUnlessTurnedOff()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        PathAddress elsewhere = LinkWorld.Endpoint(77);
        a.Send(b, 1);
        b.Receive([.. _world.Log[^1].Bytes], elsewhere);
        Assert.Equal(elsewhere, b.LinkTo(a).Path);

        // A replay from another place is not followed.
        b.Receive([.. _world.Log[^1].Bytes], LinkWorld.Endpoint(78));
        Assert.Equal(elsewhere, b.LinkTo(a).Path);

        b.LinkTo(a).RoamingEnabled = false;
        a.Send(b, 1);
        b.Receive([.. _world.Log[^1].Bytes], LinkWorld.Endpoint(79));
        Assert.Equal(elsewhere, b.LinkTo(a).Path);
    }

    [Fact]
    public void Seal_KeysDestroyedByAnotherThread_NeverSendsAnythingUnderAZeroedKey()
    {
        // The data thread has the session in its hands when the control loop zeroes it.
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        KeyPair session = a.LinkTo(b).Sessions.Current!;
        Assert.True(a.LinkTo(b).TryBeginSeal(2, out SealRun run));
        run.Seal(new byte[16], 16, new byte[48]);
        session.Dispose();
        run.Seal(new byte[16], 16, new byte[48]);
        Assert.False(run.Finish());
        Assert.Equal(0, a.LinkTo(b).SentPackets);
        Assert.False(session.TryClaimCounters(1, out _));
        Assert.False(a.LinkTo(b).TryBeginSeal(1, out _));
    }

    [Fact]
    public void Open_KeysDestroyedByAnotherThread_NeverTakesWhatIsSealedUnderAZeroedKey()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        KeyPair session = a.LinkTo(b).Sessions.Current!;
        session.Dispose();
        using var zeroed = new VectorChaChaPoly(new byte[32]);
        byte[] forged = new byte[48];
        Messages.WriteTransport(forged, session.LocalIndex, 5);
        zeroed.Seal(5, default, new byte[16], forged.AsSpan(16));
        Assert.True(session.TryOpen(5, [.. forged]));
        Assert.False(session.IsIntact());
        Assert.Equal(OpenResult.Expired, a.Table.Open(forged, b.Address, out _, out _, out _));
    }

    [Theory]
    [InlineData(CipherSuite.WireGuard)]
    [InlineData(CipherSuite.Aegis256)]
    public void SealAndOpen_TenThousandPackets_AllocateNothing(CipherSuite suite)
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair(suite);
        Link link = a.LinkTo(b);
        byte[] packet = new byte[1408];
        byte[] datagram = new byte[packet.Length + link.Sessions.Current!.Overhead];
        Allocation.AssertNone(warmUp: 2, count: 10, () => Run(1_000));

        void Run(int count)
        {
            for (int i = 0; i < count; i++)
            {
                if (!link.TryBeginSeal(1, out SealRun run) || run.Seal(packet, 1400, datagram) != datagram.Length || !run.Finish()
                    || b.Table.Open(datagram, a.Address, out _, out _, out _) != OpenResult.Packet)
                {
                    throw new InvalidOperationException("Not sealed or not opened.");
                }
            }
        }
    }

    [Theory]
    [InlineData(CipherSuite.WireGuard)]
    [InlineData(CipherSuite.Aegis256)]
    public void TwoSendAndTwoReceiveThreads_WithRekeysMeanwhile_NothingIsForgedOrReplayed(CipherSuite suite)
    {
        using var identityA = PrivateKey.Generate();
        using var identityB = PrivateKey.Generate();
        using var tableA = new LinkTable(identityA, TimeProvider.System) { PreferredSuite = suite };
        using var tableB = new LinkTable(identityB, TimeProvider.System);
        Link link = tableA.Add(identityB.PublicKey, null);
        link.PeerPrefers = suite;
        Link back = tableB.Add(identityA.PublicKey, null);
        link.RequestHandshake();
        Exchange(tableA, tableB);
        Assert.True(link.HasSession);
        long opened = 0;
        long failed = 0;
        const int PerThread = 20_000;
        int[] progress = new int[2];
        Thread[] threads = [.. Enumerable.Range(0, 2).Select(number => new Thread(() =>
        {
            byte[] buffer = new byte[256];
            for (int i = 0; i < PerThread; Volatile.Write(ref progress[number], ++i))
            {
                // A thread that is put aside between sealing and opening must not find itself behind the replay window.
                while (i - Volatile.Read(ref progress[1 - number]) > ReplayWindow.Size / 4)
                    Thread.Yield();
                if (link.SealCopy([1, 2, 3], buffer, 1400, out int written) == SealResult.Sealed
                    && tableB.Open(buffer.AsSpan(0, written), default, out _, out _, out _) == OpenResult.Packet)
                {
                    Interlocked.Increment(ref opened);
                }
                else
                {
                    Interlocked.Increment(ref failed);
                }
            }
        })
        { Name = "data " + number })];
        foreach (Thread thread in threads)
            thread.Start();
        int rekeys = 0;
        var pause = new SpinWait();
        while (threads.Any(t => t.IsAlive))
        {
            // The clock of TAI64N is rounded, and initiations have to be 20 ms apart: most of these are refused, some are not.
            if (link.Sessions.Previous is null || link.Sessions.Current!.NextCounter > 1000)
            {
                link.RequestHandshake(force: true);
                rekeys++;
            }

            Exchange(tableA, tableB);
            pause.SpinOnce();
        }

        foreach (Thread thread in threads)
            thread.Join();
        tableB.RunTimers();
        // A thread that was put aside between sealing and opening, for two rekeys, finds its keys gone; that is a lost
        // packet, nothing worse.
        Assert.Equal(2 * PerThread, opened + failed);
        Assert.InRange(failed, 0, PerThread / 100);
        Assert.Equal(0, tableB.Counters[LinkEvent.DataForged]);
        Assert.Equal(0, tableB.Counters[LinkEvent.DataReplayed]);
        Assert.True(rekeys > 0);
        Assert.Equal(opened, back.ReceivedPackets);
    }

    /// <summary>Hands handshakes over; the control loops of both sides are the test's thread.</summary>
    private static void Exchange(LinkTable tableA, LinkTable tableB)
    {
        bool any = true;
        while (any)
        {
            tableA.RunTimers();
            tableB.RunTimers();
            any = HandOver(tableA, tableB) | HandOver(tableB, tableA);
        }
    }

    private static bool HandOver(LinkTable from, LinkTable to)
    {
        bool any = false;
        while (from.TryTakeOutput(out LinkOutput output))
        {
            any = true;
            if (output.Kind == LinkOutputKind.SessionEstablished)
                output.Link!.ConfirmKeys();
            else if (output.Datagram.Length != 0 && Messages.TypeOf(output.Datagram) == Messages.TransportType)
                to.Open(output.Datagram, default, out _, out _, out _);
            else
                to.HandleHandshake(output.Datagram, default);
        }

        return any;
    }
}
