namespace LightTunnel.Lab.Bench;

/// <summary>Which of two figures is the better one.</summary>
internal enum Better
{
    /// <summary>The larger one.</summary>
    More,

    /// <summary>The smaller one.</summary>
    Less,
}

/// <summary>A row of the table.</summary>
/// <param name="Name">What was measured.</param>
/// <param name="Unit">Of its figures; empty for a plain number.</param>
/// <param name="Better">Which figure is the better one.</param>
internal sealed record Row(string Name, string Unit, Better Better)
{
    /// <summary>The row of the same thing with a tunnel that was started otherwise.</summary>
    public Row Of(Variant? variant) => variant is null ? this : this with { Name = $"{Name}, {variant.Name}" };
}

/// <summary>Something that is measured of each tunnel in each round.</summary>
/// <param name="Rows">What it finds out.</param>
/// <param name="TakeAsync">Measures once; gives one figure for each row.</param>
internal sealed record Measurement(IReadOnlyList<Row> Rows, Func<IBenchTunnel, CancellationToken, Task<double[]>> TakeAsync)
{
    /// <summary>True when it is also made of each <see cref="Variant"/>.</summary>
    public bool AlsoOfVariants { get; init; }
}

/// <summary>LightTunnel started with other settings, measured in rows of its own beside the same wireguard-go.</summary>
/// <param name="Name">What the names of its rows end with.</param>
/// <param name="Arguments">What Start-LtServer and Connect-LtNetwork are given besides.</param>
internal sealed record Variant(string Name, string Arguments)
{
    /// <summary>Reads "name=arguments".</summary>
    /// <exception cref="LabException">It is not of that form.</exception>
    public static Variant Parse(string text) =>
        text.Split('=', 2, StringSplitOptions.TrimEntries) is [{ Length: > 0 } name, { Length: > 0 } arguments]
            ? new Variant(name, arguments)
            : throw new LabException($"'{text}' is no variant.", "Write it like: --variant \"small packets=-Mtu 1280\"");
}
