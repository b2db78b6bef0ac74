using System.Globalization;
using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Timing;

namespace LightTunnel.PortMapping;

/// <summary>UPnP Internet Gateway Device: searches the gateway's services, and has one forward the port.</summary>
/// <param name="gateway">The gateway.</param>
/// <param name="port">The node's port.</param>
/// <param name="ports">Where the gateway listens.</param>
/// <param name="time">The time.</param>
internal sealed class UpnpPortControl(Gateway gateway, ushort port, GatewayPorts ports, TimeProvider time) : IPortControl
{
    /// <summary>What an admin reads in the router's list.</summary>
    private const string Description = "LightTunnel";

    // WANIPConnection:1 section 2.4.16.3 and WANIPConnection:2 section 2.5.16.
    private const int ConflictInMappingEntry = 718, OnlyPermanentLeases = 725, Conflicts = 729;

    private const int PortAttempts = 4;
    private static readonly TimeSpan ShortestWait = TimeSpan.FromSeconds(30);

    private IgdService? _service;
    private int _externalPort;
    private bool _permanent;
    private bool _isMapped;

    /// <inheritdoc/>
    public async Task<PortMappingStatus> KeepAsync(Action<PortMappingStatus> report, CancellationToken cancellationToken)
    {
        using var client = new IgdClient(gateway, ports, time);
        Timestamp leaseEnd = time.Now();
        while (true)
        {
            PortMappingStatus status;
            try
            {
                status = await MapAsync(client, cancellationToken).ConfigureAwait(false);
            }
            catch (IgdException exception)
            {
                status = End(PortMappingState.NotAvailable, exception.Message);
                _service = null; // A router that was restarted may have it elsewhere.
            }

            TimeSpan left;
            if (status.State == PortMappingState.Mapped)
            {
                report(status);
                left = MappingLease.Requested;
                leaseEnd = time.Now() + left;
            }
            else
            {
                left = leaseEnd - time.Now();
                if (status.State == PortMappingState.Refused || left <= TimeSpan.Zero)
                    return status;
            }

            TimeSpan wait = MappingLease.RenewAfter(left, Random.Shared.NextDouble());
            await Task.Delay(wait > ShortestWait ? wait : ShortestWait, time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async Task RemoveAsync(CancellationToken cancellationToken)
    {
        if (!_isMapped || _service is null)
            return;
        using var client = new IgdClient(gateway, ports, time);
        try
        {
            await client.CallAsync(_service, "DeletePortMapping", Entry(), cancellationToken).ConfigureAwait(false);
        }
        catch (IgdException)
        {
            // The lease ends by itself.
        }
    }

    private async Task<PortMappingStatus> MapAsync(IgdClient client, CancellationToken cancellationToken)
    {
        IPAddress? address = _service is null ? null : await ReadAddressAsync(client, _service, cancellationToken).ConfigureAwait(false);
        if (address is null)
        {
            IReadOnlyList<IgdService> services = await client.FindServicesAsync(cancellationToken).ConfigureAwait(false);
            if (services.Count == 0)
                return End(PortMappingState.NotAvailable, "The router does not answer to UPnP.");
            foreach (IgdService service in services)
            {
                _service = service;
                address = await ReadAddressAsync(client, service, cancellationToken).ConfigureAwait(false);
                if (address is not null)
                    break;
            }
        }

        if (address is null)
            return End(PortMappingState.Refused, GatewayResults.NoAddress);
        int error = await AddAsync(client, _service!, cancellationToken).ConfigureAwait(false);
        if (error != 0)
            return End(PortMappingState.Refused, GatewayResults.Describe(PortMappingProtocol.UpnpIgd, error));
        _isMapped = true;
        return new PortMappingStatus(PortMappingState.Mapped)
        {
            Protocol = PortMappingProtocol.UpnpIgd,
            Gateway = gateway.Address,
            External = new UdpEndpoint(address, _externalPort),
            LeaseEnd = _permanent ? null : time.GetUtcNow() + MappingLease.Requested,
        };
    }

    /// <summary>A service's external address; null for one whose connection is down.</summary>
    private static async Task<IPAddress?> ReadAddressAsync(IgdClient client, IgdService service, CancellationToken cancellationToken)
    {
        IgdAnswer answer = await client.CallAsync(service, "GetExternalIPAddress", [], cancellationToken).ConfigureAwait(false);
        return answer.Values.TryGetValue("NewExternalIPAddress", out string? text) && IPAddress.TryParse(text, out IPAddress? address)
            && new UdpEndpoint(address, 1) is { IsIPv4: true } endpoint && Candidate.IsUsable(endpoint) ? address : null;
    }

    /// <summary>Adds or renews the entry, at another port when the first choice is somebody else's.</summary>
    /// <returns>The error code, 0 for success.</returns>
    private async Task<int> AddAsync(IgdClient client, IgdService service, CancellationToken cancellationToken)
    {
        int error = ConflictInMappingEntry;
        for (int attempt = 0; attempt < PortAttempts && error is ConflictInMappingEntry or Conflicts; attempt++)
        {
            if (_externalPort == 0 || attempt > 0)
                _externalPort = attempt == 0 ? port : Random.Shared.Next(49152, 65536);
            if (!_isMapped && await IsTakenAsync(client, service, cancellationToken).ConfigureAwait(false))
                continue;
            error = await AddOnceAsync(client, service, cancellationToken).ConfigureAwait(false);
            if (error == OnlyPermanentLeases && !_permanent)
            {
                _permanent = true;
                error = await AddOnceAsync(client, service, cancellationToken).ConfigureAwait(false);
            }
        }

        return error;
    }

    /// <summary>True when the entry belongs to another machine or program: some gateways would simply give it to us.</summary>
    private async Task<bool> IsTakenAsync(IgdClient client, IgdService service, CancellationToken cancellationToken)
    {
        IgdAnswer answer = await client.CallAsync(service, "GetSpecificPortMappingEntry", Entry(), cancellationToken).ConfigureAwait(false);
        return answer.Error is null
            && answer.Values.TryGetValue("NewInternalClient", out string? host) && host.Length > 0
            && (host != gateway.LocalAddress.ToString() || answer.Values.GetValueOrDefault("NewInternalPort") != Text(port));
    }

    private async Task<int> AddOnceAsync(IgdClient client, IgdService service, CancellationToken cancellationToken)
    {
        IgdAnswer answer = await client.CallAsync(
            service,
            "AddPortMapping",
            [
                .. Entry(),
                ("NewInternalPort", Text(port)),
                ("NewInternalClient", gateway.LocalAddress.ToString()),
                ("NewEnabled", "1"),
                ("NewPortMappingDescription", Description),
                ("NewLeaseDuration", Text(_permanent ? 0 : (int)MappingLease.Requested.TotalSeconds)),
            ],
            cancellationToken).ConfigureAwait(false);
        return answer.Error ?? 0;
    }

    private (string Name, string Value)[] Entry() =>
        [("NewRemoteHost", ""), ("NewExternalPort", Text(_externalPort)), ("NewProtocol", "UDP")];

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private PortMappingStatus End(PortMappingState state, string reason) =>
        new(state)
        {
            Protocol = state == PortMappingState.Refused ? PortMappingProtocol.UpnpIgd : PortMappingProtocol.None,
            Gateway = gateway.Address,
            Reason = reason,
        };
}
