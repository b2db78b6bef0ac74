using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting.Systemd;

namespace LightTunnel.Tests.Services;

/// <summary>Keeps what systemd would have been told, as sd_notify(3) writes it. Any thread.</summary>
internal sealed class NotifiedSystemd : ISystemdNotifier
{
    private readonly ConcurrentQueue<string> _told = new();

    /// <summary>"READY=1", and so on, in order.</summary>
    public IReadOnlyCollection<string> Told => _told;

    public bool IsEnabled => true;

    public void Notify(ServiceState state) => _told.Enqueue(state.ToString());
}
