using System.Diagnostics;

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

    /// <summary>Processes that carry the first client's packets.</summary>
    IReadOnlyList<int> FirstProcesses { get; }
}

/// <summary>What the kernel tells about processes.</summary>
internal static class ProcessMemory
{
    /// <summary>Resident memory of processes, bytes.</summary>
    public static long Resident(IEnumerable<int> processIds)
    {
        long sum = 0;
        foreach (int id in processIds)
        {
            using var process = Process.GetProcessById(id);
            sum += process.WorkingSet64;
        }

        return sum;
    }
}
