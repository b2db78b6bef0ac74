using System.Net.NetworkInformation;
using LightTunnel.Packets;
using LightTunnel.Traversal;

namespace LightTunnel.Engine;

/// <summary>The machine's own addresses, and when they change; replaced in tests.</summary>
internal interface ILocalAddressSource
{
    /// <summary>Every address of every interface, now.</summary>
    IReadOnlyList<LocalAddressInfo> Read();

    /// <summary>Calls back, on any thread, after addresses have changed, until the result is disposed.</summary>
    IDisposable Watch(Action changed);
}

/// <summary>The system's interfaces.</summary>
internal sealed class SystemLocalAddresses : ILocalAddressSource
{
    /// <inheritdoc/>
    public IReadOnlyList<LocalAddressInfo> Read()
    {
        var addresses = new List<LocalAddressInfo>();
        foreach (NetworkInterface each in NetworkInterface.GetAllNetworkInterfaces())
        {
            LocalAddressFlags flags = LocalAddressFlags.None;
            if (each.NetworkInterfaceType == NetworkInterfaceType.Loopback)
                flags |= LocalAddressFlags.Loopback;
            if (each.OperationalStatus == OperationalStatus.Down)
                flags |= LocalAddressFlags.Down;
            foreach (UnicastIPAddressInformation address in each.GetIPProperties().UnicastAddresses)
                addresses.Add(new LocalAddressInfo(each.Name, TunnelAddress.FromIPAddress(address.Address), flags));
        }

        return addresses;
    }

    /// <inheritdoc/>
    public IDisposable Watch(Action changed) => new Subscription(changed);

    private sealed class Subscription : IDisposable
    {
        private readonly NetworkAddressChangedEventHandler _handler;

        public Subscription(Action changed)
        {
            _handler = (_, _) => changed();
            NetworkChange.NetworkAddressChanged += _handler;
        }

        public void Dispose() => NetworkChange.NetworkAddressChanged -= _handler;
    }
}
