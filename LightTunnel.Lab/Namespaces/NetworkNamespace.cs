using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using LightTunnel.Transport;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Lab.Namespaces;

/// <summary>
/// Linux network namespaces by name, as <c>ip netns</c> keeps them under /run/netns. Creating and entering them needs root.
/// </summary>
internal static partial class NetworkNamespace
{
    private const string Folder = "/run/netns/";

    /// <summary>From linux/sched.h: the descriptor given to setns must be a network namespace.</summary>
    private const int CloneNewNet = 0x4000_0000;

    /// <summary>Creates the namespace and brings its loopback interface up.</summary>
    /// <exception cref="InvalidOperationException">The <c>ip</c> tool refused; the message says why.</exception>
    public static void Create(string name)
    {
        Ip("netns", "add", name);
        Ip("-n", name, "link", "set", "lo", "up");
    }

    /// <summary>Removes the namespace if it exists; interfaces in it go when the last process or socket leaves it.</summary>
    public static void Delete(string name)
    {
        if (File.Exists(Folder + name))
            Ip("netns", "delete", name);
    }

    /// <summary>
    /// Runs the body on a thread of its own inside the namespace and returns its result. What the body opens (sockets, devices)
    /// stays in that namespace for good, whichever thread uses it later; the calling thread never leaves its own.
    /// </summary>
    /// <exception cref="InvalidOperationException">There is no such namespace, or no privilege to enter it.</exception>
    public static T Run<T>(string name, Func<T> body)
    {
        ArgumentNullException.ThrowIfNull(body);
        T result = default!;
        ExceptionDispatchInfo? failure = null;
        // A thread that has entered a namespace must not serve anybody else afterwards, so never one of the pool's.
        var thread = new Thread(() =>
        {
            try
            {
                Enter(name);
                result = body();
            }
            catch (Exception exception)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }
        })
        { Name = "netns " + name, IsBackground = true };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result;
    }

    /// <summary>Runs the <c>ip</c> tool and returns what it printed.</summary>
    /// <exception cref="InvalidOperationException">It failed; the message has the command and what it complained about.</exception>
    public static string Ip(params string[] arguments) => Execute("ip", arguments);

    /// <summary>Runs a short command inside the namespace and returns what it printed.</summary>
    /// <exception cref="InvalidOperationException">It failed; the message has the command and what it complained about.</exception>
    public static string Execute(string name, string command, params string[] arguments) =>
        Execute("ip", ["netns", "exec", name, command, .. arguments]);

    private static string Execute(string command, string[] arguments)
    {
        var start = new ProcessStartInfo(command, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> complaint = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? output
            : throw new InvalidOperationException(
                $"'{command} {string.Join(' ', arguments)}' failed ({process.ExitCode}): {complaint.GetAwaiter().GetResult().Trim()}");
    }

    private static void Enter(string name)
    {
        if (!File.Exists(Folder + name))
            throw new InvalidOperationException($"There is no network namespace '{name}'.");
        // Not by the framework, which locks what it opens: a tunnel locks the namespace while it changes something of it.
        using var handle = new SafeFileHandle(LibC.Open(Folder + name, LibC.O_CLOEXEC), ownsHandle: true);
        if (SetNamespace(handle, CloneNewNet) != 0)
        {
            throw new InvalidOperationException(
                $"Network namespace '{name}' could not be entered: {Marshal.GetLastPInvokeErrorMessage()}.");
        }
    }

    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetNamespace(SafeFileHandle descriptor, int type);
}
