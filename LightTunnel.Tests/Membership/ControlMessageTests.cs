using System.Collections;
using System.Formats.Cbor;
using System.Net;
using System.Reflection;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Membership.Cbor;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Membership;

public sealed class ControlMessageTests
{
    internal static PublicKey Key(int seed) => new(new ByteMutator(seed).Random(32));

    internal static TunnelAddress Address(string text) =>
        TunnelAddress.TryParse(text, out TunnelAddress address) ? address : throw new FormatException(text);

    internal static InterfaceAddress Interface(string text) =>
        InterfaceAddress.TryParse(text, out InterfaceAddress address) ? address : throw new FormatException(text);

    internal static DirectoryEntry Entry(uint id, bool online = true, string name = "node") => new()
    {
        MemberId = id,
        Name = $"{name}-{id}",
        Addresses = [TunnelAddress.FromIPv4(0x0A000000 + id)],
        PublicKey = Key((int)id),
        Online = online,
        SoftwareVersion = "0.1.0",
        PreferredSuite = id % 2 == 0 ? CipherSuite.Aegis256 : CipherSuite.WireGuard,
    };

    private static readonly RegisterMessage Register = new()
    {
        Name = "laptop",
        RequestedAddresses = [Address("10.0.0.20"), Address("fd00::20")],
        SoftwareVersion = "0.1.0",
        PreferredSuite = CipherSuite.Aegis256,
    };

    private static readonly RegisteredMessage Registered = new()
    {
        MemberId = 2,
        NetworkName = "net",
        ServerName = "hub",
        Addresses = [Interface("10.0.0.20/24"), Interface("fd00::20/64")],
        ServerAddresses = [Address("10.0.0.1"), Address("fd00::1")],
        Mtu = 1400,
        ObservedEndpoint = new UdpEndpoint(IPAddress.Parse("192.0.2.7"), 4711),
        ClientIsolation = true,
        SoftwareVersion = "0.1.0",
        PreferredSuite = CipherSuite.Aegis256,
        ObserverPort = 9001,
        ObserverAddresses = [Address("192.0.2.1"), Address("192.0.2.2")],
    };

    private static readonly IntroduceMessage Introduce = new()
    {
        MemberId = 7,
        Reachability = new Reachability
        {
            Candidates = [new Candidate(CandidateKind.Predicted, UdpEndpoint.FromIPv4(0xC0000207, 4713))],
            Nat = new NatBehaviour(EndpointDependence.AddressAndPortDependent, Assignment: PortAssignment.Sequential, Step: 2),
            IsRelay = true,
        },
    };

    private static readonly DirectoryMessage Page = new()
    {
        Revision = ulong.MaxValue,
        Changed = [Entry(2), Entry(3, online: false), Entry(uint.MaxValue)],
        Removed = [4, 5],
        More = true,
        Start = true,
    };

    private static readonly FindMessage Find =
        new() { Subjects = [MemberSubject.Of(Address("10.0.0.20")), MemberSubject.Of(Address("fd00::20")), MemberSubject.Of(Key(1))] };

    private static readonly ForgetMessage Forget = new() { Revision = 17, Members = [2, uint.MaxValue] };

    private static readonly ListMessage List = new() { Question = 3, Pattern = "web*", After = 20 };

    private static readonly ListingMessage Listing = new() { Question = 3, Entries = [Entry(21), Entry(22)], GoOnAfter = 22 };

    private static T RoundTrip<T>(T message)
        where T : ControlMessage
    {
        byte[] encoded = ControlMessageCodec.Encode(message);
        Assert.InRange(encoded.Length, 1, ControlFrame.MaximumBodyLength);
        Assert.Equal(DecodeResult.Message, ControlMessageCodec.Decode(encoded, out ControlMessage? decoded));
        return Assert.IsType<T>(decoded);
    }

    [Fact]
    public void Decode_Introduce_GivesItBack_WithAndWithoutReachability()
    {
        Assert.Equal(Introduce, RoundTrip(Introduce));
        Assert.Null(RoundTrip(Introduce with { Reachability = null }).Reachability);
    }

    [Fact]
    public void Decode_Register_GivesItBack()
    {
        RegisterMessage decoded = RoundTrip(Register);
        Assert.Equal((ProtocolRange.Own, "laptop", "0.1.0"), (decoded.Protocols, decoded.Name, decoded.SoftwareVersion));
        Assert.Equal(Register.RequestedAddresses, decoded.RequestedAddresses);
        Assert.Equal(CipherSuite.Aegis256, decoded.PreferredSuite);
        RegisterMessage plain = RoundTrip(new RegisterMessage { Name = "x" });
        Assert.Empty(plain.RequestedAddresses);
        Assert.Equal(CipherSuite.WireGuard, plain.PreferredSuite);
    }

    [Fact]
    public void Encode_Register_HasTheDocumentedBytes() =>
        Assert.Equal(
            "A4" + "0001" + "0101" + "02" + "626E31" + "03" + "81" + "44" + "0A000014",
            Convert.ToHexString(
                ControlMessageCodec.Encode(new RegisterMessage { Name = "n1", RequestedAddresses = [Address("10.0.0.20")] })));

    [Theory]
    [InlineData("01", CipherSuite.Aegis256)]
    [InlineData("00", CipherSuite.WireGuard)]
    [InlineData("02", CipherSuite.WireGuard)]
    [InlineData("1864", CipherSuite.WireGuard)]
    public void Decode_PreferredSuite_OfANewerVersionMeansWireGuard(string value, CipherSuite suite)
    {
        byte[] encoded = Convert.FromHexString("A5" + "0001" + "0101" + "02" + "626E31" + "03" + "80" + "05" + value);
        Assert.Equal(DecodeResult.Message, ControlMessageCodec.Decode(encoded, out ControlMessage? decoded));
        Assert.Equal(suite, Assert.IsType<RegisterMessage>(decoded).PreferredSuite);
    }

    [Theory]
    [InlineData("20")]
    [InlineData("F5")]
    [InlineData("40")]
    public void Decode_PreferredSuite_ThatIsNoNumber_IsMalformed(string value) =>
        Assert.Equal(
            DecodeResult.Malformed,
            ControlMessageCodec.Decode(
                Convert.FromHexString("A5" + "0001" + "0101" + "02" + "626E31" + "03" + "80" + "05" + value), out _));

    [Fact]
    public void Decode_Registered_GivesItBack()
    {
        RegisteredMessage decoded = RoundTrip(Registered);
        Assert.Equal(
            Registered with { Addresses = [], ServerAddresses = [], ObserverAddresses = [] },
            decoded with { Addresses = [], ServerAddresses = [], ObserverAddresses = [] });
        Assert.Equal(Registered.ObserverAddresses, decoded.ObserverAddresses);
        Assert.Equal(Registered.Addresses, decoded.Addresses);
        Assert.Equal(Registered.ServerAddresses, decoded.ServerAddresses);

        RegisteredMessage plain = RoundTrip(
            Registered with { ObserverPort = 0, ObservedEndpoint = default, ClientIsolation = false, SoftwareVersion = string.Empty });
        Assert.False(plain.ObservedEndpoint.IsSpecified);
        Assert.False(plain.ClientIsolation);
        Assert.Equal("laptop-1", RoundTrip(Registered with { GivenName = "laptop-1" }).GivenName);
        Assert.Empty(plain.GivenName);
        var v6 = new UdpEndpoint(IPAddress.Parse("2001:db8::7"), 1);
        Assert.Equal(v6, RoundTrip(Registered with { ObservedEndpoint = v6 }).ObservedEndpoint);
    }

    [Fact]
    public void Decode_RefusedAndLeave_GivesThemBack()
    {
        Assert.Equal(
            new RefusedMessage { Reason = RefusalReason.AddressTaken, Text = "ä taken" },
            RoundTrip(new RefusedMessage { Reason = RefusalReason.AddressTaken, Text = "ä taken" }));
        Assert.Equal(new RefusedMessage { Reason = RefusalReason.Other }, RoundTrip(new RefusedMessage { Reason = (RefusalReason)99 }));
        Assert.Equal(new LeaveMessage { Reason = LeaveReason.Restarting }, RoundTrip(new LeaveMessage { Reason = LeaveReason.Restarting }));
        Assert.Equal(LeaveReason.Other, RoundTrip(new LeaveMessage { Reason = (LeaveReason)99 }).Reason);
    }

    [Fact]
    public void Decode_Directory_GivesItBack()
    {
        DirectoryMessage decoded = RoundTrip(Page);
        Assert.Equal(Page.Changed, decoded.Changed);
        Assert.Equal(Page.Removed, decoded.Removed);
        Assert.Equal((ulong.MaxValue, true, true), (decoded.Revision, decoded.More, decoded.Start));
    }

    [Fact]
    public void Decode_TextWithControlCharacters_IsCleaned()
    {
        byte[] encoded = Convert.FromHexString("A3" + "0003" + "0100" + "02" + "65610A621B63");
        Assert.Equal(DecodeResult.Message, ControlMessageCodec.Decode(encoded, out ControlMessage? message));
        Assert.Equal("a b c", Assert.IsType<RefusedMessage>(message).Text);
    }

    [Fact]
    public void Encode_TextWithControlCharacters_IsCleaned() =>
        Assert.Equal(
            "A3" + "0003" + "0100" + "02" + "6561206220" + "63",
            Convert.ToHexString(ControlMessageCodec.Encode(new RefusedMessage { Reason = RefusalReason.Other, Text = "a\nb\u001bc" })));

    /// <summary>A property that Exchange has forgotten would be lost on the way.</summary>
    [Fact]
    public void Decode_FullMessages_GivesEveryPropertyBack() =>
        Assert.All(ControlMessageSamples.Full, full =>
        {
            Assert.Equal(DecodeResult.Message, ControlMessageCodec.Decode(ControlMessageCodec.Encode(full), out ControlMessage? decoded));
            foreach (PropertyInfo property in full.GetType().GetProperties())
            {
                object? value = property.GetValue(full);
                bool isEmpty = value is null or false or 0 or "" or ICollection { Count: 0 };
                Assert.False(isEmpty, $"The sample of {full.GetType().Name} has no {property.Name}.");
                Assert.Equal(value, property.GetValue(decoded));
            }
        });

    /// <summary>Without a field a message is malformed, unless the field is optional; with another kind of value in it, always.</summary>
    [Fact]
    public void Decode_FieldMissingOrOfAnotherKind_IsMalformedUnlessOptional() =>
        Assert.All(ControlMessageCodec.Types.Zip(ControlMessageSamples.Full), pair =>
        {
            (ControlMessageType type, ControlMessage full) = pair;
            foreach (CborFieldDescription field in type.Fields)
            {
                // Candidates and NAT of an introduction come together.
                bool mayBeMissing = field.IsOptional && !(full is IntroduceMessage && field.Key == Reachability.FirstKey + 1);
                Assert.Equal(mayBeMissing ? DecodeResult.Message : DecodeResult.Malformed, DecodeWith(full, field.Key, null));
                Assert.Equal(DecodeResult.Malformed, DecodeWith(full, field.Key, writer => writer.WriteNull()));
                Assert.Equal(DecodeResult.Malformed, DecodeWith(full, field.Key, writer => writer.WriteInt32(-1)));
                Assert.Equal(DecodeResult.Malformed, DecodeWith(full, field.Key, writer => writer.WriteTextString(new string('x', 201))));
            }
        });

    private static DecodeResult DecodeWith(ControlMessage message, int key, Action<CborWriter>? writeValue)
    {
        var reader = new CborReader(ControlMessageCodec.Encode(message));
        var writer = new CborWriter(CborConformanceMode.Canonical, convertIndefiniteLengthEncodings: true);
        writer.WriteStartMap(null);
        for (int left = reader.ReadStartMap()!.Value; left > 0; left--)
        {
            int each = reader.ReadInt32();
            ReadOnlyMemory<byte> value = reader.ReadEncodedValue();
            if (each == key && writeValue is null)
                continue;
            writer.WriteInt32(each);
            if (each == key)
                writeValue!(writer);
            else
                writer.WriteEncodedValue(value.Span);
        }

        writer.WriteEndMap();
        return ControlMessageCodec.Decode(writer.Encode(), out _);
    }

    public static TheoryData<object> OutOfBounds =>
    [
        Register with { RequestedAddresses = [.. Enumerable.Repeat(Address("10.0.0.20"), 5)] },
        Register with { Protocols = new ProtocolRange(2, 1) },
        Registered with { MemberId = 1 },
        Registered with { Addresses = [] },
        Registered with { Mtu = 575 },
        Page with { Changed = [Entry(1)] },
        Page with { Changed = [Entry(2) with { Addresses = [] }] },
        new ReachabilityMessage { Reachability = new() { Candidates = [.. Enumerable.Repeat(Introduce.Reachability!.Candidates[0], 17)] } },
        new IntroductionMessage { MemberId = 2, Reachability = new(), Delay = TimeSpan.FromMilliseconds(2001) },
        new FindMessage { Subjects = [.. Enumerable.Repeat(MemberSubject.Of(Address("10.0.0.20")), FindMessage.MaximumSubjects + 1)] },
        new ForgetMessage { Revision = 1, Members = [.. Enumerable.Repeat(2u, ForgetMessage.MaximumMembers + 1)] },
    ];

    [Theory]
    [MemberData(nameof(OutOfBounds), DisableDiscoveryEnumeration = true)]
    public void Encode_FieldOutOfItsBounds_IsTheCallersFault(object message) =>
        Assert.Throws<ArgumentException>(() => ControlMessageCodec.Encode((ControlMessage)message));

    [Fact]
    public void Encode_EntryThatWasCopied_IsTheCopys()
    {
        DirectoryEntry entry = Entry(2);
        byte[] encoded = entry.Encode();
        Assert.Same(encoded, entry.Encode());
        DirectoryEntry copy = entry with { Online = false };
        Assert.NotEqual(encoded, copy.Encode());
        Assert.Equal(CborRecord.Encode(copy), copy.Encode());
        Assert.Same(encoded, entry.Encode());
    }

    [Fact]
    public void Encode_LongestOfEachMessage_FitsInAFrame()
    {
        string name = new('n', NodeName.MaximumLength);
        TunnelAddress[] addresses = [.. Enumerable.Range(1, 4).Select(i => Address($"fd00:1:2:3:4:5:6:{i}"))];
        RoundTrip(Register with { Name = name, RequestedAddresses = addresses, SoftwareVersion = new string('9', 500) });
        RoundTrip(Registered with
        {
            NetworkName = name,
            ServerName = name,
            Addresses = [.. addresses.Select(a => new InterfaceAddress(a, 128))],
            ServerAddresses = addresses,
        });
        RoundTrip(new RefusedMessage { Reason = RefusalReason.Other, Text = new string('語', 1000) });
    }

    [Theory]
    [InlineData("")]
    [InlineData("two words")]
    [InlineData("-x")]
    [InlineData("a*")]
    public void Encode_BadName_IsTheCallersFault(string name) =>
        Assert.Throws<ArgumentException>(() => ControlMessageCodec.Encode(Registered with { ServerName = name }));

    [Theory]
    [InlineData("", 1, RefusalReason.InvalidName)]
    [InlineData("two words", 1, RefusalReason.InvalidName)]
    [InlineData("-x", 1, RefusalReason.InvalidName)]
    [InlineData("a*", 1, RefusalReason.InvalidName)]
    [InlineData("a", 0, RefusalReason.VersionUnsupported)]
    [InlineData("a*", 0, RefusalReason.VersionUnsupported)]
    [InlineData("a", 1, null)]
    [InlineData("a", 99, RefusalReason.VersionUnsupported)]
    public void CheckFormat_OfWhatWasRead_SaysWhatIsWrong(string name, int protocol, object? expected) =>
        Assert.Equal(
            (RefusalReason?)expected,
            RoundTrip(Register with { Name = name, Protocols = new ProtocolRange(protocol, protocol) }).CheckFormat()?.Reason);

    [Theory]
    [InlineData(0, 0, "The client speaks protocol 0, the server 1: the client is older.")]
    [InlineData(2, 2, "The client speaks protocol 2, the server 1: the server is older.")]
    [InlineData(2, 99, "The client speaks protocol 2 to 99, the server 1: the server is older.")]
    [InlineData(1, 99, null)]
    [InlineData(0, 1, null)]
    public void CheckFormat_NoProtocolInCommon_SaysWhichSideIsOlder(int oldest, int newest, string? expected) =>
        Assert.Equal(expected, RoundTrip(Register with { Protocols = new ProtocolRange(oldest, newest) }).CheckFormat()?.Text);

    [Theory]
    [InlineData(1, 1, 1, 1, 1)]
    [InlineData(1, 3, 2, 5, 3)]
    [InlineData(2, 5, 1, 3, 3)]
    [InlineData(1, 2, 3, 4, null)]
    [InlineData(3, 4, 1, 2, null)]
    public void TryAgree_FindsTheNewestThatBothSpeak(int oldest, int newest, int clientOldest, int clientNewest, int? expected) =>
        Assert.Equal(
            expected, ProtocolRange.TryAgree(new(oldest, newest), new(clientOldest, clientNewest), out int version) ? version : null);

    [Theory]
    [InlineData(1, null)]
    [InlineData(2, "the client is older")]
    public void CheckProtocol_OfAnother_SaysWhichSideIsOlder(int protocol, string? expected)
    {
        string? message = RoundTrip(Registered with { Protocol = protocol }).CheckProtocol()?.Message;
        Assert.Equal(expected is null, message is null);
        Assert.Contains(expected ?? string.Empty, message ?? string.Empty, StringComparison.Ordinal);
    }

    [Fact]
    public void Decode_NameWithControlCharacters_IsCleanedAndStillRefused()
    {
        byte[] encoded = Convert.FromHexString("A4" + "0001" + "0101" + "02" + "63610A62" + "03" + "80");
        Assert.Equal(DecodeResult.Message, ControlMessageCodec.Decode(encoded, out ControlMessage? message));
        Assert.Equal("'a b' is no name.", Assert.IsType<RegisterMessage>(message).CheckFormat()!.Text);
    }

    [Fact]
    public void Encode_PageTooLong_IsTheCallersFault() =>
        Assert.Throws<ArgumentException>(() => ControlMessageCodec.Encode(
            new DirectoryMessage { Revision = 1, Changed = [.. Enumerable.Range(2, 40).Select(i => Entry((uint)i))] }));

    [Fact]
    public void Decode_UnknownKeys_AreIgnored()
    {
        var writer = new CborWriter(CborConformanceMode.Canonical);
        writer.WriteStartMap(4);
        writer.WriteInt32(0);
        writer.WriteInt32(5);
        writer.WriteInt32(1);
        writer.WriteInt32(1);
        writer.WriteInt32(77);
        writer.WriteStartArray(2);
        writer.WriteTextString("new");
        writer.WriteBoolean(true);
        writer.WriteEndArray();
        writer.WriteTextString("text key");
        writer.WriteNull();
        writer.WriteEndMap();
        Assert.Equal(DecodeResult.Message, ControlMessageCodec.Decode(writer.Encode(), out ControlMessage? message));
        Assert.Equal(new LeaveMessage { Reason = LeaveReason.Stopped }, message);
    }

    [Theory]
    [InlineData("A10063", DecodeResult.Malformed)] // cut short
    [InlineData("A1001863", DecodeResult.Unknown)] // type 99
    [InlineData("A20018630180", DecodeResult.Unknown)]
    [InlineData("A0", DecodeResult.Malformed)] // no type
    [InlineData("80", DecodeResult.Malformed)] // no map
    [InlineData("BF0005FF", DecodeResult.Malformed)] // indefinite length
    [InlineData("A2000500050101", DecodeResult.Malformed)] // key twice
    [InlineData("A200050101FF", DecodeResult.Malformed)] // something after the end
    [InlineData("A200050120", DecodeResult.Malformed)] // negative reason
    [InlineData("A2000501F5", DecodeResult.Malformed)] // reason of another type
    [InlineData("A200050181", DecodeResult.Malformed)]
    [InlineData("A200010162616263", DecodeResult.Malformed)]
    [InlineData("BA7FFFFFFF0005", DecodeResult.Malformed)] // two billion pairs announced
    [InlineData("A300040101029A7FFFFFFF", DecodeResult.Malformed)] // two billion entries announced
    [InlineData("A20005C001", DecodeResult.Malformed)]
    public void Decode_OddBytes_IsToldApart(string hex, object expected) =>
        Assert.Equal((DecodeResult)expected, ControlMessageCodec.Decode(Convert.FromHexString(hex), out _));

    [Fact]
    public void QuestionsForMembers_ComeBackAsTheyWere()
    {
        Assert.Equal(Find.Subjects, RoundTrip(Find).Subjects);
        Assert.Equal((Forget.Revision, 2), (RoundTrip(Forget).Revision, RoundTrip(Forget).Members.Count));
        Assert.Equal(List, RoundTrip(List));
        Assert.Equal(Listing.Entries, RoundTrip(Listing).Entries);
        Assert.Equal(22u, RoundTrip(Listing).GoOnAfter);
        Assert.Null(RoundTrip(Listing with { GoOnAfter = null }).GoOnAfter);
        Assert.True(RoundTrip(Register with { AsksForMembers = true }).AsksForMembers);

        DirectoryMessage page = RoundTrip(Page with { Partial = true, Unknown = Find.Subjects });
        Assert.True(page.Partial);
        Assert.Equal(Find.Subjects, page.Unknown);

        var full = new FindMessage
        {
            Subjects = [.. Enumerable.Range(0, FindMessage.MaximumSubjects).Select(seed => MemberSubject.Of(Key(seed)))],
        };
        Assert.Equal(full.Subjects, RoundTrip(full).Subjects);
    }

    [Fact]
    public void Decode_Notice_GivesItBack_AndUnknownKindsAreOther()
    {
        var notice = new NoticeMessage { Kind = NoticeKind.NameAskedFor, Subject = "laptop-1" };
        Assert.Equal(notice, RoundTrip(notice));
        Assert.Equal(NoticeKind.Other, RoundTrip(notice with { Kind = (NoticeKind)77 }).Kind);
        Assert.Equal("a?b", RoundTrip(notice with { Subject = "a\nb" }).Subject.Replace(' ', '?'));
    }

    [Fact]
    public void Decode_DeeplyNestedUnknownKey_IsMalformed()
    {
        byte[] fine = [0xA3, 0x00, 0x05, 0x01, 0x01, 0x09, .. Enumerable.Repeat((byte)0x81, 6), 0x00];
        byte[] deep = [0xA3, 0x00, 0x05, 0x01, 0x01, 0x09, .. Enumerable.Repeat((byte)0x81, 1000), 0x00];
        Assert.Equal(DecodeResult.Message, ControlMessageCodec.Decode(fine, out _));
        Assert.Equal(DecodeResult.Malformed, ControlMessageCodec.Decode(deep, out _));
    }

    [Fact]
    public void Decode_HostileBytes_NeverThrowsAndWhatItTakesCanBeEncodedAgain()
    {
        byte[][] goods = [.. ControlMessageSamples.Full.Concat(ControlMessageSamples.Least).Select(ControlMessageCodec.Encode)];
        var mutator = new ByteMutator(3);
        int[] results = new int[3];
        for (int i = 0; i < Fuzz.Count(30_000); i++)
        {
            byte[] bytes = i % 50 == 0 ? mutator.Random(i % 600) : mutator.Mutate(goods[i % goods.Length]);
            DecodeResult result = ControlMessageCodec.Decode(bytes, out ControlMessage? message);
            results[(int)result]++;
            Assert.Equal(result == DecodeResult.Message, message is not null);
            if (message is not null && bytes.Length <= DirectoryMessage.MaximumLength)
                ControlMessageCodec.Encode(message);
        }

        Assert.All(results, count => Assert.InRange(count, 1, Fuzz.Count(30_000) - 1));
    }

    [Theory]
    [InlineData(RefusalReason.AddressTaken, LightTunnelError.AddressTaken)]
    [InlineData(RefusalReason.AddressPoolExhausted, LightTunnelError.AddressPoolExhausted)]
    [InlineData(RefusalReason.ServerFull, LightTunnelError.ServerFull)]
    [InlineData(RefusalReason.AddressUnusable, LightTunnelError.InvalidAddress)]
    [InlineData(RefusalReason.VersionUnsupported, LightTunnelError.ServerRefused)]
    [InlineData(RefusalReason.InvalidName, LightTunnelError.InvalidName)]
    [InlineData(RefusalReason.Other, LightTunnelError.ServerRefused)]
    public void ToException_EachReason_HasItsError(object reason, LightTunnelError expected)
    {
        LightTunnelException exception = new RefusedMessage { Reason = (RefusalReason)reason, Text = "why not" }.ToException();
        Assert.Equal(expected, exception.Error);
        Assert.EndsWith("why not", exception.Message, StringComparison.Ordinal);
        Assert.NotEmpty(exception.RecommendedAction);
    }

    [Theory]
    [InlineData("MY-PC", "MY-PC")]
    [InlineData("my pc.local", "my-pc.local")]
    [InlineData("Büro", "B-ro")]
    [InlineData("--", "node")]
    [InlineData("", "node")]
    [InlineData(null, "node")]
    public void Sanitize_AnyHostName_IsAValidName(string? text, string expected)
    {
        Assert.Equal(expected, NodeName.Sanitize(text));
        Assert.True(NodeName.IsValid(NodeName.Sanitize(text + new string('x', 100))));
    }
}
