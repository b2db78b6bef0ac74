using System.Runtime.InteropServices;
using LightTunnel.Diagnostics;
using LightTunnel.Services;
using LightTunnel.Tests.Configuration;
using Xunit;

namespace LightTunnel.Tests.Services;

/// <summary>The installed program: from a module's folder to the place that services start it from.</summary>
public sealed partial class HostInstallationTests : IDisposable
{
    private const uint Stranger = 54321;
    private const UnixFileMode Folder = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private static readonly Version First = new(0, 1, 0), Second = new(0, 2, 0), Third = new(0, 10, 0);

    private readonly TemporaryFolder _folder = new();
    private readonly HostInstallation _installation;

    public HostInstallationTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Links and modes are Linux's.");
        _installation = new HostInstallation(_folder.File("lib"));
    }

    private string Modules => _folder.File("Modules");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Install_PutsTheProgramThere_ForEverybodyToRunAndNobodyToChange()
    {
        HostPayload payload = Bring(First, "one");
        File.SetUnixFileMode(Path.Combine(payload.Folder, HostPayload.ProgramName), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Assert.Null(_installation.Version);

        _installation.Install(payload, Modules);

        Assert.Equal(First, _installation.Version);
        Assert.Equal(Modules, _installation.Module);
        Assert.Equal("one", File.ReadAllText(_installation.Program));
        Assert.Equal("library", File.ReadAllText(Path.Combine(_installation.Folder, "current", "runtimes", "library.so")));
        Assert.Equal(Folder, File.GetUnixFileMode(_installation.Program));
        Assert.Equal(Folder, File.GetUnixFileMode(_installation.Folder));
        Assert.Equal(Folder, File.GetUnixFileMode(Path.Combine(_installation.Folder, "0.1.0", "runtimes")));
        Assert.Equal("0.1.0", new FileInfo(Path.Combine(_installation.Folder, "current")).LinkTarget);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_installation.Folder, ".*"));
    }

    [Fact]
    public void Module_ThatGoes_LeavesTheProgram()
    {
        _installation.Install(Bring(First, "one"), Modules);
        Directory.Delete(Modules, recursive: true);

        Assert.Equal("one", File.ReadAllText(_installation.Program));
        Assert.Null(_installation.Newest());
        Assert.False(_installation.Update());
    }

    [Fact]
    public void Update_TakesTheNewestByNumber_AndKeepsTheOneBefore()
    {
        _installation.Install(Bring(First, "one"), Modules);
        Assert.False(_installation.Update());
        Bring(Second, "two");
        Assert.True(_installation.Update());
        Bring(Third, "ten");
        Directory.CreateDirectory(Path.Combine(Modules, "99.0.0"));
        Directory.CreateDirectory(Path.Combine(Modules, "no version"));

        Assert.True(_installation.Update());
        Assert.False(_installation.Update());

        Assert.Equal((Third, "ten"), (_installation.Version, File.ReadAllText(_installation.Program)));
        Assert.Equal(
            ["0.10.0", "0.2.0"],
            Directory.EnumerateDirectories(_installation.Folder).Select(Path.GetFileName).Where(name => name != "current").Order());
    }

    [Fact]
    public void SameVersion_BuiltAnew_TakesItsPlace_AndTheSameIsLeftAlone()
    {
        _installation.Install(Bring(First, "one"));
        DateTime before = Directory.GetCreationTimeUtc(Path.Combine(_installation.Folder, "0.1.0"));
        _installation.Install(Bring(First, "one"));
        Assert.Equal(before, Directory.GetCreationTimeUtc(Path.Combine(_installation.Folder, "0.1.0")));

        _installation.Install(Bring(First, "another"));
        Assert.Equal("another", File.ReadAllText(_installation.Program));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_installation.Folder, ".*"));
    }

    [Fact]
    public void Rests_OfAnInstallationThatWasCutShort_MeanNothingAndGo()
    {
        Directory.CreateDirectory(Path.Combine(_installation.Folder, ".new-0123", "runtimes"));
        File.CreateSymbolicLink(Path.Combine(_installation.Folder, ".new-4567"), _folder.Path);
        HostPayload payload = Bring(First, "one");

        _installation.Install(payload);

        Assert.True(Directory.Exists(payload.Folder));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_installation.Folder, ".*"));
    }

    [Fact]
    public async Task SeveralAtOnce_InstallOneAfterTheOther()
    {
        _installation.Install(Bring(First, "one"), Modules);
        Bring(Second, "two");

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => _installation.Install(_installation.Newest()!))));

        Assert.Equal((Second, "two"), (_installation.Version, File.ReadAllText(_installation.Program)));
    }

    [Fact]
    public void Payload_OfThisProcessorComesBeforeTheOneForAny()
    {
        HostPayload any = Bring(First, "any");
        Assert.True(any.NeedsRuntime);
        string processor = RuntimeInformation.OSArchitecture.ToString().ToLowerInvariant();
        Bring(First, "own", $"linux-{processor}");
        Bring(First, "other", "linux-mips");

        HostPayload payload = HostPayload.Of(Path.Combine(Modules, "0.1.0"), First)!;

        Assert.Equal($"linux-{processor}", Path.GetFileName(payload.Folder));
        Assert.False(payload.NeedsRuntime);
        Assert.Null(HostPayload.Of(_folder.Path, First));
    }

    [Theory]
    [InlineData("Modules")]
    [InlineData("Modules/0.2.0")]
    [InlineData("Modules/0.2.0/Host")]
    [InlineData("Modules/0.2.0/Host/any")]
    [InlineData("Modules/0.2.0/Host/any/LightTunnel.Host")]
    [InlineData("Modules/0.2.0/Host/any/runtimes")]
    [InlineData("Modules/0.2.0/Host/any/runtimes/library.so")]
    public void WhatOthersMayWrite_IsNoUpdate_AndNotInstalled(string open)
    {
        _installation.Install(Bring(First, "one"), Modules);
        HostPayload payload = Bring(Second, "planted");
        File.SetUnixFileMode(_folder.File(open), Folder | UnixFileMode.GroupWrite);

        Assert.Null(_installation.Newest());
        Assert.False(_installation.Update());
        Refused(() => _installation.Install(payload));
        Assert.Equal(First, _installation.Version);
    }

    [Theory]
    [InlineData("Modules")]
    [InlineData("Modules/0.2.0")]
    [InlineData("Modules/0.2.0/Host/any/runtimes/library.so")]
    public void WhatBelongsToSomebodyElse_IsNoUpdate_AndNotInstalled(string theirs)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "Only root can play two users.");
        _installation.Install(Bring(First, "one"), Modules);
        HostPayload payload = Bring(Second, "planted");
        Assert.Equal(0, ChangeOwner(_folder.File(theirs), Stranger, Stranger));

        Assert.Null(_installation.Newest());
        Refused(() => _installation.Install(payload));
        Assert.Equal(First, _installation.Version);
    }

    [Fact]
    public void Link_InAPayload_IsNotFollowed()
    {
        HostPayload payload = Bring(First, "one");
        File.CreateSymbolicLink(Path.Combine(payload.Folder, "shadow"), "/etc/shadow");
        Refused(() => _installation.Install(payload));
        Assert.Null(_installation.Version);
    }

    [Fact]
    public void ProgramFolder_ThatOthersMayWrite_IsClosedOrRefused()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "Only root can play two users.");
        Directory.CreateDirectory(_installation.Folder);
        Assert.Equal(0, ChangeOwner(_installation.Folder, Stranger, Stranger));
        Refused(() => _installation.Install(Bring(First, "one")));
    }

    [Theory]
    [InlineData("..")]
    [InlineData("../Modules")]
    [InlineData("0.2.0/../../Modules")]
    [InlineData("1.0")]
    [InlineData("1.0.0.0")]
    [InlineData("01.0.0")]
    public void Version_ThatIsNone_IsNothing(string text)
    {
        Assert.Null(HostPayload.VersionOf(text));
        Directory.CreateDirectory(_installation.Folder);
        File.CreateSymbolicLink(Path.Combine(_installation.Folder, "current"), text);
        Assert.Null(_installation.Version);
    }

    [Fact]
    public void Watch_EndsForWhatComes_NotForWhatCouldNotBeInstalledAtTheStart()
    {
        _installation.Install(Bring(First, "one"), Modules);
        var watch = new HostUpdateWatch(_installation, First);
        Assert.Null(watch.Look());
        Bring(Second, "two");
        Assert.Equal(Second, watch.Look());

        var started = new HostUpdateWatch(_installation, First);
        Assert.Null(started.Look());
        _installation.Update();
        Assert.Equal(Second, started.Look());
        Assert.Null(new HostUpdateWatch(_installation, Second).Look());
        Bring(Third, "ten");
        Assert.Equal(Third, started.Look());
    }

    private static void Refused(Action act)
    {
        LightTunnelException exception = Assert.Throws<LightTunnelException>(act);
        Assert.Equal((LightTunnelError.FileAccess, true), (exception.Error, exception.IsSuspicious));
    }

    /// <summary>A module's folder with the payload in it.</summary>
    private HostPayload Bring(Version version, string program, string processor = "any")
    {
        string folder = Path.Combine(Modules, version.ToString(), "Host", processor);
        Directory.CreateDirectory(Path.Combine(folder, "runtimes"));
        File.WriteAllText(Path.Combine(folder, HostPayload.ProgramName), program);
        File.WriteAllText(Path.Combine(folder, "runtimes", "library.so"), "library");
        return new HostPayload(folder, version);
    }

    [LibraryImport("libc", EntryPoint = "chown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChangeOwner(string path, uint user, uint group);
}
