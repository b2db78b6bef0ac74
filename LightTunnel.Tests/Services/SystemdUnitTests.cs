using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using LightTunnel.Membership;
using LightTunnel.Services;
using LightTunnel.Tests.Configuration;
using Xunit;

namespace LightTunnel.Tests.Services;

/// <summary>The text of a unit, as systemd itself judges it where it is installed.</summary>
public sealed partial class SystemdUnitTests : IDisposable
{
    private static readonly ServiceDefinition Office = new("office", TunnelRole.Server, "/etc/lighttunnel/office.yaml");

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Unit_IsReadBack_AndOthersAreNot()
    {
        Assert.Equal(Office, SystemdUnit.Read(SystemdUnit.Write(Office, "/usr/local/lib/lighttunnel/current/LightTunnel.Host")));
        var client = new ServiceDefinition("a-b_c.9", TunnelRole.Client, "/etc/lighttunnel/a-b_c.9.yaml");
        Assert.Equal(client, SystemdUnit.Read(SystemdUnit.Write(client, "/program")));
        Assert.Null(SystemdUnit.Read("[Service]\nName=office\nRole=server\nConfiguration=/etc/x\n"));
        Assert.Null(SystemdUnit.Read("[X-LightTunnel]\nName=office\nRole=king\nConfiguration=/etc/x\n"));
    }

    [Fact]
    public void PathsOfItsOwn_AreWritable_AndNothingElse()
    {
        string usual = SystemdUnit.Write(
            Office with { StatePath = "/var/lib/lighttunnel/server-office", LogPath = "/var/log/lighttunnel/office.log" }, "/program");
        // What a gateway changes, and what CAP_NET_ADMIN is there for.
        Assert.Equal(
            "ReadWritePaths=-/proc/sys/net -/etc/resolv.conf",
            Assert.Single(usual.Split('\n'), line => line.StartsWith("ReadWritePaths", StringComparison.Ordinal)));
        Assert.Contains("\nProtectHome=yes\n", usual, StringComparison.Ordinal);

        string unusual = SystemdUnit.Write(Office with { StatePath = "/srv/lt 100%", LogPath = "/home/log/office.log" }, "/program");
        Assert.Contains("\nReadWritePaths=\"/srv/lt 100%%\"\nReadWritePaths=/home/log\n", unusual, StringComparison.Ordinal);
        Assert.Contains("\nProtectHome=read-only\n", unusual, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/plain/path-1.0_x", "/plain/path-1.0_x")]
    [InlineData("/a b", "\"/a b\"")]
    [InlineData("/a\"\\$%", "\"/a\\\"\\\\$$%%\"")]
    [InlineData("/a\nExecStart=/evil", "\"/a\\x0aExecStart=/evil\"")]
    public void Word_MeansNothingElseThanItself(string word, string quoted) => Assert.Equal(quoted, SystemdUnit.Quote(word));

    [Fact]
    public void Unit_IsOneThatSystemdTakes()
    {
        (int status, string output) = Analyze("verify", "--man=no", Write());
        Assert.True(status == 0 && output.Length == 0, output);
    }

    [Fact]
    public void Unit_IsExposedLittle()
    {
        (_, string output) = Analyze("security", "--offline=true", "--no-pager", Write());
        Match overall = Overall().Match(output);
        Assert.True(overall.Success, output);
        // systemd's own figure from 0 to 10. What is left is needed: the network, its administration, and root, to whom the state belongs.
        Assert.InRange(double.Parse(overall.Groups[1].Value, CultureInfo.InvariantCulture), 0, 3.0);
    }

    private string Write() => _folder.Write("lighttunnel-office.service", SystemdUnit.Write(
        Office with { StatePath = "/srv/lt 100%" }, "/bin/true", "/opt/dot net"));

    private static (int Status, string Output) Analyze(params string[] arguments)
    {
        const string Program = "/usr/bin/systemd-analyze";
        Assert.SkipUnless(File.Exists(Program), "needs systemd-analyze");
        var start = new ProcessStartInfo(Program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["SYSTEMD_COLORS"] = "0", ["LC_ALL"] = "C" },
        };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = process.StandardOutput.ReadToEnd() + errors.GetAwaiter().GetResult();
        process.WaitForExit();
        return (process.ExitCode, output.Trim());
    }

    [GeneratedRegex(@"Overall exposure level for \S+: ([0-9.]+)")]
    private static partial Regex Overall();
}
