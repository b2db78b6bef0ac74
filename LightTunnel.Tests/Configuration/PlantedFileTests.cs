using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Membership;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Configuration;

/// <summary>Another user of the machine prepares the folders that root's tunnel is going to use.</summary>
[SupportedOSPlatform("linux")]
public sealed partial class PlantedFileTests : IDisposable
{
    private const uint Stranger = 54321;
    private const string Secret = "the victim's own content";
    private const UnixFileMode OwnerFolder = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode All = OwnerFolder | UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    private readonly TemporaryFolder _folder = new();
    private readonly string _victim;

    public PlantedFileTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "Only root can play two users.");
        _victim = _folder.Write("victim", Secret);
    }

    private string State => _folder.File("state");

    public void Dispose()
    {
        if (_victim is not null)
            Assert.Equal(Secret, File.ReadAllText(_victim));
        _folder.Dispose();
    }

    [Fact]
    public void FolderOfSomebodyElse_IsRefused_AndNamed()
    {
        Directory.CreateDirectory(State);
        File.WriteAllText(Path.Combine(State, StateStore.FileName), "planted");
        GiveAway(State);

        Refused(() => StateStore.Open(State), "54321");
        Refused(() => StateStore.Open(Path.Combine(State, "below")), "54321");
        Refused(() => new TunnelLog("hub", new FakeTimeProvider(), path: Path.Combine(State, "hub.log")).Dispose(), "54321");
        Refused(() => new UnixControlTransport(State, "1").Listen(), "54321");
        Refused(() => new UnixControlTransport(_folder.Path, "1").Listen().Dispose(), null);
        Assert.Equal(
            [StateStore.FileName], Directory.EnumerateFileSystemEntries(State).Select(Path.GetFileName).Where(name => name != "below"));
    }

    [Theory]
    [InlineData(UnixFileMode.GroupWrite)]
    [InlineData(UnixFileMode.OtherWrite)]
    [InlineData(UnixFileMode.OtherWrite | UnixFileMode.StickyBit)]
    public void FolderThatOthersMayWrite_IsRefused_UnlessItIsEmpty_ThenItIsClosed(UnixFileMode others)
    {
        Directory.CreateDirectory(State);
        File.SetUnixFileMode(State, OwnerFolder | others);
        StateStore.Open(State).Dispose();
        Assert.Equal(OwnerFolder, File.GetUnixFileMode(State));

        File.SetUnixFileMode(State, OwnerFolder | others);
        Refused(() => StateStore.Open(State), State);
        Refused(() => new TunnelLog("hub", new FakeTimeProvider(), path: Path.Combine(State, "hub.log")).Dispose(), State);
        Refused(() => new UnixControlTransport(State, "1").Listen(), State);
    }

    [Fact]
    public void LinkOnTheWay_IsFollowed_OnlyIfNobodyElseMadeIt()
    {
        Directory.CreateDirectory(State, OwnerFolder);
        string shared = Directory.CreateDirectory(_folder.File("shared")).FullName;
        File.SetUnixFileMode(shared, All | UnixFileMode.StickyBit); // As /tmp is.
        string link = Path.Combine(shared, "link");
        File.CreateSymbolicLink(link, "../state");

        StateStore.Open(link).Dispose();
        GiveAway(link);
        Refused(() => StateStore.Open(link), link);
        Refused(() => StateStore.Open(Path.Combine(link, "below")), link);
        File.SetUnixFileMode(shared, All);
        Refused(() => StateStore.Open(Path.Combine(Directory.CreateDirectory(Path.Combine(shared, "own")).FullName, "state")), shared);
    }

    [Fact]
    public void LinksPlantedForTheFilesOfATunnel_AreNotFollowed()
    {
        Directory.CreateDirectory(State, OwnerFolder);
        Plant("process");
        Plant("state.json.new");
        using (StateStore store = StateStore.Open(State))
            store.Save(new NodeState { Role = TunnelRole.Client, PrivateKey = new byte[32] });
        Assert.Equal(
            Environment.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture),
            File.ReadAllText(Path.Combine(State, "process")));
        Assert.Null(new FileInfo(Path.Combine(State, StateStore.FileName)).LinkTarget);

        File.Delete(Path.Combine(State, StateStore.FileName));
        Plant(StateStore.FileName);
        using (StateStore store = StateStore.Open(State))
            Refused(() => store.Load(TunnelRole.Client), "symbolic link");

        File.Delete(Path.Combine(State, StateStore.LockName));
        Plant(StateStore.LockName);
        Refused(() => StateStore.Open(State), "symbolic link");
    }

    [Fact]
    public void FilesThatAreNotOnesOwn_AreNotOpened()
    {
        Directory.CreateDirectory(State, OwnerFolder);
        string path = Path.Combine(State, StateStore.LockName);
        Assert.Equal(0, CreateHardLink(_victim, path));
        Refused(() => StateStore.Open(State), "hard link");

        File.Delete(path);
        Assert.Equal(0, CreatePipe(path, 0x180));
        Refused(() => StateStore.Open(State), "no ordinary file");

        File.Delete(path);
        File.WriteAllText(path, string.Empty);
        GiveAway(path);
        Refused(() => StateStore.Open(State), "54321");
    }

    [Fact]
    public void LogFile_ThatIsALink_IsNotWritten()
    {
        string logs = Directory.CreateDirectory(_folder.File("logs"), OwnerFolder).FullName;
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 1, 31, 12, 0, 0, TimeSpan.Zero));
        string path = Path.Combine(logs, "hub.log");
        string planted = Path.Combine(logs, $"hub{time.GetLocalNow():yyyyMMdd}.log");
        File.CreateSymbolicLink(planted, _victim);
        Refused(() => new TunnelLog("hub", time, path: path).Dispose(), "symbolic link");

        // Planted after the check, by whoever could: it is not followed either.
        File.Delete(planted);
        using var log = new TunnelLog("hub", time, path: path);
        File.Delete(planted);
        File.CreateSymbolicLink(planted, _victim);
        log.Information("goes nowhere");
    }

    private static void Refused(Action action, string? named)
    {
        if (named is null)
        {
            action();
            return;
        }

        LightTunnelException exception = Assert.Throws<LightTunnelException>(action);
        Assert.Equal(LightTunnelError.FileAccess, exception.Error);
        Assert.Contains(named, exception.Message, StringComparison.Ordinal);
        Assert.NotEmpty(exception.RecommendedAction);
    }

    private void Plant(string name)
    {
        File.Delete(Path.Combine(State, name));
        File.CreateSymbolicLink(Path.Combine(State, name), _victim);
    }

    private static void GiveAway(string path) => Assert.Equal(0, ChangeOwner(path, Stranger, Stranger));

    [LibraryImport("libc", EntryPoint = "lchown", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int ChangeOwner(string path, uint user, uint group);

    [LibraryImport("libc", EntryPoint = "link", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int CreateHardLink(string existing, string added);

    [LibraryImport("libc", EntryPoint = "mkfifo", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int CreatePipe(string path, uint mode);
}
