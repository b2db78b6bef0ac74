using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Xml;
using LightTunnel.Transport;

namespace LightTunnel.PortMapping;

/// <summary>A gateway could not be asked, or did not answer as it should.</summary>
internal sealed class IgdException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>
/// Speaks UPnP with the gateway and nobody else: every connection goes to its address, whatever a document says; no proxy, no redirects, no
/// cookies, and an end to size and time.
/// </summary>
internal sealed class IgdClient : IDisposable
{
    private const int SearchRounds = 2;
    private static readonly IPAddress AllDevices = new([239, 255, 255, 250]);
    private static readonly TimeSpan RoundTime = TimeSpan.FromSeconds(1.25); // Devices answer within the second that the search says.
    private static readonly TimeSpan CallTime = TimeSpan.FromSeconds(4);

    private readonly Gateway _gateway;
    private readonly int _ssdpPort;
    private readonly TimeProvider _time;
    private readonly HttpClient _http;

    public IgdClient(Gateway gateway, GatewayPorts ports, TimeProvider time)
    {
        _gateway = gateway;
        _ssdpPort = ports.Ssdp;
        _time = time;
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            MaxResponseHeadersLength = 16,
            ConnectCallback = (context, cancellationToken) => ConnectAsync(context.DnsEndPoint.Port, cancellationToken),
        };
        _http = new HttpClient(handler) { Timeout = CallTime, MaxResponseContentBufferSize = IgdMessages.MaximumLength };
    }

    /// <summary>Finds the gateway's services that forward ports, the best first; none when it does not answer.</summary>
    public async Task<IReadOnlyList<IgdService>> FindServicesAsync(CancellationToken cancellationToken)
    {
        IgdException? failure = null;
        await foreach (Uri location in SearchAsync(cancellationToken).ConfigureAwait(false))
        {
            try
            {
                byte[] description = await SendAsync(
                    new HttpRequestMessage(HttpMethod.Get, location), cancellationToken).ConfigureAwait(false);
                IReadOnlyList<IgdService> services = Read(() => IgdMessages.ReadServices(description, location, _gateway.Address));
                if (services.Count > 0)
                    return services;
            }
            catch (IgdException exception)
            {
                failure = exception; // A router may have other devices, and other descriptions, beside it.
            }
        }

        return failure is null ? [] : throw failure;
    }

    /// <summary>Calls an action of a service.</summary>
    /// <exception cref="IgdException">There was no answer, or none that can be read.</exception>
    public async Task<IgdAnswer> CallAsync(
        IgdService service, string action, IEnumerable<(string Name, string Value)> arguments, CancellationToken cancellationToken)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, service.Control)
        {
            Content = new ByteArrayContent(IgdMessages.WriteCall(service.Type, action, arguments)),
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("text/xml") { CharSet = "\"utf-8\"" };
        request.Headers.TryAddWithoutValidation("SOAPAction", $"\"{service.Type}#{action}\"");
        byte[] answer = await SendAsync(request, cancellationToken).ConfigureAwait(false);
        return Read(() => IgdMessages.ReadAnswer(answer, action));
    }

    public void Dispose() => _http.Dispose();

    /// <summary>Where the gateway has descriptions; ends after the last round of searching.</summary>
    private async IAsyncEnumerable<Uri> SearchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using Socket? socket = TryOpen();
        if (socket is null)
            yield break;
        var seen = new HashSet<Uri>();
        for (int round = 0; round < SearchRounds; round++)
        {
            byte[] search = SsdpMessages.Search(round == 0 ? SsdpMessages.InternetGatewayDevice : SsdpMessages.RootDevice);
            await TrySendAsync(socket, search, AllDevices, cancellationToken).ConfigureAwait(false);
            await TrySendAsync(socket, search, _gateway.Address, cancellationToken).ConfigureAwait(false);
            using var timeout = new CancellationTokenSource(RoundTime, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
            while (seen.Count < 8 && await ReceiveLocationAsync(socket, either.Token).ConfigureAwait(false) is { } location)
            {
                if (seen.Add(location))
                    yield return location;
            }

            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private Socket? TryOpen()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        TunnelMark.TrySet(socket);
        try
        {
            socket.Bind(new IPEndPoint(_gateway.LocalAddress, 0));
            socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.MulticastInterface, _gateway.LocalAddress.GetAddressBytes());
            socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.MulticastTimeToLive, 2);
            return socket;
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
    }

    private async Task TrySendAsync(Socket socket, byte[] search, IPAddress address, CancellationToken cancellationToken)
    {
        try
        {
            await socket.SendToAsync(search, new IPEndPoint(address, _ssdpPort), cancellationToken).ConfigureAwait(false);
        }
        catch (SocketException)
        {
            // The other way may work.
        }
    }

    /// <summary>The next location on the gateway; null when time is over.</summary>
    private async Task<Uri?> ReceiveLocationAsync(Socket socket, CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[SsdpMessages.MaximumLength];
        var anyone = new IPEndPoint(IPAddress.Any, 0);
        while (true)
        {
            try
            {
                SocketReceiveFromResult received = await socket.ReceiveFromAsync(
                    buffer, SocketFlags.None, anyone, cancellationToken).ConfigureAwait(false);
                if (((IPEndPoint)received.RemoteEndPoint).Address.Equals(_gateway.Address)
                    && SsdpMessages.TryReadLocation(buffer.AsSpan(0, received.ReceivedBytes), out Uri? location)
                    && IgdMessages.IsOf(location!, _gateway.Address))
                {
                    return location;
                }
            }
            catch (SocketException exception) when (exception.SocketErrorCode is SocketError.ConnectionReset or SocketError.MessageSize)
            {
                // Windows tells here that nobody takes searches at the gateway itself; others may answer yet.
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException)
            {
                return null;
            }
        }
    }

    private async ValueTask<Stream> ConnectAsync(int port, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        TunnelMark.TrySet(socket);
        try
        {
            socket.Bind(new IPEndPoint(_gateway.LocalAddress, 0));
            await socket.ConnectAsync(_gateway.Address, port, cancellationToken).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task<byte[]> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        try
        {
            using (request)
            using (HttpResponseMessage response = await _http.SendAsync(request, cancellationToken).ConfigureAwait(false))
            {
                // A refused call is status 500 with the reason in the document.
                return response.StatusCode is HttpStatusCode.OK or HttpStatusCode.InternalServerError
                    ? await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false)
                    : throw new IgdException($"The router answered HTTP {(int)response.StatusCode} to UPnP.");
            }
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException
            || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new IgdException("The router does not answer to UPnP.", exception);
        }
    }

    private static T Read<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (XmlException exception)
        {
            throw new IgdException("The router's answer to UPnP cannot be read.", exception);
        }
    }
}
