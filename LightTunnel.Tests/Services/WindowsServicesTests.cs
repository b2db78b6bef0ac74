using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Services;
using LightTunnel.Tests.Configuration;
using Xunit;

namespace LightTunnel.Tests.Services;

/// <summary>What Windows is asked for services, and what its answers mean: the service control manager is one in memory.</summary>
public sealed class WindowsServicesTests : IDisposable
{
    private const string Name = "lighttunnel-office";

    private readonly TemporaryFolder _folder = new();
    private readonly FakeServiceControl _control = new();
    private readonly HostInstallation _installation;
    private readonly WindowsServices _services;

    public WindowsServicesTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "Only root registers services.");
        Bring("0.1.0");
        _installation = new HostInstallation(_folder.File("lib"));
        _services = new WindowsServices(_control, _installation, _folder.File("data"));
        // One that was asked to stop has stopped when it is asked how it stands.
        _control.Asked = service =>
        {
            if (service.Now.State == ControlState.StopPending && _control.Calls[^1].StartsWith("stop", StringComparison.Ordinal))
                service.Now = new ServiceCondition(ControlState.Stopped, 0, 0);
        };
    }

    private FakeServiceControl.Service Office => _control.Services[Name];

    private string Settings => _folder.File("data/office.yaml");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Register_MakesTheService_AndTheSecretIsInItsFileOnly()
    {
        ServerSettings settings = OfOffice();
        Plan(settings).Apply();

        Assert.Equal($"\"{_installation.Program}\" --configuration \"{Settings}\"", Office.CommandLine);
        Assert.Equal("LightTunnel server office", Office.DisplayName);
        Assert.DoesNotContain(settings.NetworkKey!.Reveal(), Office.CommandLine, StringComparison.Ordinal);
        Assert.Equal(settings.NetworkKey.Reveal(), ConfigurationFile.LoadServer(Settings).NetworkKey!.Reveal());
        Assert.True(_control.HasEventSource);
        ServiceDefinition found = Assert.Single(_services.List());
        Assert.Equal(("office", TunnelRole.Server, Settings), (found.Name, found.Role, found.ConfigurationPath));
        Assert.Equal(ServiceState.Stopped, State().State);
        Assert.True(State().Enabled);
    }

    [Theory]
    [InlineData("lib/current/LightTunnel.Host", "data/other.yaml")]
    [InlineData("lib/current/other", "data/office.yaml")]
    [InlineData("lib/../elsewhere/current/LightTunnel.Host", "data/office.yaml")]
    [InlineData("lib/current/LightTunnel.Host", "data/office.yaml\" --more \"")]
    public void ServiceOfSomebodyElse_IsNotOurs_AndNotTouched(string program, string configuration)
    {
        string line = WindowsServices.CommandLine(_folder.File(program), _folder.File(configuration));
        _control.Services[Name] = new FakeServiceControl.Service { CommandLine = line, Notes = { ["Role"] = "Server" } };
        Assert.Empty(_services.List());
        ServicePlan plan = Plan(OfOffice());

        Assert.Equal(LightTunnelError.NameInUse, Assert.Throws<LightTunnelException>(plan.Apply).Error);

        Assert.Equal(line, Office.CommandLine);
        Assert.Empty(_control.Calls);
        Assert.False(File.Exists(Settings));
    }

    [Fact]
    public void WindowsThatRefuses_LeavesNothingHalfMade()
    {
        ServicePlan plan = Plan(OfOffice());
        _control.Refusal = call => call.StartsWith("write", StringComparison.Ordinal)
            ? new LightTunnelException(LightTunnelError.ServiceFailed, "Marked for deletion.", "Close services.msc.")
            : null;

        Assert.Equal("Marked for deletion.", Assert.Throws<LightTunnelException>(plan.Apply).Message);

        Assert.False(File.Exists(Settings));
        Assert.Empty(_control.Services);
        Assert.False(_control.HasEventSource);
    }

    [Fact]
    public void EventSource_GoesWithTheLastService()
    {
        Plan(OfOffice()).Apply();
        Plan(OfOffice() with { Name = "second", StatePath = "/var/lib/lighttunnel/server-second" }).Apply();
        IReadOnlyList<ServiceDefinition> both = _services.List();

        _services.Unregister(both[0]);
        Assert.True(_control.HasEventSource);
        _services.Unregister(both[1]);
        Assert.False(_control.HasEventSource);
        Assert.Empty(_control.Services);
    }

    [Theory]
    [InlineData(ControlState.StartPending, 0, ServiceState.Starting, null)]
    [InlineData(ControlState.StopPending, 0, ServiceState.Stopping, null)]
    [InlineData(ControlState.Stopped, ServiceExit.None, ServiceState.Stopped, null)]
    [InlineData(ControlState.Stopped, ServiceExit.NeverStarted, ServiceState.Stopped, null)]
    [InlineData(ControlState.Stopped, ServiceExit.Aborted, ServiceState.Restarting, "Its process was ended, or broke off.")]
    [InlineData(ControlState.Stopped, 78, ServiceState.Failed, "'maxClient' is no key.", "'maxClient' is no key.")]
    [InlineData(ControlState.Stopped, ServiceExit.Aborted, ServiceState.Restarting, "The port is taken.", "The port is taken.")]
    public void State_IsWhatWindowsSays_WithTheServicesOwnWords(
        object now, int exitCode, ServiceState state, string? error, string? words = null)
    {
        Plan(OfOffice()).Apply();
        if (words is not null)
            _services.NoteError(_services.List()[0], words);
        Office.Now = new ServiceCondition((ControlState)now, exitCode, 0);
        Assert.Equal((state, error), (State().State, State().LastError));
    }

    [Fact]
    public void Process_ThatRuns_IsUpWhenItSaysSo_AndOneThatWasThereBeforeDoesNotCount()
    {
        Plan(OfOffice()).Apply();
        ServiceDefinition service = _services.List()[0];
        _services.NoteUp(service, 17);
        Office.Now = new ServiceCondition(ControlState.Running, 0, 18);
        Office.Program = _folder.File("lib/0.1.0/LightTunnel.Host");
        Assert.Equal((ServiceState.Starting, 18, new Version(0, 1, 0)), (State().State, State().ProcessId, State().HostVersion));

        _services.NoteUp(service, 18);
        Assert.Equal(ServiceState.Running, State().State);
    }

    [Fact]
    public void Start_TakesTheNewestVersionFirst_ForAllServices_AndForgetsWhatWasWrong()
    {
        Plan(OfOffice()).Apply();
        ServiceDefinition service = _services.List()[0];
        _services.NoteError(service, "The port is taken.");
        string older = _folder.File("lib/0.0.1/LightTunnel.Host");
        Office.CommandLine = WindowsServices.CommandLine(older, Settings);
        string other = WindowsServices.CommandLine("/usr/bin/pwsh", Settings);
        _control.Services["lighttunnel-other"] = new FakeServiceControl.Service { CommandLine = other };
        Bring("0.2.0");
        _control.Calls.Clear();

        _services.Start(service);

        Assert.Equal([$"command {Name}", $"start {Name}"], _control.Calls);
        Assert.Equal(new Version(0, 2, 0), _installation.Version);
        Assert.Equal(WindowsServices.CommandLine(_installation.Program, Settings), Office.CommandLine);
        Assert.Equal(other, _control.Services["lighttunnel-other"].CommandLine);
        Assert.Null(_control.Recall(Name, "LastError"));
    }

    [Fact]
    public void RunningService_TakesANewerVersionOnce()
    {
        Plan(OfOffice()).Apply();
        var own = new OwnService(_services, _installation, _services.List()[0]);
        Assert.False(own.NameInstalled(new Version(0, 0, 9)));
        Office.CommandLine = WindowsServices.CommandLine(_folder.File("lib/0.0.9/LightTunnel.Host"), Settings);

        Assert.True(own.NameInstalled(new Version(0, 0, 9)));
        Assert.False(own.NameInstalled(new Version(0, 0, 9)));
        Assert.Equal(WindowsServices.CommandLine(_installation.Program, Settings), Office.CommandLine);
    }

    [Fact]
    public void Stop_WaitsForTheProcessToEnd_SoThatItsFilesCanGo()
    {
        Plan(OfOffice()).Apply();
        _services.Start(_services.List()[0]);
        _control.Calls.Clear();

        _services.Stop(_services.List()[0]);

        Assert.Equal([$"stop {Name}", "wait 17"], _control.Calls);
        _services.Stop(_services.List()[0]);
        Assert.Equal(2, _control.Calls.Count);
    }

    [Fact]
    public void Stop_OfOneThatWindowsIsAboutToStartAgain_StopsItWhenItRuns()
    {
        Plan(OfOffice()).Apply();
        Office.Now = new ServiceCondition(ControlState.Stopped, ServiceExit.Aborted, 0);
        Action<FakeServiceControl.Service> stopping = _control.Asked;
        int asked = 0;
        _control.Asked = service =>
        {
            if (++asked == 3)
                service.Now = new ServiceCondition(ControlState.StartPending, 0, 19);
            else if (asked == 6)
                service.Now = new ServiceCondition(ControlState.Running, 0, 19);
            stopping(service);
        };
        _control.Calls.Clear();

        _services.Stop(_services.List()[0]);

        Assert.Equal([$"stop {Name}", "wait 19"], _control.Calls);
        Assert.Equal(ServiceState.Stopped, State().State);
    }

    private static ServerSettings OfOffice() => new()
    {
        Name = "office",
        Address = ["10.0.0.1/24"],
        NetworkKey = NetworkKeys.Generate(),
        StatePath = "/var/lib/lighttunnel/server-office",
    };

    private ServiceStatus State() => Assert.Single(_services.Ask(_services.List()));

    private ServicePlan Plan(TunnelSettings settings) =>
        ServicePlan.Make(_services, _installation, settings, _folder.File("Modules/LightTunnel/0.1.0"), replace: false);

    private void Bring(string version)
    {
        string host = _folder.File($"Modules/LightTunnel/{version}/Host/any");
        Directory.CreateDirectory(host);
        File.WriteAllText(Path.Combine(host, HostPayload.ProgramName), version);
    }
}
