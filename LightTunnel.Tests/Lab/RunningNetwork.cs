using LightTunnel.Lab;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>The classes that share one running network; they run one after the other.</summary>
[CollectionDefinition(nameof(RunningNetwork))]
public sealed class RunningNetworkSet : ICollectionFixture<RunningNetwork>;

/// <summary>
/// The hosts of <see cref="LabFixture"/>, joined into one network: server 10.0.0.1, alice .10, bob .20, and the same in fd00:9::/64. Alice
/// and bob cannot reach each other directly.
/// </summary>
public sealed class RunningNetwork : IAsyncLifetime
{
    private readonly LabFixture _fixture = new();
    private bool _joined;

    internal Laboratory Laboratory => _fixture.Laboratory;

    internal LabNode Server => _fixture.Server;

    internal LabNode Alice => _fixture.Alice;

    internal LabNode Bob => _fixture.Bob;

    internal static readonly System.Net.IPAddress BobAddress = System.Net.IPAddress.Parse("10.0.0.20");

    /// <summary>The line that the members joined with.</summary>
    internal string Invitation { get; private set; } = string.Empty;

    public async ValueTask InitializeAsync() => await _fixture.InitializeAsync();

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    /// <summary>Starts the network's server on the host "server".</summary>
    internal static Task<ShellResult> StartServerAsync(Laboratory laboratory) => laboratory["server"].Shell.InvokeAsync(
        "Start-LtServer -Address 10.0.0.1/24, fd00:9::1/64 -ListenPort 9000 -Endpoint 203.0.113.1:9000",
        cancellationToken: TestContext.Current.CancellationToken);

    /// <summary>Makes one network of the hosts of a laboratory.</summary>
    /// <returns>The invitation.</returns>
    internal static async Task<string> JoinAllAsync(Laboratory laboratory)
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        await StartServerAsync(laboratory);
        string invitation =
            (await laboratory["server"].Shell.InvokeAsync("\"$(New-LtInvitation)\"", cancellationToken: token)).Single().ToString();
        foreach ((string name, string number) in new[] { ("alice", "10"), ("bob", "20") })
        {
            await laboratory[name].Shell.InvokeAsync(
                "param($Invitation, $Address) Connect-LtNetwork -Invitation $Invitation -Address $Address",
                new { Invitation = invitation, Address = new[] { $"10.0.0.{number}", $"fd00:9::{number}" } }, cancellationToken: token);
        }

        return invitation;
    }

    /// <summary>Sets the network up at the first use; skips the test where there can be no laboratory.</summary>
    internal async Task JoinAsync()
    {
        Laboratory laboratory = Laboratory;
        if (_joined)
            return;
        laboratory.CutBetween("alice", "bob"); // So that there is something to relay.
        Invitation = await JoinAllAsync(laboratory);
        _joined = true;
    }
}
