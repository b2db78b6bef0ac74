using System.Net.Sockets;
using System.Security.Cryptography;
using LightTunnel.Addressing;

namespace LightTunnel.PortMapping;

/// <summary>PCP and NAT-PMP: a <see cref="GatewayDialogue"/> on real sockets.</summary>
internal sealed class UdpPortControl : IPortControl
{
    private const int RemovalAttempts = 3;
    private static readonly TimeSpan RemovalTimeout = TimeSpan.FromMilliseconds(250);

    private readonly Gateway _gateway;
    private readonly GatewayPorts _ports;
    private readonly TimeProvider _time;
    private readonly UdpEndpoint _client;
    private readonly UInt128 _nonce = NewNonce();
    private GatewayDialogue _dialogue;
    private GatewayDialogue? _holder;

    /// <param name="gateway">The gateway.</param>
    /// <param name="port">The node's port.</param>
    /// <param name="ports">Where the gateway listens.</param>
    /// <param name="time">The time.</param>
    public UdpPortControl(Gateway gateway, ushort port, GatewayPorts ports, TimeProvider time)
    {
        _gateway = gateway;
        _ports = ports;
        _time = time;
        _client = new UdpEndpoint(gateway.LocalAddress, port);
        _dialogue = NewDialogue();
    }

    /// <inheritdoc/>
    public async Task<PortMappingStatus> KeepAsync(Action<PortMappingStatus> report, CancellationToken cancellationToken)
    {
        _dialogue = NewDialogue();
        try
        {
            using var sockets = new GatewaySockets(_gateway, _ports);
            return await KeepAsync(sockets, report, cancellationToken).ConfigureAwait(false);
        }
        catch (SocketException)
        {
            return End(PortMappingState.NotAvailable, "The router cannot be reached.");
        }
    }

    /// <inheritdoc/>
    public async Task RemoveAsync(CancellationToken cancellationToken)
    {
        if (_holder is null)
            return;
        byte[] request = new byte[GatewayDialogue.MaximumRequestLength];
        int length = _holder.WriteRemoval(request);
        try
        {
            using var sockets = new GatewaySockets(_gateway, _ports);
            for (int attempt = 0; attempt < RemovalAttempts; attempt++)
            {
                await sockets.SendAsync(request.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
                if ((await sockets.ReceiveAsync(RemovalTimeout, _time, cancellationToken).ConfigureAwait(false)).What is GatewayEvent.Answer
                    or GatewayEvent.NobodyListens)
                {
                    return;
                }
            }
        }
        catch (SocketException)
        {
            // The network is gone; so is whom to tell.
        }
    }

    private async Task<PortMappingStatus> KeepAsync(
        GatewaySockets sockets, Action<PortMappingStatus> report, CancellationToken cancellationToken)
    {
        byte[] request = new byte[GatewayDialogue.MaximumRequestLength];
        while (true)
        {
            int length = _dialogue.TakeRequest(request);
            if (length > 0)
                await sockets.SendAsync(request.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
            if (_dialogue.IsOver)
                return End();
            (GatewayEvent what, byte[] data) = await sockets.ReceiveAsync(
                _dialogue.UntilNext, _time, cancellationToken).ConfigureAwait(false);
            switch (what)
            {
                case GatewayEvent.Answer when _dialogue.Receive(data) && !_dialogue.IsOver:
                    if (_dialogue.State == DialogueState.Mapped)
                        _holder = _dialogue;
                    report(Now());
                    break;
                case GatewayEvent.Announcement:
                    _dialogue.ReceiveAnnouncement(data);
                    break;
                case GatewayEvent.NobodyListens:
                    _dialogue.NobodyListens();
                    break;
            }
        }
    }

    private PortMappingStatus Now() => _dialogue.State == DialogueState.Mapped
        ? new PortMappingStatus(PortMappingState.Mapped)
        {
            Protocol = _dialogue.Protocol,
            Gateway = _gateway.Address,
            External = _dialogue.External,
            LeaseEnd = _time.GetUtcNow() + _dialogue.LeaseLeft,
        }
        : new PortMappingStatus(PortMappingState.Searching) { Gateway = _gateway.Address };

    private PortMappingStatus End() => _dialogue.State switch
    {
        DialogueState.Refused => End(PortMappingState.Refused, _dialogue.Refusal),
        DialogueState.NotSupported => End(PortMappingState.NotAvailable, "The router knows neither PCP nor NAT-PMP."),
        _ => End(PortMappingState.NotAvailable, "The router does not answer to PCP or NAT-PMP."),
    };

    private PortMappingStatus End(PortMappingState state, string? reason) =>
        new(state)
        {
            Protocol = state == PortMappingState.Refused ? _dialogue.Protocol : PortMappingProtocol.None,
            Gateway = _gateway.Address,
            Reason = reason,
        };

    /// <summary>Not even the gateway can guess it before it is asked.</summary>
    private static UInt128 NewNonce()
    {
        Span<byte> bytes = stackalloc byte[16];
        RandomNumberGenerator.Fill(bytes[..(PcpMessages.NonceBits / 8)]);
        return System.Buffers.Binary.BinaryPrimitives.ReadUInt128LittleEndian(bytes);
    }

    private GatewayDialogue NewDialogue() =>
        new(_time, Random.Shared.NextDouble, _client, _nonce, _holder?.Wish ?? UdpEndpoint.FromIPv4(0, _client.Port));
}
