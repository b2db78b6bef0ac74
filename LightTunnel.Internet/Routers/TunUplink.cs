using LightTunnel.Packets;
using LightTunnel.Tun;

namespace LightTunnel.Internet.Routers;

/// <summary>
/// A host's interface to the internet: what the host sends goes into a <see cref="VirtualInternet"/>, what arrives there comes out of it.
/// </summary>
internal sealed class TunUplink : IDisposable
{
    private const int BatchCapacity = 64;
    private const int MaximumPacketLength = 65535;

    private readonly VirtualInternet _internet;
    private readonly ITunDevice _device;
    private readonly Thread _reader;
    private HostNode? _host;

    /// <param name="internet">The internet.</param>
    /// <param name="device">The host's end of the wire; this object disposes it.</param>
    public TunUplink(VirtualInternet internet, ITunDevice device)
    {
        _internet = internet;
        _device = device;
        _reader = new Thread(Read) { IsBackground = true, Name = "uplink" };
    }

    /// <summary>Takes a packet from the internet.</summary>
    public void Receive(ReadOnlySpan<byte> packet) => _device.Write(packet);

    /// <summary>Begins to pass on what the host sends.</summary>
    public void Start(HostNode host)
    {
        _host = host;
        _reader.Start();
    }

    public void Dispose()
    {
        _device.Close();
        if (_host is not null)
            _reader.Join();
        _device.Dispose();
    }

    private void Read()
    {
        var batch = new PacketBatch(BatchCapacity, MaximumPacketLength);
        while (_device.Read(batch))
        {
            for (int i = 0; i < batch.Count; i++)
                _internet.Send(_host!, batch.Packet(i));
        }
    }
}
