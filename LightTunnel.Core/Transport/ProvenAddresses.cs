using LightTunnel.Addressing;
using LightTunnel.Timing;

namespace LightTunnel.Transport;

/// <summary>
/// Addresses at which somebody with keys has shown to receive what is sent there, for some time: a fixed number, of which newer ones push
/// out older ones. For one thread.
/// </summary>
/// <param name="time">The clock.</param>
internal sealed class ProvenAddresses(TimeProvider time)
{
    /// <summary>How long a proof counts. Peers that are there agree on new keys every two minutes.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(10);

    /// <summary>Most addresses.</summary>
    public const int Maximum = 4096;

    private readonly Dictionary<UInt128, Timestamp> _provenAt = [];
    private readonly Queue<UInt128> _order = new();

    /// <summary>Somebody with keys has received something there.</summary>
    public void Add(in UdpEndpoint endpoint)
    {
        Timestamp now = time.Now();
        if (!_provenAt.ContainsKey(endpoint.MappedAddress))
        {
            if (_order.Count == Maximum)
                _provenAt.Remove(_order.Dequeue());
            _order.Enqueue(endpoint.MappedAddress);
        }

        _provenAt[endpoint.MappedAddress] = now;
    }

    /// <summary>True when the address was proven not long ago.</summary>
    public bool Contains(in UdpEndpoint endpoint) =>
        _provenAt.TryGetValue(endpoint.MappedAddress, out Timestamp at) && time.Now() - at < Lifetime;
}
