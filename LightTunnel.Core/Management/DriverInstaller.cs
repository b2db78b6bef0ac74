using System.Runtime.InteropServices;
using LightTunnel.Diagnostics;
using LightTunnel.Tun;

namespace LightTunnel.Management;

/// <summary>The driver's library, as it was installed.</summary>
/// <param name="Path">Its file.</param>
/// <param name="Version">Its version, "0.14.1".</param>
/// <param name="Architecture">The kind of processor that it is for.</param>
/// <param name="IsNew">False when it was there already.</param>
public sealed record InstalledDriver(string Path, string Version, Architecture Architecture, bool IsNew);

/// <summary>Gets the library that Windows needs for tunnel interfaces, and puts it where the engine looks for it.</summary>
public sealed class DriverInstaller
{
    private static readonly TimeSpan DownloadTime = TimeSpan.FromMinutes(2);

    private readonly string _folder;
    private readonly string? _hash;
    private readonly bool _isWindows;

    /// <summary>For the engine of this process.</summary>
    public DriverInstaller()
        : this(WintunPackage.Folder, hash: null, OperatingSystem.IsWindows())
    {
    }

    /// <summary>For tests: another folder, and an archive that has another hash.</summary>
    internal DriverInstaller(string folder, string? hash, bool isWindows)
    {
        _folder = folder;
        _hash = hash;
        _isWindows = isWindows;
    }

    /// <summary>Where the library belongs.</summary>
    public string Target => Path.Combine(_folder, WintunPackage.Library);

    /// <summary>Refuses systems that have no use for it.</summary>
    /// <exception cref="LightTunnelException">This is no Windows.</exception>
    public void CheckSystem()
    {
        if (!_isWindows)
        {
            throw new LightTunnelException(
                LightTunnelError.NotNeeded, "Linux has tunnel interfaces of its own and needs no driver.",
                "Go on with Start-LtServer or Connect-LtNetwork; they say so where /dev/net/tun is missing.");
        }
    }

    /// <summary>Installs it, from a file or from where it is published.</summary>
    /// <param name="archive">A downloaded archive; null downloads it.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="LightTunnelException">Nothing was installed, with the reason.</exception>
    public async Task<InstalledDriver> InstallAsync(string? archive, CancellationToken cancellationToken)
    {
        CheckSystem();
        WintunPackage package = archive is null
            ? await DownloadAsync(cancellationToken).ConfigureAwait(false)
            : await ReadAsync(archive, cancellationToken).ConfigureAwait(false);
        Architecture processor = RuntimeInformation.ProcessArchitecture;
        bool isNew = WintunPackage.Place(package.Extract(processor), Target);
        return new InstalledDriver(Target, WintunPackage.Version, processor, isNew);
    }

    private async Task<WintunPackage> ReadAsync(string archive, CancellationToken cancellationToken)
    {
        try
        {
            await using var stream = new FileStream(archive, FileMode.Open, FileAccess.Read, FileShare.Read);
            return await WintunPackage.ReadAsync(stream, archive, _hash, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new LightTunnelException(
                LightTunnelError.FileAccess, $"'{archive}' could not be read: {exception.Message}", "Check the path and its permissions.",
                exception) { Target = archive };
        }
    }

    private async Task<WintunPackage> DownloadAsync(CancellationToken cancellationToken)
    {
        string source = WintunPackage.Source.AbsoluteUri;
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(DownloadTime);
        try
        {
            using var client = new HttpClient();
            await using Stream stream = await client.GetStreamAsync(WintunPackage.Source, deadline.Token).ConfigureAwait(false);
            return await WintunPackage.ReadAsync(stream, source, _hash, deadline.Token).ConfigureAwait(false);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested
            && exception is HttpRequestException or IOException or OperationCanceledException)
        {
            string reason = exception is OperationCanceledException
                ? $"it took longer than {DownloadTime.TotalMinutes:0} minutes"
                : exception.Message.TrimEnd('.');
            throw new LightTunnelException(
                LightTunnelError.NetworkUnavailable, $"{source} could not be downloaded: {reason}.",
                "Download it on another machine, copy it to this one, and give it with -Path.", exception) { Target = source };
        }
    }
}
