namespace LightTunnel.Tests.WireGuard;

/// <summary>The published vectors of ChaCha20, Poly1305 and both together: the resource's first lines say what a line holds.</summary>
internal static class ChaCha20Poly1305Vectors
{
    /// <summary>The fields of each vector of a kind, after the kind.</summary>
    public static IEnumerable<string[]> Of(string kind)
    {
        using Stream stream = typeof(ChaCha20Poly1305Vectors).Assembly.GetManifestResourceStream("ChaCha20Poly1305Vectors.txt")!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is string line)
        {
            string[] fields = line.Split(' ');
            if (fields[0] == kind)
                yield return fields[1..];
        }
    }

    /// <summary>The bytes of a field.</summary>
    public static byte[] Bytes(string field) => field == "-" ? [] : Convert.FromHexString(field);
}
