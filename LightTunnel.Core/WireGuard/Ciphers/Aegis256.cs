using LightTunnel.WireGuard.Vectors;

namespace LightTunnel.WireGuard.Ciphers;

/// <summary>One implementation of AEGIS-256.</summary>
internal sealed class Aegis256Implementation(string name, bool isFast, Func<ReadOnlySpan<byte>, TransportCipher> create)
{
    /// <summary>The name that <see cref="Aegis256.Variable"/> takes.</summary>
    public string Name { get; } = name;

    /// <summary>Whether it is faster than ChaCha20-Poly1305, so that a node prefers this suite.</summary>
    public bool IsFast { get; } = isFast;

    /// <summary>The cipher under a key; copied.</summary>
    public TransportCipher Create(ReadOnlySpan<byte> key) => create(key);
}

/// <summary>
/// AEGIS-256 (draft-irtf-cfrg-aegis-aead) with the tag of 256 bits: by AES instructions where the processor has them, elsewhere slow, but
/// in constant time too: good for what is said before both ends know of each other what they are. An implementation that computes anything
/// else than what is published is out.
/// </summary>
internal static class Aegis256
{
    /// <summary>Environment variable that names the implementation to use; a name that does not work here is ignored.</summary>
    public const string Variable = "LIGHTTUNNEL_AEGIS256";

    /// <summary>Bytes of the tag: the draft's longer one, which is not an extension of the shorter.</summary>
    public const int TagSize = Aegis256State.TagSize;

    /// <summary>Bytes of a nonce.</summary>
    public const int NonceSize = Aegis256State.NonceSize;

    private static readonly Lazy<Aegis256Implementation> Choice = new(() => Choose(Environment.GetEnvironmentVariable(Variable)));

    /// <summary>Implementations, the fastest first.</summary>
    public static IReadOnlyList<Aegis256Implementation> All { get; } =
    [
        new("instructions", isFast: true, static key => new InstructionAegis256(key)),
        new("computed", isFast: false, static key => new ComputedAegis256(key)),
    ];

    /// <summary>The implementation that links use.</summary>
    public static Aegis256Implementation Fastest => Choice.Value;

    /// <summary>The implementation of that name if it works here, otherwise the fastest of all that do.</summary>
    internal static Aegis256Implementation Choose(string? name) =>
        All.FirstOrDefault(implementation => implementation.Name == name && Works(implementation)) ?? All.First(Works);

    /// <summary>True when the implementation computes what is published.</summary>
    internal static bool Works(Aegis256Implementation implementation)
    {
        try
        {
            return Aegis256Check.Passes(implementation.Create);
        }
        catch (PlatformNotSupportedException)
        {
            return false;
        }
    }
}
