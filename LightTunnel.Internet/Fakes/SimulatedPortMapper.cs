using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Simulation;
using LightTunnel.PortMapping;

namespace LightTunnel.Internet.Fakes;

/// <summary>Has the NAT before a host forward a port when its settings say so, without a word on any wire; for one thread.</summary>
internal sealed class SimulatedPortMapper(SimulatedHost host, VirtualTime time) : IPortMapper
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(1);

    private ushort _port;
    private Action? _changed;

    public PortMappingStatus Status { get; private set; } = PortMappingStatus.Disabled;

    public void Start(ushort internalPort, Action changed)
    {
        _port = internalPort;
        _changed = changed;
        Refresh();
    }

    public void Refresh()
    {
        PortMappingStatus status = Ask();
        if (status == Status)
            return;
        Status = status;
        _changed?.Invoke();
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        host.Parent?.Nat.StopForwarding(NatProtocol.Udp, Inside);
        Status = PortMappingStatus.Disabled;
        return Task.CompletedTask;
    }

    public void Dispose() => Status = PortMappingStatus.Disabled;

    private UdpEndpoint Inside => new(host.Address, _port);

    private PortMappingStatus Ask()
    {
        if (host.Parent is SimulatedNat { Claims: { } claimed })
        {
            return new PortMappingStatus(PortMappingState.Mapped)
            {
                Protocol = PortMappingProtocol.UpnpIgd, External = new UdpEndpoint(claimed, _port), LeaseEnd = time.GetUtcNow() + Lifetime,
            };
        }

        if (host.Parent?.Nat is not { Settings.Forwarding: not PortForwarding.None } nat)
            return new PortMappingStatus(PortMappingState.NotAvailable) { Reason = "The router forwards no ports." };
        return nat.TryForward(time.Elapsed, NatProtocol.Udp, Inside, _port, Lifetime, out UdpEndpoint external)
            ? new PortMappingStatus(PortMappingState.Mapped)
            {
                Protocol = PortMappingProtocol.Pcp, External = external, LeaseEnd = time.GetUtcNow() + Lifetime,
            }
            : new PortMappingStatus(PortMappingState.Refused)
            {
                Protocol = PortMappingProtocol.Pcp, Reason = "The router has no free port.",
            };
    }
}
