using System.Text;
using LightTunnel.Addressing;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using Xunit;
using static LightTunnel.Tests.Membership.ControlMessageTests;
using static LightTunnel.Tests.Membership.SigningSamples;

namespace LightTunnel.Tests.Membership;

/// <summary>Admins' signatures of members: whose they are, what they cover, and that nothing else passes for one.</summary>
public sealed class MemberSignatureTests
{
    private static readonly SigningTrust Trust = new(Server, [AdminsKey(1), AdminsKey(2)]);
    private static readonly DirectoryEntry Nas = Entry(7, "nas", "10.0.0.7");
    private static readonly DateTimeOffset Now = Issued.AddDays(1);

    /// <summary>RFC 8032 section 7.1, TEST 1 and TEST 3.</summary>
    [Theory]
    [InlineData(
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b")]
    [InlineData(
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a")]
    public void Key_SignsAsThePublishedVectorsSay(string seed, string publicKey, string message, string signature)
    {
        using var key = new SigningKey(Convert.FromHexString(seed));
        byte[] text = Convert.FromHexString(message);

        Assert.Equal(Convert.ToBase64String(Convert.FromHexString(publicKey)), key.PublicKey.ToString());
        Assert.Equal(signature, Convert.ToHexStringLower(key.Sign(text)));
        Assert.True(key.PublicKey.HasSigned(text, Convert.FromHexString(signature)));
        Assert.False(key.PublicKey.HasSigned([.. text, 0], Convert.FromHexString(signature)));
    }

    /// <summary>Points of small order, under which one signature fits many messages (RFC 8032 section 8.9 has what they do).</summary>
    [Theory]
    [InlineData("0100000000000000000000000000000000000000000000000000000000000000")]
    [InlineData("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000000")]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000080")]
    [InlineData("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")]
    [InlineData("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")]
    [InlineData("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff")]
    public void PublicKey_ThatIsNoPointOfTheLargeGroup_IsNone(string key) =>
        Assert.False(SigningPublicKey.TryRead(Convert.FromHexString(key), out _));

    [Fact]
    public void Signature_OfAnyOfTheKeys_IsValid_ForExactlyWhatWasSigned()
    {
        Assert.Equal(SignatureState.Valid, Trust.Check(Signed(Nas), Now));
        Assert.Equal(SignatureState.Valid, Trust.Check(Signed(Nas, admin: 2), Now));
        Assert.Equal(SignatureState.Valid, Trust.Check(Signed(Nas) with { Online = false, MemberId = 99, SoftwareVersion = "x" }, Now));
        Assert.Equal(SignatureState.NotRequired, new SigningTrust(Server, []).Check(Nas, Now));
        Assert.Equal(SignatureState.Missing, Trust.Check(Nas, Now));
        Assert.Equal(SignatureState.OtherKey, Trust.Check(Signed(Nas, admin: 3), Now));

        DirectoryEntry signed = Signed(Nas);
        DirectoryEntry[] lies =
        [
            signed with { PublicKey = Key(8) },
            signed with { Name = "NAS" },
            signed with { Addresses = [Address("10.0.0.8")] },
            signed with { Addresses = [Address("10.0.0.7"), Address("fd00::7")] },
            signed with { Addresses = [Address("fd00::7")] },
            signed with { IsPlain = true },
        ];
        Assert.All(lies, lie => Assert.Equal(SignatureState.Mismatch, Trust.Check(lie, Now)));
        Assert.Equal(SignatureState.Mismatch, new SigningTrust(Key(98), [AdminsKey()]).Check(signed, Now));
        Assert.Equal(SignatureState.Mismatch, Trust.Check(Signed(Nas with { IsPlain = true }) with { IsPlain = false }, Now));
    }

    [Fact]
    public void Signature_IsGoodUntilItsEnd_WhichNobodyCanMove()
    {
        DirectoryEntry signed = Signed(Nas, expires: Issued.AddDays(30));
        Assert.Equal(SignatureState.Valid, Trust.Check(signed, Issued.AddDays(30).AddSeconds(-1)));
        Assert.Equal(SignatureState.Expired, Trust.Check(signed, Issued.AddDays(30)));
        Assert.Equal((Issued, Issued.AddDays(30)), (signed.Signature!.Issued, signed.Signature.Expires));

        byte[] bytes = Bytes(signed.Signature);
        bytes[20] ^= 1; // The last byte of the end.
        Assert.Equal(SignatureState.Mismatch, Trust.Check(signed with { Signature = FromBytes(bytes) }, Now));
        bytes[20] ^= 1;
        bytes[12] ^= 1; // And of the beginning.
        Assert.Equal(SignatureState.Mismatch, Trust.Check(signed with { Signature = FromBytes(bytes) }, Now));
    }

    [Fact]
    public void Signature_OfAFormThatIsNotKnown_IsPassedOn_AndCountsForNothing()
    {
        byte[] newer = [2, .. Bytes(Signed(Nas).Signature!)[1..], 7];
        DirectoryEntry entry = Nas with { Signature = FromBytes(newer) };
        Assert.Equal(SignatureState.OtherKey, Trust.Check(entry, Now));
        Assert.Equal(newer, Bytes(entry.Signature));

        // A second that no calendar has is no date either.
        byte[] late = Bytes(Signed(Nas).Signature!);
        late[5] = 0xff;
        Assert.Equal(SignatureState.OtherKey, Trust.Check(Nas with { Signature = FromBytes(late) }, Now));
    }

    [Fact]
    public void Bytes_OfASignatureThatWereChanged_AreNoSignature_AndNothingIsThrown()
    {
        var mutator = new ByteMutator(Fuzz.Seed(11));
        DirectoryEntry signed = Signed(Nas, expires: Issued.AddDays(30));
        byte[] original = Bytes(signed.Signature!);
        for (int i = 0; i < Fuzz.Count(2000); i++)
        {
            byte[] bytes = mutator.Mutate(original);
            if (bytes.AsSpan().SequenceEqual(original) || bytes.Length is 0 or > MemberSignature.MaximumSize)
                continue;
            MemberSignature changed = FromBytes(bytes);
            Assert.NotEqual(SignatureState.Valid, Trust.Check(signed with { Signature = changed }, Now));
            Assert.True(MemberSignature.TryParse(changed.ToString(), out MemberSignature? again) && again.Equals(changed));
            _ = SigningPublicKey.TryRead(bytes.AsSpan(0, Math.Min(bytes.Length, SigningPublicKey.Size)), out _);
        }
    }

    [Fact]
    public void Text_OfASignature_IsReadBack_AndAnythingElseIsNone()
    {
        MemberSignature signature = Signed(Nas).Signature!;
        Assert.True(MemberSignature.TryParse(signature.ToString(), out MemberSignature? read));
        Assert.Equal(signature, read);
        Assert.All(
            (string?[])[null, string.Empty, " ", "ä", "A", signature + "!", new string('A', 172), new string('A', 100_000)],
            text => Assert.False(MemberSignature.TryParse(text, out _)));
    }

    [Fact]
    public void File_OfAKey_IsReadBack_AndADamagedOneIsNone()
    {
        using SigningKey key = Admin();
        string text = Encoding.ASCII.GetString(key.Reveal());
        Assert.True(SigningKey.TryParse(text, out SigningKey? read));
        Assert.Equal(key.PublicKey, read.PublicKey);
        Assert.True(SigningKey.TryParse("\r\n# mine\r\n" + text.Replace("\n", "\r\n", StringComparison.Ordinal), out _));
        Assert.Contains($"# Public half: {key.PublicKey}\n# Fingerprint: {key.PublicKey.Fingerprint}\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("ltsign1", $"{key}", StringComparison.Ordinal);

        string line = text.Split('\n')[3];
        Assert.StartsWith("ltsign1:", line, StringComparison.Ordinal);
        Assert.All(
            (string?[])
            [
                null, string.Empty, key.PublicKey.ToString(), line[..^1], line + "A", line[..20] + "b" + line[21..], line[8..], "#",
            ],
            damaged => Assert.False(SigningKey.TryParse(damaged, out _)));
        var mutator = new ByteMutator(Fuzz.Seed(12));
        for (int i = 0; i < Fuzz.Count(2000); i++)
        {
            string mutated = Encoding.Latin1.GetString(mutator.Mutate(Encoding.ASCII.GetBytes(line)));
            Assert.True(!SigningKey.TryParse(mutated, out SigningKey? other) || other.PublicKey.Equals(key.PublicKey));
        }
    }

    [Fact]
    public void Invitation_NamesTheKeys_AndOneThatCannotBeReadIsNoneAtAll()
    {
        Invitation invitation = InvitationTests.Sample() with { SigningKeys = [AdminsKey(1), AdminsKey(2)] };
        Invitation read = Invitation.Parse(invitation.Reveal(), Now);
        Assert.Equal(invitation.SigningKeys, read.SigningKeys);
        Assert.Empty(Invitation.Parse(InvitationTests.Sample().Reveal(), Now).SigningKeys);
    }

    [Fact]
    public void Lease_KeepsItsSignature_AndTakesTheNameAndTheAddressForTheAdminsWord()
    {
        var leases = new Leases([SimulatedAddress("10.0.0.1/24")]);
        leases.Acquire(Key(1), "laptop", [], Now);
        Lease lease = leases.ByKey(Key(1))!;
        DirectoryEntry entry = Entry(1, lease.Name, "10.0.0.2") with { PublicKey = lease.PublicKey };
        leases.Sign(Key(1), Signed(entry).Signature!, Trust, Now);

        LeaseResult again = leases.Acquire(Key(1), "other", [Address("10.0.0.9")], Now);
        Assert.Equal(("laptop", "10.0.0.2"), (again.Lease!.Name, again.Lease.Addresses[0].ToString()));
        byte[] written = LeaseCodec.EntriesOf(again.Lease, null).First().Value;
        Assert.True(LeaseCodec.TryReadMember(new("m/2", written, 0, 0), out Lease? read));
        Assert.Equal(Signed(entry).Signature, read.Signature);
    }

    [Theory]
    [InlineData(0, 1, SignatureState.Mismatch)]
    [InlineData(1, 3, SignatureState.OtherKey)]
    [InlineData(2, 1, SignatureState.Expired)]
    [InlineData(3, 1, SignatureState.Outdated)]
    public void Lease_TakesNoSignatureThatIsNone(int what, byte admin, SignatureState expected)
    {
        var leases = new Leases([SimulatedAddress("10.0.0.1/24")]);
        leases.Acquire(Key(1), "laptop", [], Now);
        DirectoryEntry entry = Entry(1, what == 0 ? "other" : "laptop", "10.0.0.2");
        leases.Sign(Key(1), Signed(Entry(1, "laptop", "10.0.0.2")).Signature!, Trust, Now);
        MemberSignature signature = Signed(
            entry, admin, what == 3 ? Issued.AddSeconds(-1) : Issued.AddDays(1), what == 2 ? Now : null).Signature!;

        LightTunnel.Diagnostics.LightTunnelException refusal = Assert.Throws<LightTunnel.Diagnostics.LightTunnelException>(
            () => leases.Sign(Key(1), signature, Trust, Now));

        Assert.Equal(LightTunnel.Diagnostics.LightTunnelError.InvalidSignature, refusal.Error);
        Assert.Contains(expected.Sentence(), refusal.Message, StringComparison.Ordinal);
        Assert.Equal(Signed(Entry(1, "laptop", "10.0.0.2")).Signature, leases.ByKey(Key(1))!.Signature);
    }

    private static InterfaceAddress SimulatedAddress(string text) => LightTunnel.Tests.Engine.SimulatedNetwork.Parse(text);

    private static byte[] Bytes(MemberSignature signature) => System.Buffers.Text.Base64Url.DecodeFromChars(signature.ToString());

    private static MemberSignature FromBytes(byte[] bytes)
    {
        Assert.True(MemberSignature.TryParse(System.Buffers.Text.Base64Url.EncodeToString(bytes), out MemberSignature? signature));
        return signature;
    }
}
