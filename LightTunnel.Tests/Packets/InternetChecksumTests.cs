using System.Buffers.Binary;
using FsCheck.Xunit;
using LightTunnel.Packets;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Packets;

public sealed class InternetChecksumTests
{
    /// <summary>The worked example of RFC 1071 section 3.</summary>
    [Fact]
    public void Sum_Rfc1071Example_IsDdf2() =>
        Assert.Equal(0xDDF2u, InternetChecksum.Sum([0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7]));

    [Fact]
    public void Sum_EveryLengthAndAlignment_EqualsWordByWord()
    {
        var random = new Random(7);
        byte[] data = new byte[4096];
        random.NextBytes(data);
        data.AsSpan(1000, 500).Fill(0xFF); // Carries on every word.
        for (int length = 0; length < 300; length++)
        {
            for (int start = 0; start < 9; start++)
                Assert.Equal(Naive(data.AsSpan(start + 990, length)), InternetChecksum.Sum(data.AsSpan(start + 990, length)));
        }

        Assert.Equal(Naive(data), InternetChecksum.Sum(data));
        byte[] ones = new byte[65535];
        ones.AsSpan().Fill(0xFF);
        Assert.Equal(Naive(ones), InternetChecksum.Sum(ones));
    }

    [Property]
    public void Compute_ChecksumPutInPlace_Validates(byte[] data, uint seed)
    {
        byte[] message = [0, 0, .. data];
        uint initial = seed & 0xFFFFF;
        BinaryPrimitives.WriteUInt16BigEndian(message, InternetChecksum.Compute(message, initial));
        Assert.True(InternetChecksum.IsValid(message, initial));
        message[0] ^= 1;
        Assert.False(InternetChecksum.IsValid(message, initial));
    }

    [Fact]
    public void PseudoHeaderSum_BothFamilies_EqualsSumOfItsBytes()
    {
        Assert.Equal(
            Naive([10, 0, 0, 1, 10, 0, 0, 2, 0, 17, 0x12, 0x34]),
            Fold(InternetChecksum.PseudoHeaderSum(Address("10.0.0.1"), Address("10.0.0.2"), 17, 0x1234)));
        byte[] v6 = new byte[40];
        Address("fd00::1").WriteTo(v6);
        Address("fd00:ffff::2").WriteTo(v6.AsSpan(16));
        BinaryPrimitives.WriteUInt32BigEndian(v6.AsSpan(32), 0x12345);
        v6[39] = 58;
        Assert.Equal(Naive(v6), Fold(InternetChecksum.PseudoHeaderSum(Address("fd00::1"), Address("fd00:ffff::2"), 58, 0x12345)));
    }

    private static uint Naive(ReadOnlySpan<byte> data)
    {
        uint sum = 0;
        for (int i = 0; i < data.Length; i++)
            sum = Fold(sum + (i % 2 == 0 ? (uint)data[i] << 8 : data[i]));
        return sum;
    }

    private static uint Fold(uint sum)
    {
        while (sum > 0xFFFF)
            sum = (sum & 0xFFFF) + (sum >> 16);
        return sum;
    }
}
