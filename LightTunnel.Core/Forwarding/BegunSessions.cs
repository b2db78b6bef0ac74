using System.Globalization;
using System.Net;
using System.Runtime.Versioning;

namespace LightTunnel.Forwarding;

/// <summary>A TCP connection that somebody else has begun to this machine.</summary>
/// <param name="Remote">Who has begun it, IPv4 in IPv6 as IPv4.</param>
/// <param name="LocalPort">The port here.</param>
/// <param name="RemotePort">The port there.</param>
internal readonly record struct BegunSession(IPAddress Remote, int LocalPort, int RemotePort);

/// <summary>
/// Connections that go on when a machine begins to go out by an exit node, such as the one in which an admin has just said so. A kernel
/// that had no reason to count connections until then does not know who began them: whoever has the port that is listened at was talked to.
/// </summary>
[SupportedOSPlatform("linux")]
internal static class BegunSessions
{
    /// <summary>More are not looked after.</summary>
    public const int MaximumCount = 4096;

    private const string Established = "01", Listening = "0A";

    /// <summary>Those of the calling thread's network namespace; none where the system does not tell.</summary>
    public static IReadOnlyList<BegunSession> Find() => Find(Read("/proc/thread-self/net/tcp").Concat(Read("/proc/thread-self/net/tcp6")));

    /// <summary>Those in the lines of proc_net_tcp: number, local and remote address, state.</summary>
    internal static IReadOnlyList<BegunSession> Find(IEnumerable<string> lines)
    {
        var listening = new HashSet<int>();
        var established = new List<BegunSession>();
        foreach (string line in lines)
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 4 || !TryReadEnd(words[1], out _, out int port))
                continue;
            if (words[3] == Listening)
            {
                listening.Add(port);
            }
            else if (words[3] == Established && TryReadEnd(words[2], out IPAddress? remote, out int remotePort)
                && !IPAddress.IsLoopback(remote!))
            {
                established.Add(new BegunSession(remote!, port, remotePort));
            }
        }

        return [.. established.Where(session => listening.Contains(session.LocalPort)).Distinct().Take(MaximumCount)];
    }

    /// <summary>"0100007F:0016": words of 32 bits in the machine's order, and a port.</summary>
    private static bool TryReadEnd(string text, out IPAddress? address, out int port)
    {
        (address, port) = (null, 0);
        string[] parts = text.Split(':');
        if (parts.Length != 2 || parts[0].Length is not (8 or 32)
            || !int.TryParse(parts[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out port))
        {
            return false;
        }

        byte[] bytes = new byte[parts[0].Length / 2];
        for (int word = 0; word < bytes.Length; word += 4)
        {
            if (!uint.TryParse(parts[0].AsSpan(word * 2, 8), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out uint value))
                return false;
            BitConverter.TryWriteBytes(bytes.AsSpan(word), value);
        }

        address = new IPAddress(bytes);
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        return true;
    }

    private static string[] Read(string path)
    {
        try
        {
            return File.ReadAllLines(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
