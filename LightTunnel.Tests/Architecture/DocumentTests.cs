using System.Text.RegularExpressions;
using LightTunnel.Lab;
using Xunit;

namespace LightTunnel.Tests.Architecture;

/// <summary>
/// What documents, and comments that send a reader to a document, name is there: folders, types, members, files and sections.
/// </summary>
public sealed partial class DocumentTests
{
    private const string Map = "docs/architecture.md";

    /// <summary>Written like ours, and systemd's.</summary>
    private static readonly string[] NamesOfOthers = ["DynamicUser", "PrivateNetwork"];

    private static readonly SourceTree Tree = new(LabPaths.RepositoryRoot);

    /// <summary>All but the change log, which tells of what was.</summary>
    public static TheoryData<string> Documents { get; } =
        [.. Tree.Files.Where(file => file.EndsWith(".md", StringComparison.Ordinal) && file != "CHANGELOG.md")];

    [Theory]
    [MemberData(nameof(Documents))]
    public void Names_AreOfWhatThereIs(string document)
    {
        string text = Tree.Read(document);
        string[] ownBlocks = [.. Identifiers().Matches(string.Join('\n', text.Split('\n').Where(IsBlock))).Select(match => match.Value)];
        string[] wrong =
        [
            .. NamesIn(text)
                .Where(name => name.Contains('/') ? !Tree.HasPath(name) : !Tree.HasName(name))
                .Except(ownBlocks)
                .Except(NamesOfOthers),
        ];
        Assert.Empty(wrong);
    }

    [Fact]
    public void Names_AreFound()
    {
        Assert.NotEmpty(NamesIn(Tree.Read(Map)));
        Assert.All(
            (string[])["Engine/Control/Node", "LightTunnel.Core/Engine/", "Transport/UnprovenBudget.cs"],
            path => Assert.True(Tree.HasPath(path)));
        Assert.All((string[])["Engine/Data/Node", "Engine/Nothing/", "Room/Node"], path => Assert.False(Tree.HasPath(path)));
        Assert.All((string[])["Node", "Node.RunTurn", "LightTunnel.psd1"], name => Assert.True(Tree.HasName(name)));
        Assert.All((string[])["Node.DecideInbound", "Nobody.DecideInbound"], name => Assert.False(Tree.HasName(name)));
    }

    [Theory]
    [MemberData(nameof(Documents))]
    public void Links_LeadToFilesAndSections(string document)
    {
        string folder = Path.GetDirectoryName(document)!;
        string[] wrong =
        [
            .. from Match link in Links().Matches(Tree.Read(document))
               let target = Path.GetRelativePath(".", Path.Combine(folder, link.Groups["file"].Value)).Replace('\\', '/')
               let section = link.Groups["section"].Value
               where !Tree.Exists(target) || (section.Length > 0 && !SectionsOf(target).Any(title => Anchor(title) == section))
               select link.Value,
        ];
        Assert.Empty(wrong);

        static string Anchor(string title) => NoAnchor().Replace(title.ToLowerInvariant(), string.Empty).Replace(' ', '-');
    }

    [Fact]
    public void Sections_ThatDocumentsAndCommentsName_Exist()
    {
        (string Where, Match Named)[] named =
        [
            .. from file in Tree.Files
               where file.EndsWith(".md", StringComparison.Ordinal) || file.EndsWith(".cs", StringComparison.Ordinal)
               from Match match in NamedDocuments().Matches(LineBreaks().Replace(Tree.Read(file), " "))
               select (file, match),
        ];
        string[] wrong =
        [
            .. from place in named
               let target = $"docs/{place.Named.Groups["file"].Value}"
               let section = place.Named.Groups["section"].Value
               where !Tree.Exists(target) || (section.Length > 0 && !SectionsOf(target).Contains(section))
               select $"{place.Where}: {place.Named.Value}",
        ];
        Assert.Contains(named, place => place.Where.EndsWith(".cs", StringComparison.Ordinal) && place.Named.Groups["section"].Length > 0);
        Assert.Empty(wrong);
    }

    [Fact]
    public void Map_FitsOnAPageAndAHalf()
    {
        string[] lines = Tree.Read(Map).TrimEnd().Split('\n');
        Assert.InRange(lines.Length, 1, 120);
        Assert.DoesNotContain(lines, line => line.Length > 140);
    }

    [Fact]
    public void Map_HasEveryRoomAndProject()
    {
        string[] blocks = [.. Tree.Read(Map).Split('\n').Where(IsBlock)];
        const string core = "LightTunnel.Core/";
        string[] rooms = [.. Tree.Folders.Where(folder => folder.StartsWith(core, StringComparison.Ordinal)).Select(Path.GetFileName)!];
        string[] projects = [.. Tree.Projects];
        Assert.NotEmpty(rooms);
        Assert.NotEmpty(projects);
        Assert.All(rooms.Concat(projects), name => Assert.Contains(blocks, line => line.Contains($" {name}/", StringComparison.Ordinal)));
    }

    [Fact]
    public void Map_HasTheRowsThatReferencesKeep()
    {
        Assert.Equal(ReferenceTests.Layers, RowsFrom("Management, Services"));
        Assert.Equal(ReferenceTests.EngineLayers, RowsFrom("Probing").Select(row => row.Select(room => $"Engine.{room}").ToArray()));

        static IEnumerable<string[]> RowsFrom(string first) =>
            string.Concat(Tree.Read(Map).Split('\n')
                .SkipWhile(line => !line.StartsWith($"    {first} >", StringComparison.Ordinal))
                .TakeWhile(IsBlock))
            .Split('>')
            .Select(row => row.Split(',', StringSplitOptions.TrimEntries));
    }

    private static IEnumerable<string> NamesIn(string text) =>
        Quoted()
            .Matches(string.Join('\n', text.Split('\n').Where(line => !IsBlock(line))))
            .Select(match => match.Groups[1].Value)
            .Distinct();

    private static string[] SectionsOf(string document) =>
        [.. Headings().Matches(Tree.Read(document)).Select(match => match.Groups[1].Value)];

    private static bool IsBlock(string line) => line.StartsWith("    ", StringComparison.Ordinal);

    /// <summary>`Folder/Type`, `Folder/`, `Type`, `Type.Member`: what is written as our names are.</summary>
    [GeneratedRegex("`((?:[A-Z][A-Za-z.]+/)+(?:[A-Z][A-Za-z0-9.]*)?|[A-Z][a-z0-9]+[A-Za-z0-9]*(?:\\.[A-Za-z0-9]+)*)`")]
    private static partial Regex Quoted();

    [GeneratedRegex("[A-Za-z_]\\w*")]
    private static partial Regex Identifiers();

    [GeneratedRegex(@"\]\((?!\w+:)(?<file>[^)#\s]+)(?:#(?<section>[^)\s]+))?\)")]
    private static partial Regex Links();

    [GeneratedRegex("[^\\w -]")]
    private static partial Regex NoAnchor();

    [GeneratedRegex("(?m)^#+ (.+?)\r?$")]
    private static partial Regex Headings();

    /// <summary>
    /// docs/members.md, "Large networks", or the other way round: "Large networks" in docs/members.md, or in a link to it.
    /// </summary>
    [GeneratedRegex(
        "(?:\"(?<section>[^\"]+)\" in (?:docs/|\\[))?(?<=docs/|\" in \\[)(?<file>[\\w-]+\\.md)(?:, \"(?<section>[^\"]+)\")?")]
    private static partial Regex NamedDocuments();

    [GeneratedRegex(@"\s*\n\s*(?:///?)?\s*")]
    private static partial Regex LineBreaks();
}
