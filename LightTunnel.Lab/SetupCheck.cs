using System.Diagnostics;
using System.Runtime.InteropServices;

namespace LightTunnel.Lab;

/// <summary>One thing that the laboratory needs.</summary>
/// <param name="What">What it is, for people.</param>
/// <param name="IsThere">Whether this machine has it.</param>
/// <param name="Remedy">What to do when it is not.</param>
/// <param name="Package">The Debian package that brings it, or null.</param>
internal sealed record Requirement(string What, bool IsThere, string Remedy, string? Package = null);

/// <summary>What the laboratory needs of a machine, what of that is missing, and how to get it.</summary>
internal static class SetupCheck
{
    /// <summary>Without these nothing works: root, the TUN device and the ip tool.</summary>
    public static IReadOnlyList<Requirement> Essentials() =>
    [
        new(
            "Linux", OperatingSystem.IsLinux(),
            "The laboratory is made of Linux network namespaces; run it on Linux, in a virtual machine or WSL 2."),
        new("root", Environment.IsPrivilegedProcess, "Run it as root, for example with sudo."),
        new("the TUN device /dev/net/tun", File.Exists("/dev/net/tun"),
            "Load it with 'modprobe tun'; in a container, start that with '--device /dev/net/tun --cap-add NET_ADMIN "
                + "--cap-add SYS_ADMIN'."),
        Program("ip", "iproute2"),
    ];

    /// <summary>What the demo needs besides.</summary>
    public static IReadOnlyList<Requirement> ForDemo() => [Program("ping", "iputils-ping")];

    /// <summary>What a gateway to a network behind it needs besides.</summary>
    public static IReadOnlyList<Requirement> ForGateway() => [Program("nft", "nftables")];

    /// <summary>What tests beside a real WireGuard need besides.</summary>
    public static IReadOnlyList<Requirement> ForInterop() => [Program("wireguard-go", "wireguard-go"), Program("wg", "wireguard-tools")];

    /// <summary>What the benchmarks need besides.</summary>
    public static IReadOnlyList<Requirement> ForBench(string wireGuardGo) =>
        [.. ForTraffic(), Program(wireGuardGo, "wireguard-go"), Program("wg", "wireguard-tools")];

    /// <summary>What measuring traffic needs besides.</summary>
    public static IReadOnlyList<Requirement> ForTraffic() =>
    [
        Program("ping", "iputils-ping"), Program("iperf3", "iperf3"), Program("ethtool", "ethtool"), Program("taskset", "util-linux"),
    ];

    /// <summary>What a Windows machine needs besides: Wine, and a compiler for what stands in for parts of Windows.</summary>
    public static IReadOnlyList<Requirement> ForWindows() =>
    [
        Program("ping", "iputils-ping"),
        new(
            "an x86-64 processor", RuntimeInformation.OSArchitecture == Architecture.X64,
            "Wine runs programs for the processor that there is, and the stand-ins are for this one."),
        new("Wine", Wine is not null, "Install it, on Debian with: apt-get install wine64", "wine64"),
        Program("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64-posix"),
    ];

    /// <summary>Wine's loader for 64-bit programs, or null. Debian's package has it where no PATH leads.</summary>
    public static string? Wine => FindProgram("/usr/lib/wine/wine64") ?? FindProgram("wine64");

    /// <exception cref="LabException">One of the <see cref="Essentials"/> is missing.</exception>
    public static void ThrowIfImpossible()
    {
        if (Essentials().FirstOrDefault(requirement => !requirement.IsThere) is { } missing)
            throw new LabException($"The laboratory needs {missing.What}, and it is missing.", missing.Remedy);
    }

    /// <summary>Installs the packages that are missing, when this is root on a Debian; says what it does on the given writer.</summary>
    /// <exception cref="LabException">Something is missing and cannot be installed.</exception>
    public static void Provide(IEnumerable<Requirement> requirements, TextWriter output)
    {
        Requirement[] missing = [.. requirements.Where(requirement => !requirement.IsThere)];
        if (missing.FirstOrDefault(requirement => requirement.Package is null) is { } hopeless)
            throw new LabException($"The laboratory needs {hopeless.What}, and it is missing.", hopeless.Remedy);
        if (missing.Length == 0)
            return;
        string[] packages = [.. missing.Select(requirement => requirement.Package!).Distinct()];
        if (!Environment.IsPrivilegedProcess || FindProgram("apt-get") is null)
            throw new LabException($"Missing: {string.Join(", ", missing.Select(requirement => requirement.What))}.", missing[0].Remedy);

        output.WriteLine($"Installing {string.Join(", ", packages)} ...");
        if (!AptGet(["install", "-y", "-q", "--no-install-recommends", .. packages]))
        {
            // A fresh container has no package lists yet.
            AptGet(["update", "-q"]);
            if (!AptGet(["install", "-y", "-q", "--no-install-recommends", .. packages]))
            {
                throw new LabException(
                    $"apt-get could not install {string.Join(", ", packages)}.", "Install them by hand, then try again.");
            }
        }
    }

    /// <summary>The full path of a program, or null.</summary>
    public static string? FindProgram(string name) => name.Contains('/', StringComparison.Ordinal)
        ? File.Exists(name) ? name : null
        : (Environment.GetEnvironmentVariable("PATH") ?? string.Empty).Split(':').Append("/usr/sbin").Append("/sbin")
            .Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    private static Requirement Program(string name, string package) =>
        new($"the program {name}", FindProgram(name) is not null, $"Install it, on Debian with: apt-get install {package}", package);

    private static bool AptGet(string[] arguments)
    {
        var start = new ProcessStartInfo("apt-get", arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DEBIAN_FRONTEND"] = "noninteractive";
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        errors.Wait();
        return process.ExitCode == 0;
    }
}
