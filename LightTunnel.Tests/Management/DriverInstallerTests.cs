using System.Runtime.InteropServices;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Tests.Configuration;
using LightTunnel.Tests.Tun;
using Xunit;

namespace LightTunnel.Tests.Management;

/// <summary>From an archive on the disk to the library beside the engine; the download itself is not run.</summary>
public sealed class DriverInstallerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _archive;
    private readonly DriverInstaller _installer;

    public DriverInstallerTests()
    {
        (byte[] archive, string hash) = WintunPackageTests.PackAll();
        _archive = Path.Combine(_folder.Path, "wintun.zip");
        File.WriteAllBytes(_archive, archive);
        _installer = new DriverInstaller(Directory.CreateDirectory(Path.Combine(_folder.Path, "Engine")).FullName, hash, isWindows: true);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Library_IsPutBesideTheEngine_Once()
    {
        InstalledDriver first = await _installer.InstallAsync(_archive, Token);
        InstalledDriver second = await _installer.InstallAsync(_archive, Token);

        Assert.Equal(
            new InstalledDriver(Path.Combine(_folder.Path, "Engine", "wintun.dll"), "0.14.1", RuntimeInformation.ProcessArchitecture, true),
            first);
        Assert.Equal(first with { IsNew = false }, second);
        Assert.True(File.Exists(first.Path));
    }

    [Fact]
    public async Task AnotherArchive_InstallsNothing()
    {
        await File.AppendAllTextAsync(_archive, "more", Token);

        LightTunnelException error = await Assert.ThrowsAsync<LightTunnelException>(() => _installer.InstallAsync(_archive, Token));

        Assert.Equal(LightTunnelError.UntrustedFile, error.Error);
        Assert.False(File.Exists(_installer.Target));
    }

    [Fact]
    public async Task ArchiveThatIsNotThere_IsAnError()
    {
        LightTunnelException error = await Assert.ThrowsAsync<LightTunnelException>(
            () => _installer.InstallAsync(Path.Combine(_folder.Path, "gone.zip"), Token));

        Assert.Equal(LightTunnelError.FileAccess, error.Error);
        Assert.Contains("gone.zip", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Linux_NeedsNone_AndNothingIsInstalled()
    {
        var installer = new DriverInstaller(_folder.Path, hash: null, isWindows: false);

        LightTunnelException error = await Assert.ThrowsAsync<LightTunnelException>(() => installer.InstallAsync(_archive, Token));

        Assert.Equal(LightTunnelError.NotNeeded, error.Error);
        Assert.False(File.Exists(installer.Target));
    }
}
