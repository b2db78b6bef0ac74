using System.Globalization;

namespace LightTunnel.Addressing;

/// <summary>What is behind a <see cref="LocalEnd"/>.</summary>
internal enum LocalEndKind : byte
{
    /// <summary>
    /// The node's own socket, or what stands for it towards somebody who may not exist (<see cref="PathHandle.IsUnproven"/>).
    /// </summary>
    Own,

    /// <summary>One of the sockets that the node has besides while a NAT makes them necessary.</summary>
    Further,

    /// <summary>The socket from which one queue's thread sends.</summary>
    Stripe,
}

/// <summary>
/// The near end of a path: by what of this machine its datagrams come and go. Everybody may keep one, compare it and hand it back to
/// Transport; what is behind it only Transport knows, so that there can be ends of other kinds (a TLS stream, where a firewall lets no UDP
/// pass) without anybody above noticing. <see cref="Kind"/> and <see cref="Index"/> are read there, by the fakes that stand for it, and
/// nowhere else, which ReferenceTests keeps.
/// </summary>
internal readonly record struct LocalEnd
{
    /// <summary>Most further sockets that a node has.</summary>
    public const int MaximumFurther = 1100;

    // Kind and index in one, as it is compared with every datagram.
    private readonly uint _value;

    private LocalEnd(LocalEndKind kind, int index) => _value = ((uint)kind << 16) | (ushort)index;

    /// <summary>
    /// True for the node's own socket, whose mappings are those that a NAT before the node is known by; true for the default value.
    /// </summary>
    public bool IsOwn => Kind == LocalEndKind.Own;

    /// <summary>What it is. Transport's.</summary>
    public LocalEndKind Kind => (LocalEndKind)(_value >> 16);

    /// <summary>
    /// Which one of its kind: 1 to <see cref="MaximumFurther"/> of the further sockets, the queue of a stripe, 0 of the node's own.
    /// Transport's.
    /// </summary>
    public ushort Index => (ushort)_value;

    /// <summary>The stripe of a queue (<c>IDatagramTransport.OpenStripes</c>).</summary>
    public static LocalEnd Stripe(int queue) => new(LocalEndKind.Stripe, queue);

    /// <summary>A further socket, by the number that Transport gives it. Transport's.</summary>
    public static LocalEnd Further(int number) => new(LocalEndKind.Further, number);

    /// <summary>An order that means nothing, and is the same each time.</summary>
    public int CompareTo(LocalEnd other) => _value.CompareTo(other._value);

    /// <summary>"Own", "Further 3", "Stripe 1".</summary>
    public override string ToString() => IsOwn ? nameof(LocalEndKind.Own) : string.Create(CultureInfo.InvariantCulture, $"{Kind} {Index}");
}
