using System.Management.Automation;
using System.Net;
using LightTunnel.Diagnostics;

namespace LightTunnel;

/// <summary>One destination that a person wrote: a pattern, a prefix, or an address that prefixes contain.</summary>
internal sealed class DestinationFilter
{
    private readonly WildcardPattern? _pattern;
    private readonly IPNetwork? _prefix;
    private readonly IPAddress? _address;

    private DestinationFilter(string text, WildcardPattern? pattern, IPNetwork? prefix, IPAddress? address)
    {
        Text = text;
        _pattern = pattern;
        _prefix = prefix;
        _address = address;
        Matched = pattern is not null;
    }

    public string Text { get; }

    /// <summary>Patterns may match nothing.</summary>
    public bool Matched { get; private set; }

    public static DestinationFilter Read(string text)
    {
        if (WildcardPattern.ContainsWildcardCharacters(text))
            return new DestinationFilter(text, new WildcardPattern(text, WildcardOptions.IgnoreCase), null, null);
        if (IPNetwork.TryParse(text, out IPNetwork prefix))
            return new DestinationFilter(text, null, prefix, null);
        if (IPAddress.TryParse(text, out IPAddress? address))
            return new DestinationFilter(text, null, null, address);
        throw new LightTunnelException(
            LightTunnelError.InvalidAddress,
            $"'{text}' is neither an address nor a prefix.",
            "Write an address such as 10.0.0.20, a prefix such as 10.0.0.0/24, or a pattern such as 10.0.0.*.")
        { Target = text };
    }

    public bool Accepts(string destination)
    {
        bool accepts = _pattern?.IsMatch(destination)
            ?? (IPNetwork.TryParse(destination, out IPNetwork network) && (_prefix?.Equals(network) ?? network.Contains(_address!)));
        Matched |= accepts;
        return accepts;
    }
}
