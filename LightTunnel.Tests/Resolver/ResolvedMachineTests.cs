using System.Diagnostics;
using LightTunnel.Tests.Services;
using Xunit;

namespace LightTunnel.Tests.Resolver;

/// <summary>
/// A machine whose names are looked up by the real systemd-resolved, or resolvconf and dnsmasq. Their packages replace the resolver of the
/// machine that they are installed on, so they are only downloaded, and unpacked over the files of a machine in namespaces.
/// </summary>
public sealed class ResolvedMachineTests
{
    private static readonly string[] Packages =
        ["systemd-resolved", "resolvconf", "dnsmasq-base", "libnetfilter-conntrack3", "libnfnetlink0"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task TestsOfResolved_PassInsideTheMachine()
    {
        Prerequisites.SkipUnlessLaboratory();
        Assert.SkipUnless(File.Exists("/lib/systemd/system/dbus.service"), "needs the system's bus (Debian's package dbus).");
        await using SystemdMachine machine = await SystemdMachine.StartAsync(await UnpackAsync());
        await machine.ExecuteAsync("systemd-sysusers", "systemd-resolve.conf");
        await machine.ExecuteAsync("systemctl", "start", "dbus.service", "systemd-resolved.service");

        string tests = typeof(ResolvedMachineTests).Assembly.Location, process = Environment.ProcessPath!;
        string[] runner = Path.GetFileNameWithoutExtension(process) == "dotnet" ? [process, tests] : [process];
        string output = await machine.ExecuteAsync(
            [
                "env", $"{ResolvedTests.Permission}=1", .. runner, "-noColor", "-noLogo", "-explicit", "only",
                "-class", typeof(ResolvedTests).FullName!,
            ]);
        Assert.Matches("Total: [1-9][0-9]*, Errors: 0, Failed: 0, Skipped: 0, Not Run: 0", output);
    }

    /// <summary>The packages' files, in a folder that later runs find again.</summary>
    private static async Task<string> UnpackAsync()
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "resolver-packages");
        if (Directory.Exists(folder))
            return folder;
        string download = folder + ".new";
        if (Directory.Exists(download))
            Directory.Delete(download, recursive: true); // Of a run that was ended meanwhile.
        Directory.CreateDirectory(download);
        (int status, string said) = await RunAsync("apt-get", download, ["download", "-qq", .. Packages]);
        if (status != 0)
        {
            await RunAsync("apt-get", download, "update", "-qq");
            (status, said) = await RunAsync("apt-get", download, ["download", "-qq", .. Packages]);
        }

        Assert.SkipUnless(status == 0, $"needs Debian's packages of resolvers, which apt-get does not bring: {said}");
        string files = Path.Combine(download, "files");
        foreach (string package in Packages) // In this order: systemd-resolved has a program resolvconf, too, that knows links alone.
        {
            (status, said) = await RunAsync(
                "dpkg-deb", download, "--extract", Assert.Single(Directory.GetFiles(download, package + "_*.deb")), files);
            Assert.True(status == 0, said);
        }

        Directory.Move(files, folder);
        Directory.Delete(download, recursive: true);
        return folder;
    }

    private static async Task<(int Status, string Said)> RunAsync(string program, string folder, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardError = true, WorkingDirectory = folder };
        using Process process = Process.Start(start)!;
        string said = await process.StandardError.ReadToEndAsync(Token);
        await process.WaitForExitAsync(Token);
        return (process.ExitCode, said);
    }
}
