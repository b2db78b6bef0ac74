using LightTunnel.Addressing;

namespace LightTunnel.Transport;

/// <summary>
/// The addresses of this machine that datagrams came to, each by a small number: answers leave from there, as who asked may be
/// behind a firewall that takes them from nowhere else. The system would choose by the routing table. Numbers stay for the
/// transport's life; any thread.
/// </summary>
/// <remarks>
/// A server with two addresses, two uplinks or a floating one is asked at one of them. The kernel tells where each message came to
/// (<see cref="PacketInfoControl"/>); the number stays with the path, outside of its equality (<see cref="PathAddress.Asked"/>), and what
/// is sent by the path leaves from there: on links of the server, and with every answer to a handshake or probe. Who asks leaves by what
/// way there is, as its addresses come and go. Where the address is gone the system chooses.
/// </remarks>
internal sealed class AskedAddresses
{
    /// <summary>Addresses that get a number. There are more only where whole networks are routed to this machine.</summary>
    internal const int Maximum = AskedAddress.Maximum;

    private readonly UInt128[] _addresses = new UInt128[Maximum + 1];
    private readonly Lock _adding = new();
    private volatile int _count;

    /// <summary>The address in mapped form; 0 for the system's choice.</summary>
    public UInt128 this[AskedAddress asked] => asked.Number <= _count ? _addresses[asked.Number] : UInt128.Zero;

    /// <summary>What stands for an address in mapped form; the system's choice when no number is left for it.</summary>
    public AskedAddress Find(UInt128 address)
    {
        int count = _count;
        int index = Array.IndexOf(_addresses, address, 1, count);
        return index > 0 ? new AskedAddress((byte)index) : count < Maximum ? Add(address) : default;
    }

    private AskedAddress Add(UInt128 address)
    {
        lock (_adding)
        {
            int index = Array.IndexOf(_addresses, address, 1, _count);
            if (index > 0)
                return new AskedAddress((byte)index);
            if (_count == Maximum)
                return default;
            _addresses[_count + 1] = address; // Before the count, by which others find it.
            return new AskedAddress((byte)++_count);
        }
    }
}
