namespace LightTunnel.Lab.Bench;

/// <summary>A tunnel between the hosts of a <see cref="BenchNetwork"/>, to be measured.</summary>
internal interface IBenchTunnel : IAsyncDisposable
{
    /// <summary>A name for the table.</summary>
    string Name { get; }

    /// <summary>The server's address in the tunnel.</summary>
    string ServerAddress { get; }

    /// <summary>The first client's address in the tunnel.</summary>
    string FirstAddress { get; }

    /// <summary>The second client's address in the tunnel.</summary>
    string SecondAddress { get; }

    /// <summary>The process that carries a host's packets.</summary>
    int ProcessOn(LabHost host);
}
