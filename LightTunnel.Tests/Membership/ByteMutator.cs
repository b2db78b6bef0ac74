namespace LightTunnel.Tests.Membership;

/// <summary>Makes broken variants of good input, the same ones for the same seed.</summary>
internal sealed class ByteMutator(int seed)
{
    private readonly Random _random = new(seed);

    public byte[] Mutate(ReadOnlySpan<byte> input)
    {
        var bytes = new List<byte>(input.ToArray());
        int changes = _random.Next(1, 5);
        for (int i = 0; i < changes; i++)
        {
            int at = _random.Next(bytes.Count + 1);
            switch (_random.Next(6))
            {
                case 0 when at < bytes.Count: bytes[at] ^= (byte)(1 << _random.Next(8)); break;
                case 1 when at < bytes.Count: bytes[at] = (byte)_random.Next(256); break;
                case 2 when at < bytes.Count: bytes.RemoveRange(at, Math.Min(_random.Next(1, 9), bytes.Count - at)); break;
                case 3: bytes.InsertRange(at, Random(_random.Next(1, 9))); break;
                case 4: bytes.RemoveRange(at, bytes.Count - at); break;
                default:
                    int length = Math.Min(_random.Next(1, 40), bytes.Count - at);
                    bytes.InsertRange(_random.Next(bytes.Count + 1), bytes.GetRange(at, length));
                    break;
            }
        }

        return [.. bytes];
    }

    public byte[] Random(int length)
    {
        byte[] bytes = new byte[length];
        _random.NextBytes(bytes);
        return bytes;
    }
}
