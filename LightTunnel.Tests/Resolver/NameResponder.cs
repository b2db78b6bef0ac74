using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace LightTunnel.Tests.Resolver;

/// <summary>
/// Answers questions for names of a suffix with an address, and others as is said: a nameserver of a few lines (RFC 1035), which remembers
/// what it was asked.
/// </summary>
internal sealed class NameResponder : IDisposable
{
    /// <summary>RCODEs: there is no such name; I do not answer that.</summary>
    public const int NoSuchName = 3, Refused = 5;

    private readonly UdpClient _socket;
    private readonly ConcurrentQueue<string> _asked = new();

    /// <param name="at">Where it answers, at port 53.</param>
    /// <param name="suffix">The names that it answers, "office.lt"; empty for all.</param>
    /// <param name="address">The IPv4 address of all of them.</param>
    /// <param name="otherwise">The RCODE for others.</param>
    public NameResponder(string at, string suffix, string address, int otherwise)
    {
        _socket = new UdpClient(new IPEndPoint(IPAddress.Parse(at), 53));
        new Thread(() => Answer(suffix, IPAddress.Parse(address), otherwise)) { IsBackground = true }.Start();
    }

    /// <summary>The names that it was asked for since it was asked the last time.</summary>
    public string[] TakeAsked()
    {
        var asked = new List<string>();
        while (_asked.TryDequeue(out string? name))
            asked.Add(name);
        return [.. asked.Distinct().Order()];
    }

    public void Dispose() => _socket.Dispose();

    private void Answer(string suffix, IPAddress address, int otherwise)
    {
        try
        {
            while (true)
            {
                IPEndPoint? from = null;
                byte[] query = _socket.Receive(ref from);
                if (query.Length > 16)
                    _socket.Send(Answer(query, suffix, address, otherwise), from);
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Disposed of.
        }
    }

    private byte[] Answer(byte[] query, string suffix, IPAddress address, int otherwise)
    {
        int end = 12;
        var name = new StringBuilder();
        for (; query[end] != 0; end += query[end] + 1)
            name.Append(Encoding.ASCII.GetString(query, end + 1, query[end])).Append('.');
        end += 5;
        bool isAddress = BinaryPrimitives.ReadUInt16BigEndian(query.AsSpan(end - 4)) == 1;
        string asked = name.ToString().TrimEnd('.').ToLowerInvariant();
        _asked.Enqueue(asked);
        bool isKnown = suffix.Length == 0 || asked.EndsWith("." + suffix, StringComparison.Ordinal);
        byte code = (byte)(0x80 | (isKnown ? 0 : otherwise)), answers = isKnown && isAddress ? (byte)1 : (byte)0;
        byte[] header = [query[0], query[1], 0x81, code, 0, 1, 0, answers, 0, 0, 0, 0];
        byte[] answer = isKnown && isAddress ? [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, .. address.GetAddressBytes()] : [];
        return [.. header, .. query[12..end], .. answer];
    }
}
