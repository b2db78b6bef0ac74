namespace LightTunnel.Addressing;

/// <summary>
/// The numbers by which a path names the local socket that its datagrams leave from: 0 is the node's own, 1 to <see cref="MaximumFurther"/> are further ones
/// while a NAT makes them necessary, and from <see cref="FirstStripe"/> on there is one for each queue.
/// </summary>
internal static class LocalSockets
{
    /// <summary>Highest number of a further socket.</summary>
    public const int MaximumFurther = 1100;

    /// <summary>
    /// Stands for the node's own socket towards somebody who may not exist. The port is the same, but what waits there, for a neighbour who never answers
    /// the system's question who has that address for instance, takes no room from anybody else, and what finds none is lost.
    /// </summary>
    public const int Unproven = int.MinValue;

    /// <summary>The number of the first stripe: that of a queue is so many more.</summary>
    public const int FirstStripe = 2048;

    /// <summary>Local addresses that have a number; 0 is the system's choice.</summary>
    public const int MaximumAsked = byte.MaxValue;

    private const int AskedShift = 12;

    /// <summary>The number of a socket by which something leaves from a certain address of this machine.</summary>
    /// <param name="socket">The socket's own number.</param>
    /// <param name="asked">The address's number, 0 for the system's choice.</param>
    public static int Combine(int socket, byte asked) => socket | (asked << AskedShift);

    /// <summary>The socket's own number.</summary>
    public static int SocketOf(int combined) => combined & ~(MaximumAsked << AskedShift);

    /// <summary>The address's number.</summary>
    public static byte AskedOf(int combined) => (byte)(combined >> AskedShift);
}
