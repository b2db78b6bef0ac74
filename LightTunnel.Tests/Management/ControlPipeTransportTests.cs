using System.Runtime.Versioning;
using LightTunnel.Management;
using Xunit;

namespace LightTunnel.Tests.Management;

/// <summary>What of the control pipe of Windows is no pipe: who is found in its folder.</summary>
[SupportedOSPlatform("windows")]
public sealed class ControlPipeTransportTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lt-pipes");
    private readonly List<string> _warnings = [];

    public void Dispose()
    {
        if (Directory.Exists(_folder.FullName))
            _folder.Delete(recursive: true);
    }

    [Fact]
    public void FindProcesses_TakesPipesNamedByAProcess()
    {
        foreach (string name in (string[])["LightTunnel.12", "LightTunnel.7", "LightTunnel.x", "LightTunnel.", "LightTunnel.-3", "other.5",
            $"LightTunnel.{Environment.ProcessId}"])
        {
            File.WriteAllText(Path.Combine(_folder.FullName, name), string.Empty);
        }

        Assert.Equal([7, 12], new ControlPipeTransport(_folder.FullName).FindProcesses(_warnings));
        Assert.Empty(_warnings);
    }

    [Fact]
    public async Task FolderThatCannotBeListed_IsAWarning_AndNoError()
    {
        _folder.Delete();
        TunnelSearch search = await new ControlSocketClient(new ControlPipeTransport(_folder.FullName), TimeProvider.System)
            .FindAsync(ControlSocketClient.CallTimeout, TestContext.Current.CancellationToken);

        Assert.Empty(search.Tunnels);
        Assert.Contains(_folder.FullName, Assert.Single(search.Warnings), StringComparison.Ordinal);
    }
}
