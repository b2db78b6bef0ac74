using System.Diagnostics;
using LightTunnel.Tests.Services;
using Xunit;

namespace LightTunnel.Tests.Resolver;

/// <summary>
/// A machine whose names are looked up by the real systemd-resolved. Its package replaces the resolver of the machine that it is installed
/// on, so it is only downloaded, and unpacked over the files of a machine in namespaces.
/// </summary>
public sealed class ResolvedMachineTests
{
    private static readonly int Tests =
        typeof(ResolvedTests).GetMethods().Count(method => method.IsDefined(typeof(FactAttribute), inherit: false));

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
        Assert.Contains(
            $"Total: {Tests}, Errors: 0, Failed: 0, Skipped: 0, Not Run: 0", output, StringComparison.Ordinal);
    }

    /// <summary>The package's files, in a folder that later runs find again.</summary>
    private static async Task<string> UnpackAsync()
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "systemd-resolved");
        if (Directory.Exists(folder))
            return folder;
        string download = Directory.CreateDirectory(folder + ".new").FullName;
        (int status, string said) = await RunAsync("apt-get", download, "download", "-qq", "systemd-resolved");
        if (status != 0)
        {
            await RunAsync("apt-get", download, "update", "-qq");
            (status, said) = await RunAsync("apt-get", download, "download", "-qq", "systemd-resolved");
        }

        Assert.SkipUnless(status == 0, $"needs Debian's package systemd-resolved, which apt-get does not bring: {said}");
        string package = Assert.Single(Directory.GetFiles(download, "*.deb"));
        string files = Path.Combine(download, "files");
        (status, said) = await RunAsync("dpkg-deb", download, "--extract", package, files);
        Assert.True(status == 0, said);
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
