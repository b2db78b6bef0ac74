using System.Security.Cryptography;

namespace LightTunnel.WireGuard.Agreement;

/// <summary>One implementation of X25519.</summary>
internal sealed class X25519Implementation(string name, Func<ReadOnlySpan<byte>, X25519Secret> create)
{
    /// <summary>The name that <see cref="X25519.Variable"/> takes.</summary>
    public string Name { get; } = name;

    /// <summary>The secret with those 32 bytes; copied.</summary>
    public X25519Secret Create(ReadOnlySpan<byte> privateKey) => create(privateKey);
}

/// <summary>
/// X25519 (RFC 7748) by libcrypto where the system has it, elsewhere by BouncyCastle, which takes two and a half times as long
/// (docs/performance.md). .NET 10 has none. An implementation that is missing or computes anything else than what is published is out.
/// </summary>
internal static class X25519
{
    /// <summary>Environment variable that names the implementation to use; a name that does not work here is ignored.</summary>
    public const string Variable = "LIGHTTUNNEL_X25519";

    private static readonly Lazy<X25519Implementation> Choice = new(() => Choose(Environment.GetEnvironmentVariable(Variable)));

    /// <summary>Implementations, the fastest first.</summary>
    public static IReadOnlyList<X25519Implementation> All { get; } =
    [
        new("libcrypto", static privateKey => new CryptoLibraryX25519(privateKey)),
        new("bouncycastle", static privateKey => new BouncyCastleX25519(privateKey)),
    ];

    /// <summary>The implementation that keys use.</summary>
    public static X25519Implementation Fastest => Choice.Value;

    /// <summary>The implementation of that name if it works here, otherwise the fastest of all that do.</summary>
    internal static X25519Implementation Choose(string? name) =>
        All.FirstOrDefault(implementation => implementation.Name == name && Works(implementation)) ?? All.First(Works);

    /// <summary>True when the implementation is there and computes what the RFC publishes.</summary>
    internal static bool Works(X25519Implementation implementation)
    {
        try
        {
            return X25519Check.Passes(implementation);
        }
        catch (Exception exception) when (exception is DllNotFoundException or EntryPointNotFoundException or BadImageFormatException
            or CryptographicException)
        {
            return false;
        }
    }
}
