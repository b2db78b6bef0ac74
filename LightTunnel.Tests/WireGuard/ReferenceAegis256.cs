namespace LightTunnel.Tests.WireGuard;

/// <summary>
/// AEGIS-256 word for word after draft-irtf-cfrg-aegis-aead, byte by byte, and AES after FIPS 197 with a table: an oracle that
/// shares nothing with what links use.
/// </summary>
internal static class ReferenceAegis256
{
    private static readonly byte[] SBox = [.. Enumerable.Range(0, 256).Select(value => SubByte((byte)value))];
    private static readonly byte[] C0 = Convert.FromHexString("000101020305080d1522375990e97962");
    private static readonly byte[] C1 = Convert.FromHexString("db3d18556dc22ff12011314273b528dd");

    /// <summary>FIPS 197 section 5.1.1.</summary>
    public static byte SubByte(byte value)
    {
        int inverse = Enumerable.Range(0, 256).FirstOrDefault(other => Product(value, (byte)other) == 1);
        int result = 0x63;
        for (int i = 0; i < 5; i++)
            result ^= ((inverse << i) | (inverse >> (8 - i))) & 0xff;
        return (byte)result;
    }

    public static byte[] Seal(byte[] key, byte[] nonce, byte[] text)
    {
        byte[] low = Xor(key[..16], nonce[..16]), high = Xor(key[16..], nonce[16..]);
        byte[][] s = [low, high, C1, C0, Xor(key[..16], C0), Xor(key[16..], C1)];
        for (int i = 0; i < 4; i++)
        {
            Update(s, key[..16]);
            Update(s, key[16..]);
            Update(s, low);
            Update(s, high);
        }

        byte[] result = new byte[text.Length + 32];
        for (int i = 0; i < text.Length; i += 16)
        {
            byte[] block = new byte[16];
            int length = Math.Min(16, text.Length - i);
            Array.Copy(text, i, block, 0, length);
            byte[] keystream = Xor(s[1], s[4], s[5], [.. s[2].Zip(s[3], (left, right) => (byte)(left & right))]);
            Array.Copy(Xor(block, keystream), 0, result, i, length);
            Update(s, block);
        }

        byte[] lengths = [.. new byte[8], .. BitConverter.GetBytes((long)text.Length * 8)];
        byte[] last = Xor(s[3], lengths);
        for (int i = 0; i < 7; i++)
            Update(s, last);
        Xor(s[0], s[1], s[2]).CopyTo(result, text.Length);
        Xor(s[3], s[4], s[5]).CopyTo(result, text.Length + 16);
        return result;
    }

    private static void Update(byte[][] s, byte[] text)
    {
        byte[][] before = [.. s];
        s[0] = Round(before[5], Xor(before[0], text));
        for (int i = 1; i < 6; i++)
            s[i] = Round(before[i - 1], before[i]);
    }

    private static byte[] Round(byte[] block, byte[] key)
    {
        byte[] result = new byte[16];
        for (int column = 0; column < 4; column++)
        {
            for (int row = 0; row < 4; row++)
            {
                byte At(int further) => SBox[block[(4 * ((column + ((row + further) % 4)) % 4)) + ((row + further) % 4)]];
                result[(4 * column) + row] =
                    (byte)(Product(At(0), 2) ^ Product(At(1), 3) ^ At(2) ^ At(3) ^ key[(4 * column) + row]);
            }
        }

        return result;
    }

    private static byte Product(byte left, byte right)
    {
        int product = 0;
        for (int i = 7; i >= 0; i--)
        {
            product <<= 1;
            product ^= ((product >> 8) * 0x11b) ^ (((right >> i) & 1) * left);
        }

        return (byte)product;
    }

    private static byte[] Xor(params byte[][] blocks) =>
        [.. Enumerable.Range(0, 16).Select(i => blocks.Aggregate((byte)0, (sum, block) => (byte)(sum ^ block[i])))];
}
