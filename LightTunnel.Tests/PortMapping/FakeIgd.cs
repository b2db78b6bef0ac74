using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Xml.Linq;

namespace LightTunnel.Tests.PortMapping;

/// <summary>
/// A UPnP gateway on the loopback: it answers searches, describes itself and keeps a table of forwarded ports. What it says
/// can be replaced.
/// </summary>
internal sealed class FakeIgd : IDisposable
{
    private const string ServiceType = "urn:schemas-upnp-org:service:WANIPConnection:1";

    private readonly CancellationTokenSource _closed = new();
    private readonly Socket _ssdp = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private readonly TcpListener _http = new(IPAddress.Loopback, 0);

    /// <param name="ssdpAddress">Where it answers searches from.</param>
    public FakeIgd(IPAddress? ssdpAddress = null)
    {
        _ssdp.Bind(new IPEndPoint(ssdpAddress ?? IPAddress.Any, 0));
        _http.Start();
        Location = $"http://127.0.0.1:{HttpPort}/desc.xml";
        Description = Describe("/control");
        _ = AnswerSearchesAsync();
        _ = AnswerHttpAsync();
    }

    public int SsdpPort => ((IPEndPoint)_ssdp.LocalEndPoint!).Port;

    public int HttpPort => ((IPEndPoint)_http.LocalEndpoint).Port;

    /// <summary>What it answers to searches.</summary>
    public string Location { get; set; }

    /// <summary>What it has at its location.</summary>
    public string Description { get; set; }

    public string ExternalAddress { get; set; } = "198.51.100.7";

    /// <summary>Answers an action with an error before the gateway itself looks at it; 0 for no error.</summary>
    public Func<string, IReadOnlyDictionary<string, string>, int> Refuse { get; set; } = (_, _) => 0;

    /// <summary>Whole answers, header included, that replace those to an action or to "GET".</summary>
    public Dictionary<string, string> Raw { get; } = [];

    /// <summary>What is forwarded: by external port the internal client, its port and the lease.</summary>
    public ConcurrentDictionary<int, (string Client, int Port, int Lease)> Entries { get; } = [];

    /// <summary>Requests that came, in order: "GET /desc.xml", or the action's name.</summary>
    public ConcurrentQueue<string> Requests { get; } = [];

    public static string Describe(string control, string type = ServiceType, string extra = "") => $"""
        <?xml version="1.0"?>
        <root xmlns="urn:schemas-upnp-org:device-1-0">{extra}<device>
        <deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><deviceList><device><deviceList><device>
        <serviceList><service><serviceType>{type}</serviceType><controlURL>{control}</controlURL></service></serviceList>
        </device></deviceList></device></deviceList></device></root>
        """;

    public static string Ok(string body) =>
        $"HTTP/1.1 200 OK\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\nConnection: close\r\n\r\n{body}";

    public void Dispose()
    {
        _closed.Cancel();
        _ssdp.Dispose();
        _http.Dispose();
        _closed.Dispose();
    }

    private async Task AnswerSearchesAsync()
    {
        byte[] buffer = new byte[2048];
        try
        {
            while (true)
            {
                SocketReceiveFromResult search = await _ssdp.ReceiveFromAsync(
                    buffer, SocketFlags.None, new IPEndPoint(IPAddress.Any, 0), _closed.Token);
                if (Encoding.ASCII.GetString(buffer, 0, search.ReceivedBytes).Contains("ssdp:discover", StringComparison.Ordinal))
                {
                    await _ssdp.SendToAsync(
                        Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nLocation: {Location}\r\n\r\n"),
                        search.RemoteEndPoint, _closed.Token);
                }
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
        }
    }

    private async Task AnswerHttpAsync()
    {
        try
        {
            while (true)
                _ = AnswerHttpAsync(await _http.AcceptTcpClientAsync(_closed.Token));
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
        }
    }

    private async Task AnswerHttpAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                NetworkStream stream = client.GetStream();
                string answer = Answer(await ReadRequestAsync(stream));
                await stream.WriteAsync(Encoding.UTF8.GetBytes(answer), _closed.Token);
            }
            catch (Exception exception) when (exception is OperationCanceledException or IOException or ObjectDisposedException)
            {
            }
        }
    }

    private async Task<string> ReadRequestAsync(NetworkStream stream)
    {
        var text = new StringBuilder();
        byte[] buffer = new byte[4096];
        while (true)
        {
            int read = await stream.ReadAsync(buffer, _closed.Token);
            text.Append(Encoding.UTF8.GetString(buffer, 0, read));
            string request = text.ToString();
            int end = request.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            string? length = request.Split("\r\n")
                .FirstOrDefault(line => line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase));
            if (read == 0
                || (end >= 0 && request.Length >= end + 4 + int.Parse(length?.Split(':')[1] ?? "0", CultureInfo.InvariantCulture)))
            {
                return request;
            }
        }
    }

    private string Answer(string request)
    {
        if (request.StartsWith("GET", StringComparison.Ordinal))
        {
            Requests.Enqueue(string.Join(' ', request.Split(' ').Take(2)));
            return Raw.TryGetValue("GET", out string? raw) ? raw : Ok(Description);
        }

        XElement call = XElement.Parse(request[(request.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..])
            .Elements().Single(element => element.Name.LocalName == "Body").Elements().Single();
        string action = call.Name.LocalName;
        Requests.Enqueue(action);
        if (Raw.TryGetValue(action, out string? replaced))
            return replaced;
        Dictionary<string, string> arguments = call.Elements().ToDictionary(element => element.Name.LocalName, element => element.Value);
        int error = Refuse(action, arguments);
        return error != 0 ? Fault(error) : Carry(action, arguments);
    }

    private string Carry(string action, Dictionary<string, string> arguments)
    {
        int external = arguments.TryGetValue("NewExternalPort", out string? text) ? int.Parse(text, CultureInfo.InvariantCulture) : 0;
        switch (action)
        {
            case "GetExternalIPAddress":
                return Result(action, $"<NewExternalIPAddress>{ExternalAddress}</NewExternalIPAddress>");
            case "GetSpecificPortMappingEntry":
                return Entries.TryGetValue(external, out (string Client, int Port, int Lease) entry)
                    ? Result(
                        action, $"<NewInternalPort>{entry.Port}</NewInternalPort><NewInternalClient>{entry.Client}</NewInternalClient>")
                    : Fault(714);
            case "AddPortMapping":
                int port = int.Parse(arguments["NewInternalPort"], CultureInfo.InvariantCulture);
                int lease = int.Parse(arguments["NewLeaseDuration"], CultureInfo.InvariantCulture);
                Entries[external] = (arguments["NewInternalClient"], port, lease);
                return Result(action, "");
            case "DeletePortMapping":
                return Entries.TryRemove(external, out _) ? Result(action, "") : Fault(714);
            default:
                return Fault(401);
        }
    }

    private static string Result(string action, string values) =>
        Ok($"<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><u:{action}Response "
            + $"xmlns:u=\"{ServiceType}\">{values}</u:{action}Response></s:Body></s:Envelope>");

    private static string Fault(int error) => Ok(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault>"
        + "<faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring>"
        + $"<detail><UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>{error}</errorCode></UPnPError></detail>"
        + "</s:Fault></s:Body></s:Envelope>")
        .Replace("200 OK", "500 Internal Server Error", StringComparison.Ordinal);
}
