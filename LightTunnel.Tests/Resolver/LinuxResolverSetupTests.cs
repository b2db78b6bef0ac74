using System.Runtime.Versioning;
using LightTunnel.Resolver;
using Xunit;

namespace LightTunnel.Tests.Resolver;

/// <summary>By which means names are asked for: by what the machine's files say of whom its programs ask.</summary>
[SupportedOSPlatform("linux")]
public sealed class LinuxResolverSetupTests : IDisposable
{
    private static readonly ResolverScope Scope = new("lt0", [LoopbackServers.At(0)], ["office.lt"], AllNames: false);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lighttunnel-resolver-");
    private readonly FakeBus _bus = new() { Process = (uint)Environment.ProcessId };
    private readonly FakeSetup _resolved = new(), _file = new();
    private readonly LinuxResolverSetup _setup;

    public LinuxResolverSetupTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "is about Linux.");
        _setup = new LinuxResolverSetup(_resolved, _file, _bus, new LinuxResolverPlaces(Place("resolv.conf"), Place("nsswitch.conf")));
        File.WriteAllText(Place("nsswitch.conf"), "passwd: files\nhosts:\tfiles dns # not resolve\n");
        File.WriteAllText(Place("resolv.conf"), "# stub\nnameserver 127.0.0.53\noptions edns0 trust-ad\n");
    }

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Stub_IsResolved_AndAnythingElseTheFile_AndWhatWasSetGoesFirst()
    {
        Assert.Empty(_setup.Set(Scope));
        Assert.Equal((1, 0), (_resolved.Calls, _file.Calls));

        File.WriteAllText(Place("resolv.conf"), "nameserver 192.168.1.1\n");
        Assert.Empty(_setup.Set(Scope));
        Assert.Equal((1, 1, 1), (_resolved.Calls, _resolved.Restored, _file.Calls));

        File.WriteAllText(Place("nsswitch.conf"), "hosts: files resolve [!UNAVAIL=return] dns\n");
        Assert.Empty(_setup.Set(Scope));
        Assert.Equal((2, 1, 1), (_resolved.Calls, _file.Restored, _file.Calls));

        // Stopped, whatever the files say.
        _bus.Process = null;
        Assert.Empty(_setup.Set(Scope));
        Assert.Equal((2, 2, 2), (_resolved.Calls, _resolved.Restored, _file.Calls));
        _setup.Restore();
        _setup.Restore();
        Assert.Equal((2, 2), (_resolved.Restored, _file.Restored));
    }

    [Fact]
    public void ListOfAllNameservers_WouldHaveTheTunnelsAskedForEveryName_SoNothingIsSet()
    {
        Directory.CreateDirectory(Place("systemd/resolve"));
        File.WriteAllText(Place("systemd/resolve/resolv.conf"), "nameserver 192.168.1.1\n");
        File.Delete(Place("resolv.conf"));
        File.CreateSymbolicLink(Place("resolv.conf"), "systemd/resolve/resolv.conf");
        Assert.Contains("stub-resolv.conf", Assert.Single(_setup.Set(Scope)), StringComparison.Ordinal);
        Assert.Empty(_setup.Set(Scope with { Domains = [] }));
        Assert.Equal((0, 0), (_resolved.Calls, _file.Calls));
    }

    private string Place(string name) => Path.Combine(_folder.FullName, name);

    private sealed class FakeBus : IResolvedBus
    {
        public uint? Process { get; set; }

        public uint? FindProcess() => Process;

        public ResolvedLink Read(int interfaceIndex) => throw new NotSupportedException();

        public void Set(int interfaceIndex, ResolvedLink link) => throw new NotSupportedException();

        public void Revert(int interfaceIndex) => throw new NotSupportedException();
    }

    private sealed class FakeSetup : IResolverSetup
    {
        public int Calls { get; private set; }

        public int Restored { get; private set; }

        public IReadOnlyList<string> Set(ResolverScope scope)
        {
            Calls++;
            return [];
        }

        public void Restore() => Restored++;
    }
}
