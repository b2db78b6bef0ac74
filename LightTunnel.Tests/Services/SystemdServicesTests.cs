using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Services;
using LightTunnel.Tests.Configuration;
using Xunit;

namespace LightTunnel.Tests.Services;

/// <summary>What systemd is asked, and what its answers mean: systemctl and journalctl are scripts that note their calls.</summary>
public sealed class SystemdServicesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly SystemdServices _services;
    private readonly HostInstallation _installation;

    public SystemdServicesTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "Only root registers services.");
        foreach (string folder in new[] { "bin", "etc/systemd/system", "run/systemd/system", "state" })
            Directory.CreateDirectory(_folder.File(folder));
        Program("systemctl", """
            if [ "$1" = show ]; then cat "$HERE/show"; fi
            if [ -e "$HERE/refuse-$1" ]; then echo "Access denied" >&2; exit 4; fi
            """);
        Program("journalctl", "cat \"$HERE/journal\"");
        string module = _folder.File("Modules/LightTunnel/0.1.0/Host/any");
        Directory.CreateDirectory(module);
        File.WriteAllText(Path.Combine(module, HostPayload.ProgramName), "program");
        _services = new SystemdServices(_folder.Path, _folder.File("bin"));
        _installation = new HostInstallation(_folder.File("lib"));
    }

    private string Module => _folder.File("Modules/LightTunnel/0.1.0");

    private string UnitPath => _folder.File("etc/systemd/system/lighttunnel-office.service");

    private string[] Calls => File.Exists(_folder.File("calls")) ? File.ReadAllLines(_folder.File("calls")) : [];

    private static ServerSettings Office => new()
    {
        Name = "office",
        Address = ["10.0.0.1/24"],
        NetworkKey = NetworkKeys.Generate(),
        StatePath = "/var/lib/lighttunnel/server-office",
    };

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Register_InstallsWritesAndEnables_AndTheSecretIsRootsAlone()
    {
        ServerSettings settings = Office;
        ServicePlan plan = Plan(settings);
        Assert.Empty(Calls);
        Assert.False(Directory.Exists(_folder.File("etc/lighttunnel")));

        plan.Apply();
        plan.Start();

        Assert.Equal(
            ["systemctl daemon-reload", "systemctl enable -- lighttunnel-office.service",
                "systemctl start --no-block -- lighttunnel-office.service"], Calls);
        string path = _folder.File("etc/lighttunnel/office.yaml");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        Assert.Equal(settings.NetworkKey!.Reveal(), ConfigurationFile.LoadServer(path).NetworkKey!.Reveal());
        Assert.DoesNotContain(settings.NetworkKey.Reveal(), File.ReadAllText(UnitPath), StringComparison.Ordinal);
        Assert.Equal(ProgramFiles.EverybodyReads, File.GetUnixFileMode(UnitPath));
        string start = $"ExecStart={_installation.Program} --configuration {path}\n";
        Assert.Contains(start, File.ReadAllText(UnitPath), StringComparison.Ordinal);
        Assert.Equal((new Version(0, 1, 0), _folder.File("Modules/LightTunnel")), (_installation.Version, _installation.Module));
        Assert.Equal(["office"], _services.List().Select(service => service.Name));
    }

    [Fact]
    public void NameThatIsTaken_IsSaidBeforeAnythingIsChanged_UnlessItIsToBeReplaced()
    {
        Plan(Office).Apply();
        string[] before = Calls;

        Assert.Equal(LightTunnelError.NameInUse, Refused(() => Plan(Office)).Error);
        Assert.Equal(LightTunnelError.NameInUse, Refused(() => Plan(Office with { Name = "OFFICE" })).Error);
        Assert.Equal(before, Calls);

        ServicePlan plan = Plan(Office with { Name = "Office" }, replace: true);
        Assert.Equal("office", plan.Replaced!.Name);
        plan.Apply();
        Assert.Equal("systemctl stop -- lighttunnel-office.service", Calls[before.Length]);
        Assert.Equal(["Office"], _services.List().Select(service => service.Name));
    }

    [Fact]
    public void FileOfSettings_ThatIsNobodysService_IsNotOverwritten()
    {
        Directory.CreateDirectory(_folder.File("etc/lighttunnel"));
        _folder.Write("etc/lighttunnel/office.yaml", "role: client\n");
        Assert.Equal(LightTunnelError.NameInUse, Refused(() => Plan(Office)).Error);
    }

    [Theory]
    [InlineData("run/systemd/system", LightTunnelError.ServiceManagerUnavailable)]
    [InlineData("Modules/LightTunnel/0.1.0/Host", LightTunnelError.NotFound)]
    public void WhatIsMissing_IsSaidBeforeAnythingIsChanged(string folder, LightTunnelError error)
    {
        Directory.Delete(_folder.File(folder), recursive: true);
        Assert.Equal(error, Refused(() => Plan(Office)).Error);
        AssertNothingWasDone();
    }

    [Fact]
    public void WrongSettings_AreSaidBeforeAnythingIsChanged()
    {
        Assert.Equal(LightTunnelError.InvalidName, Refused(() => Plan(Office with { Name = "../../etc/passwd" })).Error);
        Assert.Equal(LightTunnelError.InvalidName, Refused(() => Plan(Office with { Name = "a\nExecStart=/evil" })).Error);
        Assert.Equal(LightTunnelError.InvalidOption, Refused(() => Plan(Office with { Address = null })).Error);
        Assert.Equal(LightTunnelError.InvalidOption, Refused(() => Plan(Office with { StatePath = "/tmp/state" })).Error);
        Assert.Equal(
            LightTunnelError.InvitationExpired,
            Refused(() => Plan(new ClientSettings
            {
                Invitation = new Secret(Tests.Membership.InvitationTests.Sample(DateTimeOffset.UnixEpoch).Reveal()),
            })).Error);
        AssertNothingWasDone();
    }

    [Fact]
    public void ConfigurationFolder_ThatOthersMayWrite_IsRefused()
    {
        Directory.CreateDirectory(_folder.File("etc/lighttunnel"));
        File.SetUnixFileMode(
            _folder.File("etc/lighttunnel"),
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.OtherWrite);
        Assert.Equal(LightTunnelError.FileAccess, Refused(() => Plan(Office)).Error);
        AssertNothingWasDone();
    }

    [Fact]
    public void SystemThatRefuses_LeavesNothingHalfMade()
    {
        _folder.Write("refuse-enable", string.Empty);
        ServicePlan plan = Plan(Office);

        LightTunnelException exception = Refused(plan.Apply);

        Assert.Equal(LightTunnelError.ServiceFailed, exception.Error);
        Assert.Contains("Access denied", exception.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder.File("etc/lighttunnel/office.yaml")));
    }

    [Fact]
    public void Unregister_RemovesUnit()
    {
        Plan(Office).Apply();
        int before = Calls.Length;
        _services.Unregister(_services.List()[0]);
        Assert.Equal(
            ["systemctl disable -- lighttunnel-office.service", "systemctl daemon-reload",
                "systemctl reset-failed -- lighttunnel-office.service"], Calls[before..]);
        Assert.Empty(_services.List());
        Assert.False(File.Exists(UnitPath));
    }

    [Fact]
    public void UnitOfSomebodyElse_IsNotOurs()
    {
        _folder.Write("etc/systemd/system/lighttunnel-server.service", "[Service]\nExecStart=/usr/bin/pwsh\n");
        _folder.Write(
            "etc/systemd/system/lighttunnel-other.service",
            SystemdUnit.Write(new ServiceDefinition("office", TunnelRole.Server, "/etc/shadow"), "/program"));
        Assert.Empty(_services.List());
    }

    [Theory]
    [InlineData("active", "running", ServiceState.Running, null)]
    [InlineData("activating", "start-pre", ServiceState.Starting, null)]
    [InlineData("activating", "auto-restart", ServiceState.Restarting, "Port 9000 is taken.")]
    [InlineData("deactivating", "stop-sigterm", ServiceState.Stopping, null)]
    [InlineData("failed", "failed", ServiceState.Failed, "Port 9000 is taken.")]
    [InlineData("inactive", "dead", ServiceState.Stopped, null)]
    [InlineData("inactive", "dead", ServiceState.Starting, null, 17)]
    [InlineData("active", "running", ServiceState.Starting, null, 17)]
    [InlineData("failed", "failed", ServiceState.Starting, null, 17)]
    [InlineData("deactivating", "stop-sigterm", ServiceState.Stopping, null, 17)]
    public void State_IsWhatSystemdSays(string active, string sub, ServiceState state, string? error, int job = 0)
    {
        Plan(Office).Apply();
        _folder.Write("journal", "Port 9000 is taken.\n");
        _folder.Write(
            "show",
            $"Id=other.service\nActiveState=active\n\nId=lighttunnel-office.service\nActiveState={active}\nSubState={sub}\nJob={job}\n"
                + "UnitFileState=enabled\nMainPID=0\nResult=exit-code\n");

        ServiceStatus status = Assert.Single(_services.Ask(_services.List()));

        Assert.Equal((state, true, 0, error), (status.State, status.Enabled, status.ProcessId, status.LastError));
    }

    private static LightTunnelException Refused(Action act) => Assert.Throws<LightTunnelException>(act);

    private ServicePlan Plan(TunnelSettings settings, bool replace = false) =>
        ServicePlan.Make(_services, _installation, settings, Module, replace);

    private void AssertNothingWasDone()
    {
        Assert.Empty(Calls);
        Assert.False(File.Exists(UnitPath));
        Assert.False(File.Exists(_folder.File("etc/lighttunnel/office.yaml")));
        Assert.Null(_installation.Version);
    }

    private void Program(string name, string script)
    {
        string path = _folder.Write(
            $"bin/{name}", $"#!/bin/sh\nHERE='{_folder.Path}'\necho \"{name} $*\" >>\"$HERE/calls\"\n{script}\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}
