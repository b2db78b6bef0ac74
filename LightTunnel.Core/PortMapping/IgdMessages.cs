using System.Globalization;
using System.Net;
using System.Text;
using System.Xml;
using System.Xml.Linq;

namespace LightTunnel.PortMapping;

/// <summary>A service of a gateway that forwards ports.</summary>
/// <param name="Type">Its type, for example "urn:schemas-upnp-org:service:WANIPConnection:1".</param>
/// <param name="Control">Where it takes calls.</param>
internal sealed record IgdService(string Type, Uri Control);

/// <summary>What a service answered to a call.</summary>
/// <param name="Error">The UPnP error code; null when the call was carried out.</param>
/// <param name="Values">The values that it gave back, by name.</param>
internal sealed record IgdAnswer(int? Error, IReadOnlyDictionary<string, string> Values);

/// <summary>
/// What a UPnP gateway sends and takes (UPnP Device Architecture sections 2 and 3): descriptions of devices, and calls in SOAP. Nothing
/// in it is trusted: no DTD, no entities, and no address but the gateway's own.
/// </summary>
internal static class IgdMessages
{
    /// <summary>The longest document that is read, bytes. Gateways' own are some thousands long.</summary>
    public const int MaximumLength = 64 * 1024;

    /// <summary>The types of services that forward ports, the best first. A gateway has one for each connection to the internet.</summary>
    private static readonly string[] ServiceTypes =
    [
        "urn:schemas-upnp-org:service:WANIPConnection:2",
        "urn:schemas-upnp-org:service:WANIPConnection:1",
        "urn:schemas-upnp-org:service:WANPPPConnection:1",
    ];

    private const int MaximumServices = 4;

    private static readonly XNamespace Envelope = "http://schemas.xmlsoap.org/soap/envelope/";

    private static readonly XmlReaderSettings Cautious = new()
    {
        DtdProcessing = DtdProcessing.Prohibit,
        XmlResolver = null,
        MaxCharactersInDocument = MaximumLength,
        IgnoreComments = true,
        IgnoreProcessingInstructions = true,
    };

    /// <summary>True for an address on the gateway itself; nothing is ever asked of another one.</summary>
    public static bool IsOf(Uri uri, IPAddress gateway) =>
        uri.IsAbsoluteUri && uri.Scheme == Uri.UriSchemeHttp && uri.UserInfo.Length == 0
        && uri.HostNameType == UriHostNameType.IPv4 && IPAddress.TryParse(uri.Host, out IPAddress? host) && host.Equals(gateway);

    /// <summary>Reads the services that forward ports from a gateway's description.</summary>
    /// <param name="description">The description.</param>
    /// <param name="location">Where it was found.</param>
    /// <param name="gateway">The gateway's address.</param>
    /// <exception cref="XmlException">It is no description.</exception>
    public static IReadOnlyList<IgdService> ReadServices(ReadOnlyMemory<byte> description, Uri location, IPAddress gateway)
    {
        XElement root = Read(description);
        Uri origin = Child(root, "URLBase") is { Length: > 0 } text && Uri.TryCreate(text, UriKind.Absolute, out Uri? given)
            ? given
            : location;
        return
        [
            .. root.Descendants()
                .Where(element => element.Name.LocalName == "service")
                .Select(element => (Type: Child(element, "serviceType"), Control: Child(element, "controlURL")))
                .Where(service => ServiceTypes.Contains(service.Type))
                .OrderBy(service => Array.IndexOf(ServiceTypes, service.Type))
                .Select(service => Uri.TryCreate(origin, service.Control, out Uri? control) && IsOf(control, gateway)
                    ? new IgdService(service.Type!, control)
                    : null)
                .OfType<IgdService>()
                .Take(MaximumServices),
        ];
    }

    /// <summary>Writes a call.</summary>
    public static byte[] WriteCall(string serviceType, string action, IEnumerable<(string Name, string Value)> arguments)
    {
        XNamespace service = serviceType;
        var envelope = new XElement(
            Envelope + "Envelope",
            new XAttribute(XNamespace.Xmlns + "s", Envelope),
            new XAttribute(Envelope + "encodingStyle", "http://schemas.xmlsoap.org/soap/encoding/"),
            new XElement(
                Envelope + "Body",
                new XElement(
                    service + action,
                    new XAttribute(XNamespace.Xmlns + "u", service),
                    arguments.Select(argument => new XElement(argument.Name, argument.Value)))));
        return Encoding.UTF8.GetBytes("<?xml version=\"1.0\"?>\r\n" + envelope.ToString(SaveOptions.DisableFormatting));
    }

    /// <summary>Reads the answer to a call.</summary>
    /// <exception cref="XmlException">It is no answer to a call of this action.</exception>
    public static IgdAnswer ReadAnswer(ReadOnlyMemory<byte> answer, string action)
    {
        XElement root = Read(answer);
        XElement? fault = root.Descendants().FirstOrDefault(element => element.Name.LocalName == "UPnPError");
        if (fault is not null && int.TryParse(Child(fault, "errorCode"), NumberStyles.None, CultureInfo.InvariantCulture, out int code))
            return new IgdAnswer(code, new Dictionary<string, string>());
        XElement result = root.Descendants().FirstOrDefault(element => element.Name.LocalName == action + "Response")
            ?? throw new XmlException($"This is no answer to {action}.");
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (XElement element in result.Elements().Where(element => !element.HasElements))
            values[element.Name.LocalName] = element.Value.Trim();
        return new IgdAnswer(null, values);
    }

    private static XElement Read(ReadOnlyMemory<byte> document)
    {
        if (document.Length > MaximumLength)
            throw new XmlException("The document is too long.");
        // UPnP is in UTF-8. What a declaration says is not heard: the reader does not survive every change of encoding.
        using var text = new StreamReader(new MemoryStream(document.ToArray()), Encoding.UTF8);
        using var reader = XmlReader.Create(text, Cautious);
        return XElement.Load(reader);
    }

    /// <summary>
    /// The text of a child. One that has elements of its own has none: collecting theirs goes as deep as the sender likes.
    /// </summary>
    private static string? Child(XElement parent, string name) =>
        parent.Elements().FirstOrDefault(element => element.Name.LocalName == name && !element.HasElements)?.Value.Trim();
}
