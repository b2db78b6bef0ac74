using System.Buffers.Binary;
using System.Buffers.Text;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Formats.Cbor;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Membership.Cbor;
using LightTunnel.Membership.Signing;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>
/// Everything that a machine needs to join a network, as one line of text: "lt1:" and base64url of [length of the CBOR (u16) | CBOR | first
/// 4 bytes of the CBOR's SHA-256]. Length and digest tell text that was cut short from text that was mistyped; they are no protection
/// against an author. The text holds the network's key and a secret of its own: who has it may join, as long as the server says so.
/// </summary>
internal sealed record Invitation : ICborRecord<Invitation>
{
    /// <summary>Most server endpoints.</summary>
    public const int MaximumEndpoints = 16;

    /// <summary>Longest text that is looked at, characters.</summary>
    private const int MaximumTextLength = 16_384;

    private const string Scheme = "lt";
    private const string Prefix = "lt1:";
    private const int LengthSize = 2;
    private const int DigestSize = 4;
    private const string NewerVersion = "The invitation is of a newer version of LightTunnel than this one.";
    private const string Update = "Install a newer version of LightTunnel on this machine.";
    private const string AskAgain = "Ask for the invitation again, or copy it once more, whole: one line that begins with lt1:.";

    private static readonly CborKind<ServerEndpoint> EndpointKind = new HostAndPort();

    private static readonly CborKind<IpPrefix> PrefixKind = new CborConverted<InterfaceAddress, IpPrefix>(
        FieldKinds.InterfaceAddress,
        static prefix => new InterfaceAddress(prefix.Network, prefix.Length),
        static address => address.Prefix);

    /// <summary>Where the server is reached, in order of preference; 1 to <see cref="MaximumEndpoints"/>.</summary>
    public required IReadOnlyList<ServerEndpoint> Endpoints { get; init; }

    public required PublicKey ServerKey { get; init; }

    [DebuggerBrowsable(DebuggerBrowsableState.Never)]
    public required PresharedKey NetworkKey { get; init; }

    public required string NetworkName { get; init; }

    /// <summary>The network's prefixes, 1 or 2.</summary>
    public required IReadOnlyList<IpPrefix> Prefixes { get; init; }

    /// <summary>When the invitation ends, to the second; null for never.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <summary>Its own secret, which the server asks of who is no member yet; null in one of an earlier version.</summary>
    [DebuggerBrowsable(DebuggerBrowsableState.Never)]
    public InvitationToken? Token { get; init; }

    /// <summary>The signing keys of the network, whose members the newcomer is to take; none where members are not signed.</summary>
    public IReadOnlyList<SigningPublicKey> SigningKeys { get; init; } = [];

    /// <inheritdoc/>
    public static Invitation Exchange(CborFields<Invitation> fields) => new()
    {
        Endpoints = fields.Required(1, "endpoints", m => m.Endpoints, FieldKinds.Array(EndpointKind, 1, MaximumEndpoints)),
        ServerKey = fields.Required(2, "server's key", m => m.ServerKey, FieldKinds.Key),
        NetworkKey = fields.Required(3, "network's key", m => m.NetworkKey, FieldKinds.PresharedKey),
        NetworkName = fields.Required(4, "network name", m => m.NetworkName, FieldKinds.Name),
        Prefixes = fields.Required(5, "prefixes", m => m.Prefixes, FieldKinds.Array(PrefixKind, 1, ControlMessage.MaximumAddresses)),
        Expires = fields.Optional(6, "expiry", m => m.Expires, FieldKinds.OrNone(FieldKinds.Seconds)),
        Token = fields.Optional(7, "secret", m => m.Token, InvitationToken.Kind),
        SigningKeys = fields.Optional(
            // One that this version cannot read must not look like none.
            10, "signing keys", m => m.SigningKeys, FieldKinds.Array(SigningPublicKey.Kind, 0, SigningPublicKey.MaximumCount)),
    };

    /// <summary>The one line to send: a secret.</summary>
    /// <exception cref="ArgumentException">A part is out of its bounds.</exception>
    public string Reveal()
    {
        byte[] encoded = CborRecord.Encode(this);
        byte[] bytes = new byte[LengthSize + encoded.Length + DigestSize];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, (ushort)encoded.Length);
        encoded.CopyTo(bytes, LengthSize);
        SHA256.HashData(encoded).AsSpan(0, DigestSize).CopyTo(bytes.AsSpan(LengthSize + encoded.Length));
        string text = Prefix + Base64Url.EncodeToString(bytes);
        CryptographicOperations.ZeroMemory(encoded);
        CryptographicOperations.ZeroMemory(bytes);
        return text;
    }

    /// <summary>
    /// Reads an invitation; line breaks, spaces, quotes and marks of quotation that mail programs and shells add do not matter, nor do
    /// lines of comment, which begin with "#".
    /// </summary>
    /// <param name="text">What was received.</param>
    /// <param name="now">The current time, for the expiry.</param>
    /// <param name="invitation">The invitation when true.</param>
    /// <param name="error">InvalidInvitation or InvitationExpired when false; says nothing of the content but its expiry.</param>
    public static bool TryParse(
        string? text, DateTimeOffset now, [NotNullWhen(true)] out Invitation? invitation,
        [NotNullWhen(false)] out LightTunnelException? error)
    {
        invitation = null;
        string? problem = Read(text, out Invitation? read);
        if (problem is not null)
        {
            error = new LightTunnelException(LightTunnelError.InvalidInvitation, problem, problem == NewerVersion ? Update : AskAgain);
            return false;
        }

        if (read!.Expires is { } expires && expires <= now)
        {
            string when = expires.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss 'UTC'", CultureInfo.InvariantCulture);
            error = new LightTunnelException(
                LightTunnelError.InvitationExpired,
                $"The invitation to {read.NetworkName} expired at {when}.",
                "Ask for a new invitation; if it should still be valid, check this machine's clock.") { Target = expires };
            return false;
        }

        invitation = read;
        error = null;
        return true;
    }

    /// <summary>Reads an invitation.</summary>
    /// <exception cref="LightTunnelException">InvalidInvitation or InvitationExpired.</exception>
    public static Invitation Parse(string? text, DateTimeOffset now) =>
        TryParse(text, now, out Invitation? invitation, out LightTunnelException? error) ? invitation : throw error;

    /// <summary>Never the secret.</summary>
    public override string ToString() => $"(invitation to {NetworkName})";

    /// <summary>Returns what is wrong with the text, or null.</summary>
    private static string? Read(string? text, out Invitation? invitation)
    {
        invitation = null;
        if (string.IsNullOrWhiteSpace(text))
            return "The invitation is empty.";
        if (text.Length > MaximumTextLength)
            return "The text is too long to be an invitation.";
        string line = OneLine(text);
        if (line.Length == 0)
            return "The invitation is empty.";
        int colon = line.IndexOf(':', StringComparison.Ordinal);
        if (!line.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) || colon < 0)
        {
            return Scheme.StartsWith(line, StringComparison.OrdinalIgnoreCase)
                || Prefix.StartsWith(line, StringComparison.OrdinalIgnoreCase)
                ? "The invitation is cut short."
                : "The text is not an invitation: it does not begin with lt1:.";
        }

        if (!line.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
        {
            ReadOnlySpan<char> number = line.AsSpan(Scheme.Length, colon - Scheme.Length);
            return int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int version) && version > 1
                ? NewerVersion
                : "The text is not an invitation: it does not begin with lt1:.";
        }

        ReadOnlySpan<char> body = line.AsSpan(Prefix.Length).TrimEnd('=');
        foreach (char character in body)
        {
            if (!char.IsAsciiLetterOrDigit(character) && character is not ('-' or '_'))
                return "The invitation is mistyped: it has characters that no invitation has.";
        }

        // Filled up to whole groups of four, as the decoder refuses a text whose end is cut off in the middle of a byte.
        byte[] bytes = Base64Url.DecodeFromChars(body.ToString().PadRight((body.Length + 3) & ~3, 'A'));
        int length = body.Length * 6 / 8;
        string? problem = ReadBytes(bytes.AsMemory(0, length), out invitation);
        if (problem is null && bytes.AsSpan(length).ContainsAnyExcept((byte)0))
            problem = "The invitation is mistyped: its last character is wrong.";
        CryptographicOperations.ZeroMemory(bytes);
        return problem;
    }

    /// <summary>All lines but comments, without what was added.</summary>
    private static string OneLine(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (string each in text.Split('\n', '\r'))
        {
            string line = string.Concat(each.Where(character => !char.IsWhiteSpace(character) && !IsInvisible(character))).TrimStart('>');
            if (!line.StartsWith('#'))
                result.Append(line);
        }

        return result.ToString().Trim('"', '\'', '<', '>', '`');
    }

    private static string? ReadBytes(ReadOnlyMemory<byte> bytes, out Invitation? invitation)
    {
        invitation = null;
        if (bytes.Length < LengthSize)
            return "The invitation is cut short.";
        int length = BinaryPrimitives.ReadUInt16BigEndian(bytes.Span);
        int expected = LengthSize + length + DigestSize;
        if (bytes.Length < expected)
            return "The invitation is cut short, or mistyped at its beginning.";
        ReadOnlyMemory<byte> encoded = bytes.Slice(LengthSize, length);
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(encoded.Span, digest);
        if (bytes.Length > expected || !digest[..DigestSize].SequenceEqual(bytes.Span[(LengthSize + length)..]))
            return "The invitation is mistyped: its check digits do not match.";
        return CborMap.TryRead(encoded, out CborMap? map) && CborRecord.TryRead(map, out invitation)
            ? null
            : "The invitation's content is damaged.";
    }

    /// <summary>Zero-width characters and soft hyphens, which web mail likes to add.</summary>
    private static bool IsInvisible(char character) => character is '\u00AD' or '\u200B' or '\u200C' or '\u200D' or '\u2060' or '\uFEFF';

    private sealed class HostAndPort : CborKind<ServerEndpoint>
    {
        private const int MaximumLength = 260;

        public override string Description => "host:port";

        public override bool TryRead(CborReader reader, out ServerEndpoint value)
        {
            string text = reader.ReadTextString();
            value = default;
            return text.Length <= MaximumLength && ServerEndpoint.TryParse(text, 0, out value);
        }

        public override void Write(CborWriter writer, ServerEndpoint value) => writer.WriteTextString(value.ToString());
    }
}
