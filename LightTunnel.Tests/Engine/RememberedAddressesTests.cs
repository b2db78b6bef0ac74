using System.Net.NetworkInformation;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Traversal;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Engine;

public sealed class RememberedAddressesTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly TunnelLog _log;
    private readonly FailingSource _source = new();
    private readonly RememberedAddresses _addresses;

    public RememberedAddressesTests()
    {
        _log = new TunnelLog("test", _time);
        _addresses = new RememberedAddresses(_source, _log, _time);
    }

    public void Dispose() => _log.Dispose();

    [Fact]
    public void Read_ThatFails_GivesTheLastList_SaysSoOnce_AndTriesAgain()
    {
        int changes = 0;
        using IDisposable watch = _addresses.Watch(() => changes++);
        IReadOnlyList<LocalAddressInfo> before = _addresses.Read();

        _source.Failure = new NetworkInformationException(24);
        Assert.Same(before, _addresses.Read());
        Assert.Same(before, _addresses.Read());
        Assert.Single(_log.Read(), entry => entry.Level == LogLevel.Warning);
        _time.Advance(RememberedAddresses.Retry);
        Assert.Equal(1, changes);

        _source.Failure = null;
        Assert.NotSame(before, _addresses.Read());
        _time.Advance(RememberedAddresses.Retry * 2);
        Assert.Equal(1, changes);
    }

    [Fact]
    public void Route_ThatCannotBeAsked_IsNotKnown()
    {
        Assert.Equal((7, true), (_addresses.InterfaceTowards(default), _addresses.IsTunnel(7)));
        _source.Failure = new IOException("Too many open files");
        Assert.Equal((0, false), (_addresses.InterfaceTowards(default), _addresses.IsTunnel(7)));
    }

    [Fact]
    public void Watch_ThatFails_IsTriedAgain_AndEndsWithItsResult()
    {
        _source.Failure = new IOException("Too many open files");
        int changes = 0;
        IDisposable watch = _addresses.Watch(() => changes++);
        Assert.Null(_source.Changed);

        _source.Failure = null;
        _time.Advance(RememberedAddresses.Retry);
        Assert.Equal(1, changes); // What changed meanwhile went unnoticed.
        _source.Changed!();
        Assert.Equal(2, changes);

        watch.Dispose();
        Assert.Null(_source.Changed);
        _source.Failure = new IOException("Too many open files");
        _addresses.Read();
        _time.Advance(RememberedAddresses.Retry * 2);
        Assert.Equal(2, changes);
    }

    private sealed class FailingSource : ILocalAddressSource, IDisposable
    {
        public Exception? Failure { get; set; }

        public Action? Changed { get; private set; }

        public IReadOnlyList<LocalAddressInfo> Read() => Failure is null
            ? [new LocalAddressInfo("eth0", TunnelAddress.FromIPAddress(System.Net.IPAddress.Loopback), LocalAddressFlags.None)]
            : throw Failure;

        public int InterfaceTowards(TunnelAddress destination) => Failure is null ? 7 : throw Failure;

        public bool IsTunnel(int index) => Failure is null ? index == 7 : throw Failure;

        public IDisposable Watch(Action changed)
        {
            if (Failure is not null)
                throw Failure;
            Changed = changed;
            return this;
        }

        public void Dispose() => Changed = null;
    }
}
