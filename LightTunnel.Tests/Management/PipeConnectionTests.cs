using System.IO.Pipes;
using LightTunnel.Management;
using Xunit;

namespace LightTunnel.Tests.Management;

/// <summary>Real pipes, as the framework makes them on every system.</summary>
public sealed class PipeConnectionTests
{
    private readonly string _name = $"lt-test-{Guid.NewGuid():N}";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task NoPipe_IsSaid_InsteadOfWaitedFor()
    {
        await using NamedPipeClientStream client = Client();

        Assert.False(await PipeConnection.TryConnectAsync(client, () => false, Token));
    }

    [Fact]
    public async Task PipeThatGoesWhileItIsWaitedFor_IsSaid()
    {
        await using NamedPipeClientStream client = Client();
        int asked = 0;

        Assert.False(await PipeConnection.TryConnectAsync(client, () => ++asked < 3, Token));
        Assert.Equal(3, asked);
    }

    [Fact]
    public async Task PipeWithoutAFreeInstance_IsWaitedFor()
    {
        await using NamedPipeClientStream client = Client();
        NamedPipeServerStream? server = null;
        int asked = 0;

        // It becomes free while it is waited for.
        bool isConnected = await PipeConnection.TryConnectAsync(
            client,
            () =>
            {
                if (++asked == 2)
                    server = new NamedPipeServerStream(_name, PipeDirection.InOut, 1, PipeTransmissionMode.Byte, PipeOptions.Asynchronous);
                return true;
            },
            Token);

        Assert.True(isConnected && client.IsConnected);
        await server!.DisposeAsync();
    }

    [Fact]
    public async Task Waiting_CanBeGivenUp()
    {
        await using NamedPipeClientStream client = Client();
        using var ended = new CancellationTokenSource();
        int asked = 0;

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => PipeConnection.TryConnectAsync(
            client,
            () =>
            {
                if (++asked == 2)
                    ended.Cancel();
                return true;
            },
            ended.Token));
    }

    private NamedPipeClientStream Client() => new(".", _name, PipeDirection.InOut, PipeOptions.Asynchronous);
}
