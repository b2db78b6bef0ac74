using System.Net;
using System.Net.NetworkInformation;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Tun;
using Xunit;

namespace LightTunnel.Tests.Tun;

[SupportedOSPlatform("linux")]
public sealed class InterfaceKindsTests
{
    private static readonly string[] Destinations = ["192.168.7.9", "10.77.0.9", "203.0.113.5"];

    private static readonly LinkDetails[] Links =
    [
        new(1, "lo", null),
        new(2, "wg0", null),                             // A card that a person named so.
        new(3, "ppp0", "ppp"),                           // PPPoE, a modem.
        new(4, "lte0", null),
        new(5, "office", "wireguard"),
        new(6, "eth9", "tun"),                           // A VPN in user space.
        new(7, "flannel.1", "vxlan", Lower: 2),
        new(8, "office.4", "vlan", Lower: 5),
        new(9, "wg0.4", "vlan", Lower: 2),
        new(10, "cni0", "bridge"),
        new(11, "veth1", "veth", Master: 10),
        new(12, "br0", "bridge"),
        new(13, "vnet0", "tun", Master: 12, IsMachine: true),
        new(14, "eth0", null, Master: 12),
        new(15, "vmbr1", "bridge"),
        new(16, "vx5", "vxlan", Master: 15),
        new(17, "vnet1", "tun", Master: 15, IsMachine: true),
        new(18, "virbr0", "bridge"),
        new(19, "vnet2", "tun", Master: 18, IsMachine: true),
        new(20, "bond0", "bond"),
        new(21, "eth1", null, Master: 20),
        new(22, "loop1", "vlan", Lower: 23),             // What cannot be is no endless loop.
        new(23, "loop2", "vlan", Lower: 22),
        new(24, "he-ipv6", "sit"),
    ];

    [Theory]
    [InlineData("wg0", nameof(InterfaceKind.Ordinary))]
    [InlineData("ppp0", nameof(InterfaceKind.Ordinary))]
    [InlineData("lte0", nameof(InterfaceKind.Ordinary))]
    [InlineData("office", nameof(InterfaceKind.Tunnel))]
    [InlineData("eth9", nameof(InterfaceKind.Tunnel))]
    [InlineData("flannel.1", nameof(InterfaceKind.Tunnel))]
    [InlineData("office.4", nameof(InterfaceKind.Tunnel))]
    [InlineData("wg0.4", nameof(InterfaceKind.Ordinary))]
    [InlineData("cni0", nameof(InterfaceKind.Inner))]
    [InlineData("veth1", nameof(InterfaceKind.Inner))]
    [InlineData("br0", nameof(InterfaceKind.Ordinary))]
    [InlineData("vmbr1", nameof(InterfaceKind.Tunnel))]
    [InlineData("vnet1", nameof(InterfaceKind.Inner))]
    [InlineData("virbr0", nameof(InterfaceKind.Inner))]
    [InlineData("bond0", nameof(InterfaceKind.Ordinary))]
    [InlineData("loop1", nameof(InterfaceKind.Ordinary))]
    [InlineData("he-ipv6", nameof(InterfaceKind.Ordinary))]
    public void Classify_GoesByWhatTheSystemSays_NotByNames(string name, string expected) =>
        Assert.Equal(expected, InterfaceKinds.Classify(Links)[Links.Single(link => link.Name == name).Index].ToString());

    [Theory]
    [InlineData(NetworkInterfaceType.Ethernet, "Intel(R) Ethernet Controller I225-V", nameof(InterfaceKind.Ordinary))]
    [InlineData(NetworkInterfaceType.Wireless80211, "MediaTek Wi-Fi 6", nameof(InterfaceKind.Ordinary))]
    [InlineData(NetworkInterfaceType.Ppp, "WAN Miniport (PPPOE)", nameof(InterfaceKind.Ordinary))]
    [InlineData((NetworkInterfaceType)53, "WireGuard Tunnel", nameof(InterfaceKind.Tunnel))]
    [InlineData(NetworkInterfaceType.Tunnel, "Teredo Tunneling Pseudo-Interface", nameof(InterfaceKind.Tunnel))]
    [InlineData(NetworkInterfaceType.Ethernet, "ZeroTier Virtual Port #2", nameof(InterfaceKind.Tunnel))]
    [InlineData(NetworkInterfaceType.Ethernet, "TAP-Windows Adapter V9", nameof(InterfaceKind.Tunnel))]
    public void OfWindows_GoesByTypeAndDescription(NetworkInterfaceType type, string description, string expected) =>
        Assert.Equal(expected, InterfaceKinds.OfWindows(type, description).ToString());

    [Fact]
    public void RealInterfaces_AreToldApart_AndTheRouteNamesTheInterface()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root");
        string name = "ltxkinds" + Environment.ProcessId;
        NetworkNamespace.Create(name);
        try
        {
            NetworkNamespace.Ip("-n", name, "link", "add", "wg0", "type", "veth", "peer", "name", "other");
            NetworkNamespace.Ip("-n", name, "address", "add", "192.168.7.1/24", "dev", "wg0");
            NetworkNamespace.Ip("-n", name, "link", "set", "wg0", "up");
            NetworkNamespace.Ip("-n", name, "link", "set", "other", "up");
            NetworkNamespace.Ip("-n", name, "tuntap", "add", "dev", "corp0", "mode", "tun");
            NetworkNamespace.Ip("-n", name, "address", "add", "10.77.0.1/24", "dev", "corp0");
            NetworkNamespace.Ip("-n", name, "link", "set", "corp0", "up");
            NetworkNamespace.Ip("-n", name, "tuntap", "add", "dev", "machine0", "mode", "tap", "vnet_hdr");
            NetworkNamespace.Ip("-n", name, "tuntap", "add", "dev", "zt0", "mode", "tap");

            (Dictionary<string, InterfaceKind> kinds, string?[] towards, string[] tunnels) = NetworkNamespace.Run(name, () =>
            {
                IReadOnlyDictionary<int, (string Name, InterfaceKind Kind)> links = InterfaceKinds.ReadLinux();
                string?[] ways =
                    [.. Destinations.Select(text =>
                        links.GetValueOrDefault(InterfaceKinds.Towards(TunnelAddress.FromIPAddress(IPAddress.Parse(text)))).Name)];
                Predicate<NetworkInterface> isTunnel = InterfaceKinds.FindTunnels();
                string[] found = [.. NetworkInterface.GetAllNetworkInterfaces().Where(each => isTunnel(each)).Select(each => each.Name)];
                return (links.Values.ToDictionary(link => link.Name, link => link.Kind), ways, found);
            });

            Assert.Equal(InterfaceKind.Inner, kinds["wg0"]);
            Assert.Equal(InterfaceKind.Ordinary, kinds["lo"]);
            Assert.Equal(InterfaceKind.Tunnel, kinds["corp0"]);
            Assert.Equal(InterfaceKind.Tunnel, kinds["zt0"]);
            Assert.Equal(InterfaceKind.Inner, kinds["machine0"]);
            Assert.Equal(["wg0", "corp0", null], towards);
            Assert.Equal(["corp0", "zt0"], tunnels.Order());
        }
        finally
        {
            NetworkNamespace.Delete(name);
        }
    }
}
