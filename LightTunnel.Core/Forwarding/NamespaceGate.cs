using System.Runtime.Versioning;
using LightTunnel.Tun;

namespace LightTunnel.Forwarding;

/// <summary>Lets one thread at a time change the forwarding of a network namespace, whichever process it is of.</summary>
[SupportedOSPlatform("linux")]
internal static class NamespaceGate
{
    /// <summary>Waits until nobody else is inside.</summary>
    public static PathGate Enter() => PathGate.Enter("/proc/thread-self/ns/net");
}
