namespace LightTunnel.Lab;

/// <summary>The "check" command.</summary>
internal static class CheckReport
{
    /// <summary>Lists what is there and what is missing, each with its remedy.</summary>
    /// <returns>0 when the demo can run, otherwise 1.</returns>
    public static int Run(bool install, TextWriter output)
    {
        if (install)
            SetupCheck.Provide([.. SetupCheck.Essentials(), .. SetupCheck.ForDemo(), .. SetupCheck.ForBench("wireguard-go")], output);
        bool canDemo = Write("For everything:", SetupCheck.Essentials()) & Write("For the demo:", SetupCheck.ForDemo());
        Write("For the benchmarks:", SetupCheck.ForBench("wireguard-go"));
        return canDemo ? 0 : 1;

        bool Write(string title, IReadOnlyList<Requirement> requirements)
        {
            output.WriteLine(title);
            foreach (Requirement requirement in requirements)
            {
                output.WriteLine($"  {(requirement.IsThere ? "✓" : "✗")} {requirement.What}");
                if (!requirement.IsThere)
                    output.WriteLine($"      {requirement.Remedy}");
            }

            return requirements.All(requirement => requirement.IsThere);
        }
    }
}
