using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Lab.Namespaces;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>
/// A stranger who knows nothing but the server's public key sends it handshakes whose sources are addresses that nobody has, in the
/// server's own network: all of its answers go to neighbours that do not exist.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class ForgedSourceTests : IDisposable
{
    private readonly LocalLan? _lan = OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess ? new LocalLan() : null;

    public void Dispose() => _lan?.Dispose();

    [Fact]
    public async Task Flood_MembersAndTheServerHearEachOther_KeysAreRenewed_AndOthersJoin()
    {
        Assert.SkipUnless(_lan is not null, "needs root");
        LanNode server = _lan.Server;
        LanNode alice = _lan.AddClient("alice");
        await LocalLan.JoinedAsync(alice);
        TimeSpan calm = await LocalLan.PingAsync(alice, server, 10);

        using var flood = new ForgedHandshakes(_lan);
        LinkCounters counters = server.Node.Links.Counters;
        await LocalLan.UntilAsync(() => counters[LinkEvent.CookieSent] > 500 && LocalLan.CountAbsent(_lan.ServerSpace) > 20);

        TimeSpan flooded = await LocalLan.PingAsync(alice, server, 20);
        for (int i = 0; i < 5; i++)
            await RenewKeysAsync(alice);
        LanNode bob = _lan.AddClient("bob");
        await LocalLan.JoinedAsync(bob);
        await LocalLan.PingAsync(bob, server, 5);

        TestContext.Current.SendDiagnosticMessage(
            $"slowest ping: {calm.TotalMilliseconds:F1} ms, {flooded.TotalMilliseconds:F1} ms in the flood of {flood.Sent}");
        Assert.Null(flood.Failure);
        Assert.Equal([0, 0], new[] { alice, bob }.Select(client => ((ClientRole)client.Node.Role).Reconnects));
    }

    /// <summary>
    /// The client's link with the server gets new keys, which the server answers however many strangers ask for its time.
    /// </summary>
    private static async Task RenewKeysAsync(LanNode client)
    {
        KeyPair? before = await client.AskAsync(() =>
        {
            Link link = client.Node.Links.Links.Single(link => ((Peer)link.Owner!).IsServer);
            KeyPair? current = link.Sessions.Current;
            link.RequestHandshake(force: true);
            return current;
        });
        await LocalLan.UntilAsync(() =>
            client.AskAsync(() => client.Node.Links.Links.Single(link => ((Peer)link.Owner!).IsServer).Sessions.Current != before));
    }
}

/// <summary>Sends some 1,000 handshakes a second with forged sources until it is disposed.</summary>
[SupportedOSPlatform("linux")]
file sealed class ForgedHandshakes : IDisposable
{
    private const int PerTurn = 20;
    private const int Sources = 150;
    private const int Headers = 28;

    private static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(20);

    private readonly LocalLan _lan;
    private readonly Socket _socket;
    private readonly Thread _thread;
    private readonly ManualResetEventSlim _stop = new();

    public ForgedHandshakes(LocalLan lan)
    {
        _lan = lan;
        _socket = NetworkNamespace.Run(
            lan.OtherSpace, () => new Socket(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Raw) { SendTimeout = 1000 });
        _thread = new Thread(Run) { IsBackground = true, Name = "forged handshakes" };
        _thread.Start();
    }

    public long Sent { get; private set; }

    public Exception? Failure { get; private set; }

    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
        _socket.Dispose();
        _stop.Dispose();
    }

    private void Run()
    {
        try
        {
            IPEndPoint server = _lan.ServerEndpoint;
            byte[] packet = new byte[Headers + Messages.InitiationSize];
            byte[] target = server.Address.GetAddressBytes();
            do
            {
                for (int i = 0; i < PerTurn; i++, Sent++)
                {
                    byte source = (byte)(100 + (Sent % Sources));
                    WriteHeaders(packet, [10, 77, 0, source], target, server.Port);
                    WriteInitiation(packet.AsSpan(Headers));
                    _socket.SendTo(packet, server);
                }
            }
            while (!_stop.Wait(Turn));
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            Failure = exception;
        }
    }

    /// <summary>Each of a new identity, as a stranger has as many as he likes.</summary>
    private void WriteInitiation(Span<byte> message)
    {
        using var identity = PrivateKey.Generate();
        Handshake.TryCreateInitiation(
            identity, _lan.ServerKey, CipherSuite.WireGuard, (uint)Sent + 1, Tai64n.Next(DateTimeOffset.UtcNow, default),
            message)!.Dispose();
        new CookieJar(_lan.ServerKey, TimeProvider.System).Sign(message);
    }

    private static void WriteHeaders(Span<byte> packet, ReadOnlySpan<byte> source, ReadOnlySpan<byte> destination, int port)
    {
        packet[..Headers].Clear();
        packet[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(packet[2..], (ushort)packet.Length);
        packet[8] = 64;
        packet[9] = (byte)ProtocolType.Udp; // The system fills in the header's checksum; that of UDP may be left out.
        source.CopyTo(packet[12..]);
        destination.CopyTo(packet[16..]);
        BinaryPrimitives.WriteUInt16BigEndian(packet[20..], 4000);
        BinaryPrimitives.WriteUInt16BigEndian(packet[22..], (ushort)port);
        BinaryPrimitives.WriteUInt16BigEndian(packet[24..], (ushort)(packet.Length - 20));
    }
}
