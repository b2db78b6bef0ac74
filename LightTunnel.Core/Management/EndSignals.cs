using System.Globalization;
using System.Runtime.InteropServices;

namespace LightTunnel.Management;

/// <summary>
/// SIGTERM (a service is stopped, the machine shuts down) and SIGHUP (the terminal or console is closed): .NET raises no ProcessExit for
/// them, so tunnels are stopped here. Then the signal has the effect that it would have had: a shell sees 128+n. Who else handles it in
/// this process and cancels that is respected, and SIGINT is left alone: it is for the pipeline.
/// </summary>
internal sealed class EndSignals
{
    private readonly Action _stop;
    private readonly List<PosixSignalRegistration> _registrations = [];

    private EndSignals(Action stop) => _stop = stop;

    /// <summary>True once one of the signals has come: the process is about to end.</summary>
    public bool HasCome { get; private set; }

    /// <summary>Has the tunnels stopped before one of the signals ends this process, for as long as the result lives.</summary>
    /// <param name="stop">Stops everything, within a short time; called on a thread of its own.</param>
    public static EndSignals Watch(Action stop)
    {
        var signals = new EndSignals(stop);
        foreach ((PosixSignal signal, int number) in (ReadOnlySpan<(PosixSignal, int)>)[(PosixSignal.SIGHUP, 1), (PosixSignal.SIGTERM, 15)])
        {
            if (!IsIgnored(number))
                signals._registrations.Add(PosixSignalRegistration.Create(signal, context => signals.OnSignal(context, number)));
        }

        return signals;
    }

    /// <summary>
    /// A process that was started so that a signal means nothing to it (nohup) is not ended by it, and its tunnels live on.
    /// </summary>
    /// <param name="number">The signal's number.</param>
    /// <param name="status">Lines of /proc/self/status.</param>
    internal static bool IsIgnored(int number, IEnumerable<string> status)
    {
        const string Key = "SigIgn:";
        return status.FirstOrDefault(line => line.StartsWith(Key, StringComparison.Ordinal)) is { } ignored
            && ulong.TryParse(ignored.AsSpan(Key.Length).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong mask)
            && (mask >> (number - 1) & 1) != 0;
    }

    private static bool IsIgnored(int number)
    {
        try
        {
            return OperatingSystem.IsLinux() && IsIgnored(number, File.ReadLines("/proc/self/status"));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private void OnSignal(PosixSignalContext context, int number)
    {
        HasCome = true;
        _stop();

        // The first process of a container has no default actions: the kernel would drop the signal.
        if (!context.Cancel && !OperatingSystem.IsWindows() && Environment.ProcessId == 1)
            Environment.Exit(128 + number);
    }
}
