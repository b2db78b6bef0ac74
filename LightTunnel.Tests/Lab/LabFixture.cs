using LightTunnel.Lab;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>
/// A server and two clients, 10 ms apart, each a PowerShell session with the staged module: for classes of tests that drive a network
/// through the commands. Use it as a class fixture; take other topologies from <see cref="StartAsync"/>.
/// </summary>
public sealed class LabFixture : IAsyncLifetime
{
    private Laboratory? _laboratory;

    /// <summary>The hosts "server", "alice" and "bob"; skips the test when this machine cannot have a laboratory.</summary>
    internal Laboratory Laboratory
    {
        get
        {
            Prerequisites.SkipUnlessLaboratory();
            return _laboratory!;
        }
    }

    /// <summary>False when this machine cannot have a laboratory.</summary>
    public bool IsPossible => _laboratory is not null;

    internal LabNode Server => Laboratory["server"];

    internal LabNode Alice => Laboratory["alice"];

    internal LabNode Bob => Laboratory["bob"];

    /// <summary>Sets up any hosts, a shell with the module on each; skips the test when this machine cannot have a laboratory.</summary>
    internal static Task<Laboratory> StartAsync(Topology topology)
    {
        Prerequisites.SkipUnlessLaboratory();
        return Laboratory.StartAsync(topology, cancellationToken: TestContext.Current.CancellationToken);
    }

    public async ValueTask InitializeAsync()
    {
        if (Prerequisites.FirstMissing(SetupCheck.ForDemo()) is null)
        {
            _laboratory = await Laboratory.StartAsync(
                Topology.OpenHosts(TimeSpan.FromMilliseconds(10), "server", "alice", "bob"),
                cancellationToken: TestContext.Current.CancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_laboratory is not null)
            await _laboratory.DisposeAsync();
    }
}
