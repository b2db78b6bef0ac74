using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LightTunnel.Diagnostics;

namespace LightTunnel.Tun;

/// <summary>
/// What Wintun has to say, in the logs of the tunnels of this process: it has one logger for all of them, which stays as long as the
/// library does, and does not say of which adapter it speaks. A tunnel's log hears it from <see cref="Listen"/> until that is disposed of.
/// </summary>
/// <remarks>All lines count as one kind about one thing, so that a driver in trouble does not push the others out of a log.</remarks>
internal static unsafe class WintunLog
{
    /// <summary>Characters of a message that are kept.</summary>
    internal const int LongestMessage = 400;

    private static readonly Lock Gate = new();
    private static volatile TunnelLog[] s_listening = [];

    /// <summary>WINTUN_LOGGER_CALLBACK (wintun.h), which the library calls on any thread, several at a time.</summary>
    internal static delegate* unmanaged[Stdcall]<int, ulong, char*, void> Callback => &OnMessage;

    /// <summary>Writes to a log what is said from now on, until what is returned is disposed of; no call is under way then.</summary>
    public static IDisposable Listen(TunnelLog log)
    {
        lock (Gate)
            s_listening = [.. s_listening, log];
        return new Listening(log);
    }

    /// <summary>WINTUN_LOGGER_LEVEL: 0 informational, 1 a warning, 2 an error.</summary>
    internal static LogLevel ToLevel(int level) => level switch
    {
        <= 0 => LogLevel.Information,
        1 => LogLevel.Warning,
        _ => LogLevel.Error,
    };

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvStdcall)])]
    private static void OnMessage(int level, ulong time, char* message)
    {
        try
        {
            ReadOnlySpan<char> text = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(message);
            string kept = text.Length > LongestMessage ? $"{text[..LongestMessage]}…" : text.ToString();
            lock (Gate)
            {
                foreach (TunnelLog log in s_listening)
                    log.Write(ToLevel(level), null, "{Source}: {Message}", "Wintun", kept);
            }
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            // The caller is no .NET code: an exception would end the process.
        }
    }

    private sealed class Listening(TunnelLog log) : IDisposable
    {
        public void Dispose()
        {
            lock (Gate)
                s_listening = [.. s_listening.Where(one => one != log)];
        }
    }
}
