namespace LightTunnel.PortMapping;

/// <summary>Keeps a UDP port of the router forwarded to this node. All members may be called from any thread.</summary>
internal interface IPortMapper : IDisposable
{
    /// <summary>What is known now.</summary>
    PortMappingStatus Status { get; }

    /// <summary>Begins; once only.</summary>
    /// <param name="internalPort">The port that the node listens on; also the first choice for the router's port.</param>
    /// <param name="changed">Called, on any thread, whenever <see cref="Status"/> has become another, until it is stopped.</param>
    void Start(ushort internalPort, Action changed);

    /// <summary>
    /// The network has changed, or the machine woke up, or others see it at another address: looks for the router at once and asks it
    /// again. A mapping that there was counts until the answer is in.
    /// </summary>
    void Refresh();

    /// <summary>
    /// Ends, and removes the mapping; gives up after about a second, as the router forgets it by itself at the lease's end.
    /// </summary>
    Task StopAsync(CancellationToken cancellationToken);
}

/// <summary>Asks nobody.</summary>
internal sealed class NoPortMapper : IPortMapper
{
    /// <inheritdoc/>
    public PortMappingStatus Status => PortMappingStatus.Disabled;

    /// <inheritdoc/>
    public void Start(ushort internalPort, Action changed)
    {
    }

    /// <inheritdoc/>
    public void Refresh()
    {
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
