namespace LightTunnel.Tests.Simulation;

/// <summary>How large a table of a node may be.</summary>
internal static class TableLimits
{
    /// <summary>The limit of the collection in that field ("Type.field") in a network of so many members.</summary>
    public static int Of(string name, int members) => name switch
    {
        _ => int.MaxValue,
    };
}
