using System.Runtime.Versioning;
using System.Text.RegularExpressions;
using LightTunnel.Lab;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>
/// Tables and lists of every kind of object, in 80 and in 120 columns, against the texts in the folder Views.
/// <c>LIGHTTUNNEL_VIEWS=1</c> writes those anew.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed partial class RenderedViewTests(RenderedViews views) : IClassFixture<RenderedViews>
{
    private static readonly string Folder = Path.Combine(LabPaths.RepositoryRoot, "LightTunnel.Tests", "Module", "Views");

    public static TheoryData<string> Names => [.. RenderedViews.All.Select(view => view.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void View_LooksAsInItsFile(string name)
    {
        // What is another each time is left out, in lists; tables show how long ago it was. Spaces at the end of a line nobody sees.
        string shown = Moments().Replace(SpacesAtTheEnd().Replace(views[name], string.Empty), "$1(another each time)");
        string file = Path.Combine(Folder, name + ".txt");
        if (Environment.GetEnvironmentVariable("LIGHTTUNNEL_VIEWS") is { Length: > 0 })
            File.WriteAllText(file, shown);

        Assert.Equal(File.ReadAllText(file), shown);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void View_IsNoWiderThanTheScreen(string name)
    {
        int width = 0;
        foreach (string line in views[name].Split('\n'))
        {
            if (Heading().Match(line) is { Success: true } heading)
                width = int.Parse(heading.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture);
            Assert.True(line.TrimEnd().Length <= width, line);
        }
    }

    /// <summary>
    /// Each view is shown: "LtPeer.Table" and "LtPeer.List" are in LtPeer.txt. Get-LtStatus, whose screen has no such forms, has
    /// tests of its own.
    /// </summary>
    [Fact]
    public void EveryView_HasItsFile() => Assert.Equal(
        ModuleViewTests.Views()
            .Select(view => Form().Replace(view.Element("Name")!.Value, string.Empty))
            .Distinct()
            .Where(name => name != "LtStatus.Screen")
            .Order(StringComparer.Ordinal),
        Directory.EnumerateFiles(Folder).Select(file => Path.GetFileNameWithoutExtension(file)!).Order(StringComparer.Ordinal));

    [GeneratedRegex(@"[ \r]+$", RegexOptions.Multiline)]
    private static partial Regex SpacesAtTheEnd();

    [GeneratedRegex(@"^((?:Started|Seen|LastSeen|ProcessId) *: ).*$", RegexOptions.Multiline)]
    private static partial Regex Moments();

    [GeneratedRegex(@"\.(Table|List)$")]
    private static partial Regex Form();

    [GeneratedRegex(@"^PS> \.\.\. .* -Width (\d+)\r?$")]
    private static partial Regex Heading();
}
