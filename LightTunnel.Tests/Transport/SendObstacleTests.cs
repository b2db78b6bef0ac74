using System.Net;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

/// <summary>
/// What of the machine's own is in the way of a datagram is told, by each way of sending, in a network namespace of the test's own.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class SendObstacleTests : IDisposable
{
    private static int _counter;

    private readonly string _namespace = $"ltxobs{Environment.ProcessId}x{Interlocked.Increment(ref _counter)}";

    public SendObstacleTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root");
        NetworkNamespace.Create(_namespace);
    }

    public void Dispose() => NetworkNamespace.Delete(_namespace);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void SendOrTell_NoRouteProhibitedOrSent_TellsWhich(bool native)
    {
        using IDatagramTransport transport = NetworkNamespace.Run<IDatagramTransport>(
            _namespace, () => native ? new UdpTransportFactory().Open(0) : SocketUdpTransport.Open(0));
        foreach (bool isUnproven in new[] { false, true })
        {
            Assert.Equal(SendObstacle.NoRoute, Send(transport, "203.0.113.1", isUnproven));
            Assert.Equal(SendObstacle.NoRoute, Send(transport, "2001:db8::1", isUnproven));
        }

        Ip("link", "add", "name", "uplink", "type", "veth", "peer", "name", "far");
        Ip("link", "set", "far", "up");
        Ip("address", "add", "192.0.2.1/24", "dev", "uplink");
        Ip("link", "set", "uplink", "up");
        Ip("route", "add", "default", "dev", "uplink");
        Ip("route", "add", "prohibit", "198.51.100.0/24");
        foreach (bool isUnproven in new[] { false, true })
        {
            Assert.Equal(SendObstacle.None, Send(transport, "203.0.113.1", isUnproven));
            Assert.Equal(SendObstacle.Refused, Send(transport, "198.51.100.1", isUnproven));
        }
    }

    private static SendObstacle Send(IDatagramTransport transport, string address, bool isUnproven) =>
        transport.SendOrTell([1, 2, 3], new PathHandle(new UdpEndpoint(IPAddress.Parse(address), 9000)) { IsUnproven = isUnproven });

    private void Ip(params string[] arguments) => NetworkNamespace.Ip(["-n", _namespace, .. arguments]);
}
