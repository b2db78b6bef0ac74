using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using LightTunnel.Addressing;
using LightTunnel.Forwarding;
using LightTunnel.Transport;

namespace LightTunnel.Engine.Client;

/// <summary>
/// Looks the server's name up where the system cannot: while all of this machine's questions for names go through the tunnel whose server
/// is looked for, or its kill switch keeps them in. Asks the machine's resolvers itself (RFC 1035), by datagrams that are marked as the
/// tunnel's own; nobody asks so for any other name.
/// </summary>
internal static class DirectNameLookup
{
    private const int Port = 53, HeaderLength = 12, LongestName = 253, LongestLabel = 63, LongestAnswer = 1232;
    private const int MaximumAddresses = 16;
    private const ushort TypeA = 1, TypeAaaa = 28, ClassInternet = 1, RecursionDesired = 0x0100, IsResponse = 0x8000, ErrorMask = 0x000F;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>The addresses that one of the resolvers tells; none when none does.</summary>
    /// <param name="host">The name.</param>
    /// <param name="resolvers">Whom to ask; null for this machine's resolvers.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<IReadOnlyList<IPAddress>> AskAsync(
        string host, IReadOnlyList<TunnelAddress>? resolvers, CancellationToken cancellationToken)
    {
        foreach (TunnelAddress resolver in resolvers ?? SystemResolvers.Find())
        {
            IReadOnlyList<IPAddress>[] found = await Task.WhenAll(
                AskAsync(host, TypeA, resolver, cancellationToken), AskAsync(host, TypeAaaa, resolver, cancellationToken))
                .ConfigureAwait(false);
            if (found.Any(addresses => addresses.Count > 0))
                return [.. found.SelectMany(addresses => addresses)];
        }

        return [];
    }

    /// <summary>A question for a name's addresses; null for what is no name.</summary>
    internal static byte[]? WriteQuestion(string host, ushort id, ushort type)
    {
        string name;
        try
        {
            name = new IdnMapping().GetAscii(host.TrimEnd('.'));
        }
        catch (ArgumentException)
        {
            return null;
        }

        string[] labels = name.Split('.');
        if (name.Length > LongestName || labels.Any(label => label.Length is 0 or > LongestLabel))
            return null;
        var question = new List<byte>(HeaderLength + name.Length + 6);
        Add(id);
        Add(RecursionDesired);
        Add(1);
        question.AddRange(stackalloc byte[6]);
        foreach (string label in labels)
        {
            question.Add((byte)label.Length);
            question.AddRange(Encoding.ASCII.GetBytes(label));
        }

        question.Add(0);
        Add(type);
        Add(ClassInternet);
        return [.. question];

        void Add(ushort value)
        {
            question.Add((byte)(value >> 8));
            question.Add((byte)value);
        }
    }

    /// <summary>
    /// The addresses in an answer to a question; none where it is no answer to it, or tells none. Any bytes are survived.
    /// </summary>
    internal static IReadOnlyList<IPAddress> ReadAnswer(ReadOnlySpan<byte> answer, ReadOnlySpan<byte> question)
    {
        if (answer.Length < question.Length || !answer[..2].SequenceEqual(question[..2]))
            return [];
        ushort flags = BinaryPrimitives.ReadUInt16BigEndian(answer[2..]);
        if ((flags & IsResponse) == 0 || (flags & ErrorMask) != 0 || BinaryPrimitives.ReadUInt16BigEndian(answer[4..]) != 1
            || !IsSameQuestion(answer[HeaderLength..question.Length], question[HeaderLength..]))
        {
            return [];
        }

        ushort type = BinaryPrimitives.ReadUInt16BigEndian(question[^4..]);
        int size = type == TypeA ? 4 : 16, records = BinaryPrimitives.ReadUInt16BigEndian(answer[6..]);
        var found = new List<IPAddress>();
        ReadOnlySpan<byte> rest = answer[question.Length..];
        for (int i = 0; i < records && found.Count < MaximumAddresses && TrySkipName(ref rest) && rest.Length >= 10; i++)
        {
            int length = BinaryPrimitives.ReadUInt16BigEndian(rest[8..]);
            if (rest.Length < 10 + length)
                break;
            if (BinaryPrimitives.ReadUInt16BigEndian(rest) == type && BinaryPrimitives.ReadUInt16BigEndian(rest[2..]) == ClassInternet
                && length == size)
            {
                found.Add(new IPAddress(rest.Slice(10, size)));
            }

            rest = rest[(10 + length)..];
        }

        return found;
    }

    private static bool IsSameQuestion(ReadOnlySpan<byte> told, ReadOnlySpan<byte> asked) =>
        Ascii.EqualsIgnoreCase(told[..^4], asked[..^4]) && told[^4..].SequenceEqual(asked[^4..]);

    /// <summary>Goes past a name, which may end in a pointer to another one (RFC 1035 section 4.1.4).</summary>
    private static bool TrySkipName(ref ReadOnlySpan<byte> rest)
    {
        while (rest.Length > 0)
        {
            int length = rest[0];
            int step = length >= 0xC0 ? 2 : length + 1;
            if (rest.Length < step)
                return false;
            rest = rest[step..];
            if (length is 0 or >= 0xC0)
                return true;
        }

        return false;
    }

    private static async Task<IReadOnlyList<IPAddress>> AskAsync(
        string host, ushort type, TunnelAddress resolver, CancellationToken cancellationToken)
    {
        byte[] id = RandomNumberGenerator.GetBytes(2);
        if (WriteQuestion(host, BinaryPrimitives.ReadUInt16BigEndian(id), type) is not { } question)
            return [];
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            IPAddress address = resolver.ToIPAddress();
            using var socket = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            TunnelMark.TrySet(socket);
            await socket.ConnectAsync(address, Port, patience.Token).ConfigureAwait(false);
            await socket.SendAsync(question, patience.Token).ConfigureAwait(false);
            byte[] buffer = new byte[LongestAnswer];
            int length = await socket.ReceiveAsync(buffer, patience.Token).ConfigureAwait(false);
            return ReadAnswer(buffer.AsSpan(0, length), question);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return []; // It does not answer.
        }
        catch (SocketException)
        {
            return [];
        }
    }
}
