using System.Text.RegularExpressions;
using Xunit;

namespace LightTunnel.Tests.Acceptance;

/// <summary>What a user does and sees, told in Pester: each It of the files *.Tests.ps1 in this folder is a test here.</summary>
public sealed partial class AcceptanceTests(AcceptanceRuns runs) : IClassFixture<AcceptanceRuns>
{
    public static TheoryData<string> Files => [.. AcceptanceRuns.Files.Keys.Order(StringComparer.Ordinal)];

    public static TheoryData<string, string> Its
    {
        get
        {
            var its = new TheoryData<string, string>();
            foreach (string file in AcceptanceRuns.Files.Keys.Order(StringComparer.Ordinal))
            {
                foreach (string name in NamesIn(file))
                    its.Add(file, name);
            }

            return its;
        }
    }

    [Theory]
    [MemberData(nameof(Its))]
    public async Task It(string file, string name)
    {
        PesterTest[] tests = [.. (await runs.RunAsync(file)).Where(test => test.Name == name)];

        PesterTest[] others = [.. tests.Where(test => test.Result != "Passed")];
        if (tests.Length > 0 && others.Length == tests.Length && Array.TrueForAll(others, test => test.Result == "Skipped"))
            Assert.Skip(others[0].Message);
        Assert.True(tests.Length > 0, "Pester did not run it.");
        Assert.True(others.Length == 0, string.Join('\n', others.Select(test => $"{test.Result}: {test.Message}")));
    }

    /// <summary>No test is left out, and nothing fails outside of tests.</summary>
    [Theory]
    [MemberData(nameof(Files))]
    public async Task File_AllThatPesterRan_IsATestHere(string file)
    {
        IReadOnlyList<PesterTest> tests = await runs.RunAsync(file);

        PesterTest[] outside = [.. tests.Where(test => test.Name.Length == 0)];
        Assert.True(outside.Length == 0, string.Join('\n', outside.Select(test => test.Message)));
        Assert.NotEmpty(tests);
        Assert.Equal(NamesIn(file).Order(StringComparer.Ordinal), tests.Select(test => test.Name).Distinct().Order(StringComparer.Ordinal));
    }

    private static IEnumerable<string> NamesIn(string file) =>
        ItCommand().Matches(AcceptanceRuns.Files[file]).Select(match => match.Groups[1].Value.Replace("''", "'", StringComparison.Ordinal));

    [GeneratedRegex(@"^ *It '((?:[^'\n]|'')+)'", RegexOptions.Multiline)]
    private static partial Regex ItCommand();
}
