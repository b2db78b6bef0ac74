using System.Formats.Cbor;
using System.Reflection;
using System.Text.RegularExpressions;
using LightTunnel.Addressing;
using LightTunnel.Lab;
using LightTunnel.Membership;
using Xunit;

namespace LightTunnel.Tests.Membership;

/// <summary>What docs/protocol.md says of control frames and messages is what the code sends.</summary>
public sealed partial class ProtocolDocumentTests
{
    private static readonly string[] Lines = File.ReadAllLines(Path.Combine(LabPaths.RepositoryRoot, "docs", "protocol.md"));

    [Fact]
    public void Messages_HaveTheNumbersAndNamesOfTheDocument()
    {
        Type types = typeof(ControlMessageCodec).GetNestedType("MessageType", BindingFlags.NonPublic)!;
        string[] code = [.. Enum.GetValues(types).Cast<object>().Select(type => $"{(int)type} {type}")];

        Assert.Equal(code, RowsUnder("| type | name |").Select(row => $"{row[0]} {row[1]}"));
        Assert.Equal(ControlMessageSamples.Full.Select(message => message.GetType().Name), code.Select(name => name.Split(' ')[1] + "Message"));
    }

    [Fact]
    public void Messages_HaveTheKeysOfTheDocument()
    {
        Dictionary<string, int[]> document = RowsUnder("| message | keys").ToDictionary(row => row[0], row => KeysIn(row[1]));
        foreach (ControlMessage message in ControlMessageSamples.Full)
        {
            string name = message.GetType().Name[..^"Message".Length];
            int[] expected = document[name];
            Assert.Equal([0, .. expected], KeysOf(ControlMessageCodec.Encode(message)));
        }

        Assert.Equal(document["an entry"], KeysOf(ControlMessageCodec.EncodeEntry(ControlMessageTests.Entry(2))));
        Assert.Equal(ControlMessageSamples.Full.Length + 1, document.Count);

        int[] KeysIn(string text)
        {
            string plain = Parentheses().Replace(text, string.Empty);
            IEnumerable<int> keys = Key().Matches(plain).Select(match => int.Parse(match.Groups[1].ValueSpan));
            if (plain.Contains("keys of Reachability", StringComparison.Ordinal))
                keys = keys.Concat([10, 11, 12]);
            return [.. keys.Order()];
        }
    }

    [Fact]
    public void Numbers_OfReasonsAndKinds_AreThoseOfTheDocument()
    {
        Assert.Equal(ValuesOf<RefusalReason>(), NumbersIn(Row("Refused", "reason (")));
        Assert.Equal(ValuesOf<LeaveReason>(), NumbersIn(Row("Leave", "reason (")));
        Assert.Equal(ValuesOf<NoticeKind>(), NumbersIn(Row("Notice", "kind (")));
        Assert.Equal(ValuesOf<Guessing>(), NumbersIn(Row("Introduction", "guessing (")));
        Assert.Equal(ValuesOf<ControlFrameKind>(), NumbersIn(Lines.Single(line => line.StartsWith("| 1 | kind (", StringComparison.Ordinal))));
        Assert.Equal(ValuesOf<CandidateKind>(), NumbersIn(Lines.Single(line => line.Contains("one byte kind (", StringComparison.Ordinal))));

        string Row(string name, string part) => Lines.Single(line => line.StartsWith($"| {name} |", StringComparison.Ordinal) && line.Contains(part, StringComparison.Ordinal));

        static int[] NumbersIn(string line) => [.. Number().Matches(Parentheses().Matches(line)[^1].Value).Select(match => int.Parse(match.Groups[1].ValueSpan))];

        static int[] ValuesOf<T>()
            where T : struct, Enum => [.. Enum.GetValues<T>().Select(value => Convert.ToInt32(value))];
    }

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

    [GeneratedRegex(@"\([^()]*\)")]
    private static partial Regex Parentheses();

    /// <summary>A key stands at the beginning, or behind a comma, or at the beginning of what is optional.</summary>
    [GeneratedRegex(@"(?:^|, |\[)(\d+) ")]
    private static partial Regex Key();

    [GeneratedRegex(@"[(,] ?(\d+) ")]
    private static partial Regex Number();
}
