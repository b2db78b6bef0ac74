using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Transport;

namespace LightTunnel.Tun;

/// <summary>The errors that making and configuring an interface can end in, in the same words on every system.</summary>
internal static class TunErrors
{
    public static LightTunnelException PrivilegeRequired(string remedy) =>
        new(LightTunnelError.PrivilegeRequired, "The system does not let this user create a network interface.", remedy);

    public static LightTunnelException Unavailable(string message, string remedy, Exception? cause = null) =>
        new(LightTunnelError.TunUnavailable, message, remedy, cause);

    public static LightTunnelException InvalidName(string name, string rule) =>
        new(LightTunnelError.InvalidName, $"'{name}' cannot be the name of a network interface.", rule) { Target = name };

    public static LightTunnelException NameInUse(string name) => new(
        LightTunnelError.InterfaceNameInUse,
        $"A network interface named '{name}' exists already.",
        "Choose another interface name, or none to take the first that is free.")
    { Target = name };

    public static LightTunnelException AddressInUse(InterfaceAddress wanted, InterfaceAddress existing, string interfaceName) => new(
        LightTunnelError.AddressInUse,
        wanted.Address == existing.Address
            ? $"Address {wanted.Address} belongs to interface '{interfaceName}' of this machine already."
            : $"Network {wanted.Prefix} overlaps {existing.Prefix}, which interface '{interfaceName}' of this machine is in.",
        "Choose an address in another network, or take it away from that interface.")
    { Target = wanted.ToString() };

    /// <summary>An interface has the address that is in no list of those that are there.</summary>
    public static LightTunnelException AddressInUseUnseen(InterfaceAddress wanted) => new(
        LightTunnelError.AddressInUse,
        $"Address {wanted.Address} belongs to another interface of this machine already, which may be switched off or hidden.",
        $"'Get-NetIPAddress {wanted.Address}' shows which. Choose another address, or take it away from that interface.")
    { Target = wanted.ToString() };

    public static LightTunnelException IPv6Disabled(InterfaceAddress address, string howToSwitchOn) => new(
        LightTunnelError.InvalidAddress,
        $"Address {address} cannot be set: IPv6 is switched off on this machine.",
        $"{howToSwitchOn}, or use IPv4 addresses only.")
    { Target = address.ToString() };

    /// <summary>True when this is how Linux refuses an IPv6 address because IPv6 is switched off.</summary>
    [SupportedOSPlatform("linux")]
    public static bool IsIPv6Off(int error) => error is LibC.EACCES or LibC.EAFNOSUPPORT or LibC.EOPNOTSUPP;

    public static LightTunnelException Refused(string what, string interfaceName, string reason) => new(
        LightTunnelError.Internal,
        $"The system refused to {what} interface '{interfaceName}': {reason}.",
        "Check that nothing else manages or removes this interface.")
    { Target = interfaceName };
}
