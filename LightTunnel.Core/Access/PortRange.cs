using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace LightTunnel.Access;

/// <summary>Ports of TCP or UDP from one to another, both included: "22", "8000-8099".</summary>
/// <param name="First">The first.</param>
/// <param name="Last">The last, not below the first.</param>
internal readonly record struct PortRange(ushort First, ushort Last)
{
    /// <summary>True when the port is one of them.</summary>
    public bool Contains(int port) => port >= First && port <= Last;

    /// <summary>Reads "22" or "8000-8099".</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out PortRange range)
    {
        range = default;
        if (text is null)
            return false;
        int dash = text.IndexOf('-', StringComparison.Ordinal);
        if (!TryReadPort(dash < 0 ? text : text.AsSpan(0, dash), out ushort first))
            return false;
        ushort last = first;
        if (dash >= 0 && !TryReadPort(text.AsSpan(dash + 1), out last))
            return false;
        range = new PortRange(first, last);
        return first <= last;
    }

    /// <inheritdoc/>
    public override string ToString() =>
        First == Last ? First.ToString(CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{First}-{Last}");

    private static bool TryReadPort(ReadOnlySpan<char> text, out ushort port) =>
        ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port);
}
