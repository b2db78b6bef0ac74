using System.Diagnostics;
using System.Globalization;
using LightTunnel.Lab;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Services;

/// <summary>
/// A machine that systemd has started: the real one, as the first process of namespaces of its own, over this machine's files, with an
/// overlay for all that is written. The staged module is installed for all its users. Gone when it is disposed of.
/// </summary>
internal sealed class SystemdMachine : IAsyncDisposable
{
    private const string Systemd = "/lib/systemd/systemd";

    /// <summary>Runs as the first process of the namespaces, and becomes systemd; ends with status 77 where it may not.</summary>
    private const string Boot = """
        mount --make-rprivate / && mount -t tmpfs tmpfs "$1" && mkdir "$1/upper" "$1/work" "$1/root" || exit 77
        root="$1/root"
        mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$root" || exit 77
        mount -t proc proc "$root/proc" && mount -t sysfs -o ro sysfs "$root/sys" && mount --rbind /dev "$root/dev" || exit 77
        mount -t tmpfs tmpfs "$root/run" && mount -t tmpfs tmpfs "$root/sys/fs/cgroup" && mkdir "$root/sys/fs/cgroup/systemd" || exit 77
        mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd" || exit 77
        unit="$root/etc/systemd/system/lighttunnel-test.target"
        printf '[Unit]\nRequires=systemd-journald.service\nAfter=systemd-journald.service\n' > "$unit"
        # What is being tested may lie in /tmp, which is neither to be another one nor cleared.
        mkdir -p "$root/etc/tmpfiles.d" && ln -sf /dev/null "$root/etc/tmpfiles.d/tmp.conf" || exit 1
        ln -sf /dev/null "$root/etc/systemd/system/tmp.mount"
        modules="$root/usr/local/share/powershell/Modules/LightTunnel"
        mkdir -p "$modules" && cp -r "$2" "$modules/" && chmod -R go-w "$root/usr/local/share/powershell" || exit 1
        if [ -n "$3" ]; then
            tar -C "$3" -c . | tar --keep-directory-symlink -C "$root" -x || exit 1
            rm -f "$root/etc/resolv.conf" && ln -s ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf" || exit 1
        fi
        mkdir "$root/old" && cd "$root" && pivot_root . old && umount -l /old && ip link set lo up || exit 1
        exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=lighttunnel-test.target
        """;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly Process _outside;
    private readonly DirectoryInfo _folder;

    private SystemdMachine(Process outside, DirectoryInfo folder) => (_outside, _folder) = (outside, folder);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Starts one; skips the test where that is not possible.</summary>
    /// <param name="resolved">
    /// The unpacked files of Debian's package systemd-resolved, which asks for names there then; null for none.
    /// </param>
    public static async Task<SystemdMachine> StartAsync(string? resolved = null)
    {
        Prerequisites.SkipUnlessLaboratory();
        Assert.SkipUnless(File.Exists(Systemd), "needs systemd (Debian's package of that name).");
        Assert.SkipUnless(RealPowerShell.Failure is null, $"needs pwsh: {RealPowerShell.Failure}");
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lighttunnel-systemd-");
        string[] arguments =
        [
            "--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc", "--cgroup", "--net",
            "sh", "-c", Boot, "sh", folder.FullName, Path.GetDirectoryName(LabPaths.ModuleManifest())!,
            resolved ?? string.Empty,
        ];
        var machine = new SystemdMachine(Process.Start("unshare", arguments), folder);
        try
        {
            await machine.UntilUpAsync();
            return machine;
        }
        catch
        {
            await machine.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs a script in a pwsh of the machine, with the module imported; fails the test unless that ends with status 0.</summary>
    /// <param name="script">The script.</param>
    /// <param name="network">The network namespace of the machine in which it runs, as ip-netns(8) names it; null for the first.</param>
    /// <returns>What it printed, line by line.</returns>
    public async Task<string[]> RunAsync(string script, string? network = null)
    {
        string[] there = network is null ? [] : ["nsenter", $"--net=/run/netns/{network}"];
        (int status, string output, string error) = await EnterAsync(
            [
                .. there, .. RealPowerShell.Command, "-NonInteractive", "-Command",
                $"$ErrorActionPreference = 'Stop'; Import-Module LightTunnel; {script}",
            ]);
        Assert.True(status == 0, $"{script} ended with {status}: {output}{error}");
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }

    /// <summary>Runs a program of the machine; fails the test unless that ends with status 0.</summary>
    /// <returns>What it printed.</returns>
    public async Task<string> ExecuteAsync(params string[] command)
    {
        (int status, string output, string error) = await EnterAsync(command);
        Assert.True(status == 0, $"{string.Join(' ', command)} ended with {status}: {output}{error}");
        return output;
    }

    public async ValueTask DisposeAsync()
    {
        // With the first process of its namespaces everything in them ends; unshare kills that one when it is killed itself.
        _outside.Kill();
        await _outside.WaitForExitAsync(CancellationToken.None);
        _outside.Dispose();
        _folder.Delete(recursive: true);
    }

    private async Task UntilUpAsync()
    {
        long begun = Stopwatch.GetTimestamp();
        while (true)
        {
            if (_outside.HasExited)
            {
                Assert.SkipWhen(_outside.ExitCode == 77, "needs leave to mount an overlay and a control group.");
                Assert.Fail($"The machine did not start: {_outside.ExitCode}.");
            }

            (_, string state, string error) = await EnterAsync(["systemctl", "is-system-running"]);
            if (state.Trim() is "running" or "degraded")
                return;
            Assert.True(Stopwatch.GetElapsedTime(begun) < Patience, $"systemd did not come up: {state}{error}");
            await Task.Delay(50, Token);
        }
    }

    private async Task<(int Status, string Output, string Error)> EnterAsync(string[] command)
    {
        string children = await File.ReadAllTextAsync($"/proc/{_outside.Id}/task/{_outside.Id}/children", Token);
        if (!int.TryParse(children, NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out int first))
            return (-1, string.Empty, "It has no first process yet.");
        var start = new ProcessStartInfo(
            "nsenter", ["--target", $"{first}", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--net", .. command])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };
        foreach ((string name, string value) in RealPowerShell.Environment)
            start.Environment[name] = value;
        start.Environment["NO_COLOR"] = "1";
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(Token);
        Task<string> error = process.StandardError.ReadToEndAsync(Token);
        await process.WaitForExitAsync(Token).WaitAsync(Patience, Token);
        return (process.ExitCode, await output, await error);
    }
}
