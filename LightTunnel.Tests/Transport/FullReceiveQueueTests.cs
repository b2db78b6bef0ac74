using System.Net;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Transport;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Transport;

/// <summary>One source sends somewhat more than the node works off, on the loopback interface.</summary>
[SupportedOSPlatform("linux")]
public sealed class FullReceiveQueueTests : IDisposable
{
    private const int LongOnesPerRound = 64;
    private const int Length = 1400;

    // Of 64 that come; one short one comes besides.
    private const int WorkedOffPerRound = 60;

    private readonly FakeTimeProvider _time = new();
    private readonly LinuxUdpTransport _receiver;
    private readonly LinuxUdpTransport _sender;
    private readonly UdpEndpoint _address;

    public FullReceiveQueueTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Linux only");
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root, for the kernel's buffer");
        _receiver = LinuxUdpTransport.TryOpen(0, dualMode: false, new DataPathOptions { Queues = 1 }, _time)!;
        _sender = LinuxUdpTransport.TryOpen(0, dualMode: false, new DataPathOptions { Queues = 1 }, _time)!;
        _address = new UdpEndpoint(IPAddress.Loopback, _receiver.LocalPort);
    }

    public void Dispose()
    {
        _receiver?.Dispose();
        _sender?.Dispose();
    }

    [Fact]
    public void QueueFilledWithLongDatagrams_LosesSomeOfThoseOneByOne_AndNothingShort()
    {
        const int Rounds = 2000;
        PacketBatch flood = Flood(LongOnesPerRound);
        var taken = new PacketBatch(16, 1500);
        int longOnes = 0, shortOnes = 0, leftOut = 0, work = 0;
        for (int round = 0; round < Rounds; round++)
        {
            _sender.Send(flood);
            _sender.Send([42], _address);
            _time.Advance(TimeSpan.FromMilliseconds(1));
            // To leave one out is no work.
            for (work += WorkedOffPerRound; work > 0 && Take();)
                work -= Count();
        }

        while (Take())
            Count();
        Assert.Equal((LongOnesPerRound * Rounds, Rounds), (longOnes + leftOut, shortOnes));
        Assert.InRange(leftOut, Rounds / 2, LongOnesPerRound * Rounds / 10);

        bool Take() => _receiver.TryTake(taken, 0) && taken.Count > 0;

        int Count()
        {
            int found = 0;
            leftOut += taken.LeftOut;
            for (int i = 0; i < taken.Count; i++)
            {
                if (taken[i].Length == Length)
                    found++;
                else if (taken[i].Length == 1)
                    shortOnes++;
            }

            longOnes += found;
            return found;
        }
    }

    private PacketBatch Flood(int count)
    {
        var batch = new PacketBatch(count, 1500);
        while (batch.TryAdd(new byte[Length], _address))
        {
        }

        return batch;
    }
}
