using LightTunnel.Lab;
using LightTunnel.Tests;
using Xunit;

[assembly: AssemblyFixture(typeof(Prerequisites))]

namespace LightTunnel.Tests;

/// <summary>
/// Before the first test: the programs that tests run are installed, as root on a Debian. Where they cannot be, the tests that need them
/// are skipped and say what is missing.
/// </summary>
public sealed class Prerequisites
{
    private static string? s_failure;

    public Prerequisites()
    {
        // Shells that live for seconds gain nothing by code that watches itself in order to be compiled better later, and pay a sixth of
        // their time for memory that is never writable and executable at once.
        Environment.SetEnvironmentVariable("DOTNET_TieredPGO", "0");
        Environment.SetEnvironmentVariable("DOTNET_EnableWriteXorExecute", "0");
        try
        {
            if (OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess)
            {
                SetupCheck.Provide(
                    SetupCheck.Essentials()
                        .Concat(SetupCheck.ForDemo())
                        .Concat(SetupCheck.ForGateway())
                        .Concat(SetupCheck.ForBench("wireguard-go"))
                        .Where(requirement => requirement.Package is not null), Console.Error);
            }
        }
        catch (LabException exception)
        {
            s_failure = exception.Message;
        }
    }

    /// <summary>Skips the test unless this machine can have a laboratory.</summary>
    internal static void SkipUnlessLaboratory() => SkipUnless(SetupCheck.ForDemo());

    /// <summary>Skips the test unless a gateway of a network can be made here.</summary>
    internal static void SkipUnlessGateway() => SkipUnless([.. SetupCheck.ForDemo(), .. SetupCheck.ForGateway()]);

    /// <summary>Skips the test unless wireguard-go can run here.</summary>
    internal static void SkipUnlessInterop() => SkipUnless([.. SetupCheck.ForDemo(), .. SetupCheck.ForInterop()]);

    /// <summary>Skips the test unless the benchmarks can run here.</summary>
    internal static void SkipUnlessBench() => SkipUnless(SetupCheck.ForBench("wireguard-go"));

    /// <summary>
    /// Skips the test unless a Windows machine can run here, under Wine. What that needs is large, and not installed by the tests.
    /// </summary>
    internal static void SkipUnlessWindows() => SkipUnless(SetupCheck.ForWindows());

    /// <summary>The first thing that is missing, or null.</summary>
    internal static Requirement? FirstMissing(IEnumerable<Requirement> more) =>
        SetupCheck.Essentials().Concat(more).FirstOrDefault(requirement => !requirement.IsThere);

    private static void SkipUnless(IEnumerable<Requirement> requirements)
    {
        if (FirstMissing(requirements) is { } missing)
            Assert.Skip($"needs {missing.What}. {missing.Remedy} {s_failure}".TrimEnd());
    }
}
