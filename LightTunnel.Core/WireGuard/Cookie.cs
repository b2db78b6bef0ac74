using System.Buffers.Binary;
using System.Security.Cryptography;
using LightTunnel.Addressing;
using LightTunnel.Timing;
using LightTunnel.WireGuard.Ciphers;
using LightTunnel.WireGuard.Noise;

namespace LightTunnel.WireGuard;

/// <summary>
/// The receiver's half of WireGuard's denial-of-service protection (paper sections 5.3 and 5.4.7): checks macs, hands out cookies.
/// </summary>
internal sealed class CookieChecker : IDisposable
{
    /// <summary>The secret behind the cookies is replaced this often.</summary>
    public static readonly TimeSpan SecretLifetime = TimeSpan.FromSeconds(120);

    private readonly TimeProvider _time;
    private readonly byte[] _mac1Key = new byte[Blake2s.HashSize];
    private readonly byte[] _cookieKey = new byte[Blake2s.HashSize];
    private readonly byte[] _secret = GC.AllocateArray<byte>(Blake2s.HashSize, pinned: true);
    private Timestamp _secretCreated;

    /// <param name="identity">This node's public key: senders must know it.</param>
    /// <param name="time">For the secret's age.</param>
    public CookieChecker(in PublicKey identity, TimeProvider time)
    {
        _time = time;
        CookieKeys.Derive(identity, _mac1Key, _cookieKey);
    }

    /// <summary>True when the sender knows this node's public key.</summary>
    public bool CheckMac1(ReadOnlySpan<byte> message)
    {
        Span<byte> mac = stackalloc byte[Messages.MacSize];
        Blake2s.Mac(mac, _mac1Key, message[..^(2 * Messages.MacSize)]);
        return CryptographicOperations.FixedTimeEquals(mac, message[^(2 * Messages.MacSize)..^Messages.MacSize]);
    }

    /// <summary>True when the sender has got our cookie at that source address, so the address is its own.</summary>
    public bool CheckMac2(ReadOnlySpan<byte> message, in PathAddress source)
    {
        // A new secret: nobody can have a cookie made with it.
        if (_time.Now() - _secretCreated >= SecretLifetime)
            return false;
        Span<byte> cookie = stackalloc byte[Messages.CookieSize];
        WriteCookie(cookie, source);
        Span<byte> mac = stackalloc byte[Messages.MacSize];
        Blake2s.Mac(mac, cookie, message[..^Messages.MacSize]);
        return CryptographicOperations.FixedTimeEquals(mac, message[^Messages.MacSize..]);
    }

    /// <summary>Writes the cookie reply (64 bytes) to a message whose mac1 was good.</summary>
    public void WriteReply(ReadOnlySpan<byte> message, in PathAddress source, Span<byte> reply)
    {
        if (_time.Now() - _secretCreated >= SecretLifetime)
        {
            RandomNumberGenerator.Fill(_secret);
            _secretCreated = _time.Now();
        }

        Span<byte> cookie = stackalloc byte[Messages.CookieSize];
        WriteCookie(cookie, source);
        BinaryPrimitives.WriteUInt32LittleEndian(reply, Messages.CookieReplyType);
        BinaryPrimitives.WriteUInt32LittleEndian(reply[4..], Messages.FirstIndex(message));
        Span<byte> nonce = reply.Slice(Messages.CookieNonceOffset, Messages.CookieNonceSize);
        RandomNumberGenerator.Fill(nonce);
        XChaChaPoly.Seal(
            _cookieKey, nonce, message[^(2 * Messages.MacSize)..^Messages.MacSize], cookie,
            reply[(Messages.CookieNonceOffset + Messages.CookieNonceSize)..]);
    }

    /// <summary>Zeroes the secret.</summary>
    public void Dispose() => CryptographicOperations.ZeroMemory(_secret);

    private void WriteCookie(Span<byte> cookie, in PathAddress source)
    {
        Span<byte> address = stackalloc byte[16 + 2 + 4 + 4];
        BinaryPrimitives.WriteUInt128BigEndian(address, source.Endpoint.MappedAddress);
        BinaryPrimitives.WriteUInt16BigEndian(address[16..], source.Endpoint.Port);
        BinaryPrimitives.WriteUInt32BigEndian(address[18..], source.Endpoint.ScopeId);
        BinaryPrimitives.WriteUInt32BigEndian(address[22..], source.RelayedMember);
        Blake2s.Mac(cookie, _secret, address);
    }
}

/// <summary>The sender's half, one per link: writes mac1 and mac2, and keeps the cookie that a loaded peer gave.</summary>
internal sealed class CookieJar
{
    /// <summary>A cookie is used a little shorter than the peer's secret lives, for the time messages travel.</summary>
    public static readonly TimeSpan CookieLifetime = CookieChecker.SecretLifetime - TimeSpan.FromSeconds(5);

    private readonly TimeProvider _time;
    private readonly byte[] _mac1Key = new byte[Blake2s.HashSize];
    private readonly byte[] _cookieKey = new byte[Blake2s.HashSize];
    private readonly byte[] _lastMac1 = new byte[Messages.MacSize];
    private readonly byte[] _cookie = new byte[Messages.CookieSize];
    private bool _hasSent;
    private Timestamp _cookieReceived;

    /// <param name="peer">The peer's public key.</param>
    /// <param name="time">For the cookie's age.</param>
    public CookieJar(in PublicKey peer, TimeProvider time)
    {
        _time = time;
        CookieKeys.Derive(peer, _mac1Key, _cookieKey);
    }

    /// <summary>Writes the last 32 bytes of an initiation or response: mac1, and mac2 when there is a cookie.</summary>
    public void Sign(Span<byte> message)
    {
        Span<byte> mac1 = message[^(2 * Messages.MacSize)..^Messages.MacSize];
        Span<byte> mac2 = message[^Messages.MacSize..];
        Blake2s.Mac(mac1, _mac1Key, message[..^(2 * Messages.MacSize)]);
        mac1.CopyTo(_lastMac1);
        _hasSent = true;
        if (_time.Now() - _cookieReceived < CookieLifetime)
            Blake2s.Mac(mac2, _cookie, message[..^Messages.MacSize]);
        else
            mac2.Clear();
    }

    /// <summary>
    /// Takes the cookie from a reply to the message that was signed last; false for a forgery or an answer to an older one.
    /// </summary>
    public bool TryTakeReply(ReadOnlySpan<byte> reply)
    {
        Span<byte> cookie = stackalloc byte[Messages.CookieSize];
        if (!_hasSent || !XChaChaPoly.TryOpen(
                _cookieKey,
                reply.Slice(Messages.CookieNonceOffset, Messages.CookieNonceSize),
                _lastMac1,
                reply[(Messages.CookieNonceOffset + Messages.CookieNonceSize)..],
                cookie))
        {
            return false;
        }

        cookie.CopyTo(_cookie);
        _cookieReceived = _time.Now();
        // One reply per message: a recorded one is worth nothing.
        _hasSent = false;
        return true;
    }
}

internal static class CookieKeys
{
    /// <summary>The keys of mac1 and of cookie encryption that follow from the receiver's public key.</summary>
    public static void Derive(in PublicKey receiver, Span<byte> mac1Key, Span<byte> cookieKey)
    {
        Blake2s.Hash(mac1Key, "mac1----"u8, receiver.Bytes);
        Blake2s.Hash(cookieKey, "cookie--"u8, receiver.Bytes);
    }
}
