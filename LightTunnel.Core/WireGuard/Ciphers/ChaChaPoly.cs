using System.Diagnostics;
using System.Security.Cryptography;
using LightTunnel.WireGuard.Vectors;

namespace LightTunnel.WireGuard.Ciphers;

/// <summary>
/// One implementation of ChaCha20-Poly1305. <paramref name="create"/> takes a key, and the length from which the implementation is worth
/// its overhead: shorter packets it may leave to the own vector code.
/// </summary>
internal sealed class ChaChaPolyImplementation(string name, Func<ReadOnlySpan<byte>, int, TransportCipher> create)
{
    /// <summary>
    /// Packets shorter than this are sealed faster by the own vector code than by a library that must be called four times for each.
    /// </summary>
    private const int WorthwhileLength = 768;

    /// <summary>The name that <see cref="ChaChaPoly.Variable"/> takes.</summary>
    public string Name { get; } = name;

    /// <summary>The cipher under a key; copied.</summary>
    public TransportCipher Create(ReadOnlySpan<byte> key) => create(key, WorthwhileLength);

    /// <summary>The same, with packets of every length left to this implementation; for tests of it.</summary>
    public TransportCipher CreateForAllLengths(ReadOnlySpan<byte> key) => create(key, 0);
}

/// <summary>
/// ChaCha20-Poly1305 (RFC 8439) by whichever implementation is fastest on this machine: they compute the same, at very different speeds. An
/// implementation that is missing or computes anything else is out. With vectors of 256 bit and more that is this project's own, a
/// fifth to a half faster than the next for packets of every length (docs/performance.md); elsewhere the libraries are measured once,
/// at the first use.
/// </summary>
/// <remarks>
/// For a packet of 1,420 bytes the own one takes 632 ns with AVX-512 and 748 with AVX2, where libcrypto with a kept context takes 929
/// (64 bytes: 200, 207, 408). Where libraries are measured, for some hundred microseconds, short packets go to the own one.
/// <see cref="Variable"/> names one without measuring; a name that does not work here is ignored.
/// </remarks>
internal static class ChaChaPoly
{
    /// <summary>Environment variable that names the implementation to use, without measuring.</summary>
    public const string Variable = "LIGHTTUNNEL_CHACHA20POLY1305";

    /// <summary>Bytes of the tag.</summary>
    public const int TagSize = VectorChaCha20Poly1305.TagSize;

    /// <summary>Bytes of a nonce.</summary>
    public const int NonceSize = VectorChaCha20.NonceSize;

    /// <summary>Bytes of the packet that is measured with.</summary>
    private const int PacketLength = 1408;

    private const int Rounds = 4;

    private const int PacketsPerRound = 16;

    /// <summary>Implementations in the order of preference where they are equally fast.</summary>
    public static IReadOnlyList<ChaChaPolyImplementation> All { get; } =
    [
        new("own", static (key, _) => new VectorChaChaPoly(key)),
        new("libcrypto", static (key, shortest) => new CryptoLibraryChaChaPoly(key, shortest)),
        new("dotnet", static (key, shortest) => new DotNetChaChaPoly(key, shortest)),
    ];

    private static readonly Lazy<ChaChaPolyImplementation> Choice = new(() => Choose(Environment.GetEnvironmentVariable(Variable)));

    /// <summary>The implementation that links use.</summary>
    public static ChaChaPolyImplementation Fastest => Choice.Value;

    /// <summary>The implementation of that name if it works here, otherwise the fastest of all that do.</summary>
    internal static ChaChaPolyImplementation Choose(string? name)
    {
        name ??= VectorChaCha20Poly1305.BestPath >= VectorPath.Avx2 ? "own" : null;
        return All.FirstOrDefault(implementation => implementation.Name == name && Works(implementation)) ?? Measure([.. All.Where(Works)]);
    }

    /// <summary>
    /// True when the implementation is there and computes what the RFC publishes, and for a whole packet what others compute.
    /// </summary>
    internal static bool Works(ChaChaPolyImplementation implementation)
    {
        try
        {
            return ChaChaPolyCheck.Passes(implementation);
        }
        catch (Exception exception) when (exception is DllNotFoundException or EntryPointNotFoundException or BadImageFormatException
            or PlatformNotSupportedException or CryptographicException)
        {
            return false;
        }
    }

    /// <summary>Rounds alternate, and each implementation's best counts, so that what else the machine does hardly matters.</summary>
    private static ChaChaPolyImplementation Measure(ChaChaPolyImplementation[] implementations)
    {
        byte[] packet = GC.AllocateArray<byte>(PacketLength + TagSize, pinned: true);
        long[] best = [.. implementations.Select(_ => long.MaxValue)];
        TransportCipher[] ciphers =
            [.. implementations.Select(implementation => implementation.Create(packet.AsSpan(0, TransportCipher.KeySize)))];
        for (int round = 0; round < Rounds; round++)
        {
            for (int i = 0; i < ciphers.Length; i++)
            {
                long started = Stopwatch.GetTimestamp();
                for (int j = 0; j < PacketsPerRound; j++)
                    ciphers[i].Seal((ulong)j, default, packet.AsSpan(0, PacketLength), packet);
                best[i] = Math.Min(best[i], Stopwatch.GetTimestamp() - started);
            }
        }

        foreach (TransportCipher cipher in ciphers)
            cipher.Dispose();
        return implementations[Array.IndexOf(best, best.Min())];
    }
}
