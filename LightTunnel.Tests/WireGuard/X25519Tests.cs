using LightTunnel.WireGuard.Agreement;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

/// <summary>X25519 by each implementation; what keys make of it is in <see cref="PrimitiveTests"/>.</summary>
public sealed class X25519Tests
{
    public static TheoryData<string> Implementations => [.. X25519.All.Select(implementation => implementation.Name)];

    [Theory]
    [MemberData(nameof(Implementations))]
    public void TryAgree_WycheproofCases_GivesTheSecret(string name)
    {
        X25519Implementation implementation = Working(name);
        Assert.All(WycheproofCases.Agreements, row =>
        {
            (_, string privateKey, string publicKey, string expected) = row.Data;
            using X25519Secret secret = implementation.Create(Hex(privateKey));
            byte[] shared = new byte[X25519Secret.Size];
            Assert.True(secret.TryAgree(Hex(publicKey), shared));
            Assert.Equal(expected, Convert.ToHexStringLower(shared));
        });
    }

    [Theory]
    [MemberData(nameof(Implementations))]
    public void TryAgree_PublicKeyOfLowOrder_IsRefused(string name)
    {
        X25519Implementation implementation = Working(name);
        Assert.All(WycheproofCases.LowOrder, row =>
        {
            (_, string privateKey, string publicKey) = row.Data;
            using X25519Secret secret = implementation.Create(Hex(privateKey));
            Assert.False(secret.TryAgree(Hex(publicKey), new byte[X25519Secret.Size]));
        });
    }

    /// <summary>RFC 7748 section 5.2: the results of one and of a thousand rounds, each of which takes the one before as its key.</summary>
    [Theory]
    [MemberData(nameof(Implementations))]
    public void TryAgree_AThousandRoundsOfTheRfc_GiveThePublishedResults(string name)
    {
        X25519Implementation implementation = Working(name);
        byte[] key = new byte[X25519Secret.Size], point = new byte[X25519Secret.Size];
        key[0] = point[0] = 9;
        for (int i = 1; i <= 1000; i++)
        {
            byte[] shared = new byte[X25519Secret.Size];
            using (X25519Secret secret = implementation.Create(key))
                Assert.True(secret.TryAgree(point, shared));
            (key, point) = (shared, key);
            if (i == 1)
                Assert.Equal("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079", Convert.ToHexStringLower(key));
        }

        Assert.Equal("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51", Convert.ToHexStringLower(key));
    }

    [Theory]
    [MemberData(nameof(Implementations))]
    public void DerivePublicKey_RandomKeys_IsAgreeingWithTheBasePoint(string name)
    {
        X25519Implementation implementation = Working(name);
        var random = new Random(25519);
        byte[] key = new byte[X25519Secret.Size], basePoint = new byte[X25519Secret.Size];
        byte[] expected = new byte[X25519Secret.Size], actual = new byte[X25519Secret.Size];
        basePoint[0] = 9;
        for (int i = 0; i < 100; i++)
        {
            random.NextBytes(key);
            using X25519Secret secret = implementation.Create(key);
            Assert.True(secret.TryAgree(basePoint, expected));
            secret.DerivePublicKey(actual);
            Assert.Equal(expected, actual);
        }
    }

    [Fact]
    public void Choose_NameOfAnImplementation_IsThatOne()
    {
        X25519Implementation[] working = [.. X25519.All.Where(X25519.Works)];
        Assert.Contains(working, implementation => implementation.Name == "bouncycastle");
        Assert.All(working, implementation => Assert.Same(implementation, X25519.Choose(implementation.Name)));
        Assert.Same(working[0], X25519.Choose("something new"));
        Assert.Same(working[0], X25519.Choose(null));
    }

    [Fact]
    public void Works_ImplementationThatIsWrongOrMissing_IsOut()
    {
        Assert.False(X25519.Works(new X25519Implementation("missing", static _ => throw new DllNotFoundException())));
        foreach (Fault fault in Enum.GetValues<Fault>())
            Assert.False(X25519.Works(new X25519Implementation("faulty", key => new Faulty(key, fault))), fault.ToString());
    }

    private static X25519Implementation Working(string name)
    {
        X25519Implementation implementation = X25519.All.Single(implementation => implementation.Name == name);
        Assert.SkipUnless(X25519.Works(implementation), $"This machine has no X25519 by {name}.");
        return implementation;
    }

    private static byte[] Hex(string text) => Convert.FromHexString(text);

    private enum Fault
    {
        WrongPublicKey,
        WrongSecret,
        Refuses,
        TakesLowOrder,
    }

    private sealed class Faulty(ReadOnlySpan<byte> privateKey, Fault fault) : X25519Secret
    {
        private readonly BouncyCastleX25519 _secret = new(privateKey);

        public override void DerivePublicKey(Span<byte> publicKey)
        {
            _secret.DerivePublicKey(publicKey);
            publicKey[31] ^= fault == Fault.WrongPublicKey ? (byte)1 : (byte)0;
        }

        public override bool TryAgree(ReadOnlySpan<byte> publicKey, Span<byte> sharedSecret)
        {
            bool agreed = _secret.TryAgree(publicKey, sharedSecret);
            sharedSecret[0] ^= fault == Fault.WrongSecret ? (byte)1 : (byte)0;
            return fault switch { Fault.Refuses => false, Fault.TakesLowOrder => true, _ => agreed };
        }

        public override void Dispose() => _secret.Dispose();
    }
}
