using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using LightTunnel.Lab.Namespaces;

namespace LightTunnel.Lab.Demo;

/// <summary>Sends random bytes from one host to another over TCP and compares checksums.</summary>
internal static class TcpTransfer
{
    /// <summary>What was transferred, how long it took, and whether the same bytes arrived.</summary>
    internal sealed record Result(int Length, TimeSpan Duration, bool IsIntact);

    /// <summary>Sends from a host to an address of another.</summary>
    /// <exception cref="SocketException">The connection could not be made, or broke.</exception>
    public static async Task<Result> RunAsync(LabHost from, LabHost to, IPAddress address, int length, CancellationToken cancellationToken)
    {
        byte[] data = RandomNumberGenerator.GetBytes(length);
        using Socket listener = Listen(to, address);
        using Socket client = Open(from, address.AddressFamily);
        Task<byte[]> receiving = ReceiveAsync(listener, cancellationToken);

        long started = Stopwatch.GetTimestamp();
        await client.ConnectAsync(listener.LocalEndPoint!, cancellationToken).ConfigureAwait(false);
        for (int sent = 0; sent < data.Length;)
            sent += await client.SendAsync(data.AsMemory(sent), cancellationToken).ConfigureAwait(false);
        client.Shutdown(SocketShutdown.Send);
        byte[] checksum = await receiving.ConfigureAwait(false);
        return new Result(length, Stopwatch.GetElapsedTime(started), SHA256.HashData(data).AsSpan().SequenceEqual(checksum));
    }

    /// <summary>A socket that listens on a host, on a port of the system's choice unless one is given.</summary>
    public static Socket Listen(LabHost host, IPAddress address, int port = 0) => NetworkNamespace.Run(host.Namespace, () =>
    {
        var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(address, port));
        listener.Listen();
        return listener;
    });

    /// <summary>A socket on a host, not connected yet.</summary>
    public static Socket Open(LabHost host, AddressFamily family) => NetworkNamespace.Run(
        host.Namespace, () => new Socket(family, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true });

    private static async Task<byte[]> ReceiveAsync(Socket listener, CancellationToken cancellationToken)
    {
        using Socket connection = await listener.AcceptAsync(cancellationToken).ConfigureAwait(false);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[64 * 1024];
        int length;
        while ((length = await connection.ReceiveAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
            hash.AppendData(buffer, 0, length);
        return hash.GetHashAndReset();
    }
}
