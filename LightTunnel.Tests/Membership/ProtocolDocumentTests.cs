using System.Formats.Cbor;
using System.Text.RegularExpressions;
using LightTunnel.Addressing;
using LightTunnel.Lab;
using LightTunnel.Membership;
using LightTunnel.Membership.Cbor;
using LightTunnel.Membership.Signing;
using Xunit;

namespace LightTunnel.Tests.Membership;

/// <summary>What docs/protocol.md says of control frames and messages is what the code sends.</summary>
public sealed partial class ProtocolDocumentTests
{
    private static readonly string[] Lines = File.ReadAllLines(Path.Combine(LabPaths.RepositoryRoot, "docs", "protocol.md"));

    [Fact]
    public void Messages_HaveTheNumbersAndNamesOfTheDocument()
    {
        Assert.Equal(
            ControlMessageCodec.Types.Select(type => $"{type.Number} {NameOf(type)}"),
            RowsUnder("| type | name |").Select(row => $"{row[0]} {row[1]}"));
        Assert.Equal(
            ControlMessageCodec.Types.Select(type => type.Record), ControlMessageSamples.Full.Select(message => message.GetType()));
    }

    [Fact]
    public void Fields_AreThoseOfTheDocument()
    {
        IEnumerable<string> entry = CborRecord.Describe<DirectoryEntry>().Select(field => $"entry {Describe(field)}");
        IEnumerable<string> rules = CborRecord.Describe<ToldRule>().Select(field => $"rule {Describe(field)}")
            .Concat(CborRecord.Describe<ToldSet>().Select(field => $"set {Describe(field)}"));
        IEnumerable<string> messages = ControlMessageCodec.Types
            .SelectMany(type => type.Fields.Select(field => $"{NameOf(type)} {Describe(field)}"));
        Assert.Equal(
            messages.Concat(entry).Concat(rules).Order(StringComparer.Ordinal),
            RowsUnder("| message | key |").Select(row => string.Join(' ', row[..4])).Order(StringComparer.Ordinal));
        Assert.Equal(
            CborRecord.Describe<Invitation>().Select(Describe), RowsUnder("| key | field |").Select(row => string.Join(' ', row[..3])));
        Assert.Equal(
            CborRecord.Describe<MemberStatement>().Select(Describe),
            RowsUnder("| signed key | field |").Select(row => string.Join(' ', row[..3])));

        static string Describe(CborFieldDescription field) =>
            $"{(field.IsOptional ? $"[{field.Key}]" : $"{field.Key}")} {field.Name} {field.Kind}";
    }

    /// <summary>A full message has all of its fields: what is compared with the document is what is sent.</summary>
    [Fact]
    public void Fields_OfFullMessages_AreAllWritten() =>
        Assert.All(
            ControlMessageCodec.Types.Zip(ControlMessageSamples.Full),
            pair => Assert.Equal(pair.First.Fields.Select(field => field.Key).Prepend(0).Order(), KeysOf(pair.First.Encode(pair.Second))));

    [Fact]
    public void Numbers_OfReasonsAndKinds_AreToldInTheDocument()
    {
        string[][] rows = [.. RowsUnder("| message | key |").Where(row => row[3].StartsWith("one of ", StringComparison.Ordinal))];
        Assert.NotEmpty(rows);
        Assert.All(rows, row => Assert.Equal($"one of {string.Join(", ", NumbersIn(row[4]))}", row[3]));

        Assert.Equal(ValuesOf<ControlFrameKind>(), NumbersIn(Parenthesis("| 1 | kind (")));
        Assert.Equal(ValuesOf<CandidateKind>(), NumbersIn(Parenthesis("one byte kind (")));

        static string Parenthesis(string begin) =>
            Parentheses().Matches(Lines.Single(line => line.Contains(begin, StringComparison.Ordinal)))[^1].Groups[1].Value;

        static int[] NumbersIn(string text) => [.. Number().Matches(text).Select(match => int.Parse(match.Groups[1].ValueSpan))];

        static int[] ValuesOf<T>()
            where T : struct, Enum => [.. Enum.GetValues<T>().Select(value => Convert.ToInt32(value))];
    }

    private static string NameOf(ControlMessageType type) => type.Record.Name[..^"Message".Length];

    private static IEnumerable<string[]> RowsUnder(string header) =>
        Lines.SkipWhile(line => !line.StartsWith(header, StringComparison.Ordinal)).Skip(2).TakeWhile(line => line.StartsWith('|'))
            .Select(line => line.Trim('|').Split('|').Select(cell => cell.Trim()).ToArray());

    private static int[] KeysOf(byte[] encoded)
    {
        var reader = new CborReader(encoded);
        var keys = new int[reader.ReadStartMap()!.Value];
        for (int i = 0; i < keys.Length; i++)
        {
            keys[i] = reader.ReadInt32();
            reader.SkipValue();
        }

        return keys;
    }

    [GeneratedRegex(@"\(([^()]*)\)")]
    private static partial Regex Parentheses();

    /// <summary>A number stands at the beginning, or behind a comma, and is followed by what it means.</summary>
    [GeneratedRegex(@"(?:^|, )(\d+) ")]
    private static partial Regex Number();
}
