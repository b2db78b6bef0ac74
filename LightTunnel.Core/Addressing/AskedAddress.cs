namespace LightTunnel.Addressing;

/// <summary>
/// The address of this machine that somebody sent to, by which it is answered; the default value leaves the choice to the system. Opaque
/// like <see cref="LocalEnd"/>: Transport has the addresses, this is which of them.
/// </summary>
internal readonly record struct AskedAddress
{
    /// <summary>Most addresses that have a number.</summary>
    public const int Maximum = byte.MaxValue;

    /// <summary>An address, by the number that Transport gave it. Transport's.</summary>
    public AskedAddress(byte number) => Number = number;

    /// <summary>Its number, 0 for the system's choice. Transport's.</summary>
    public byte Number { get; }
}
