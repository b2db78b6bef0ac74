using System.Text;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.Tests.Membership;
using LightTunnel.WireGuard;
using Xunit;
using static LightTunnel.Tests.Membership.SigningSamples;

namespace LightTunnel.Tests.Configuration;

/// <summary>Whose word on signing keys counts, and that what was said is kept.</summary>
public sealed class SigningPinsTests
{
    private static readonly ClientOptions Options = new()
    {
        Name = "alice", StatePath = "unused", Servers = [], ServerKey = Server, NetworkKey = PresharedKey.Generate(),
    };

    private static readonly KeyValuePair<PublicKey, DateTimeOffset>[] Seen = [new(ControlMessageTests.Key(7), Issued)];
    private static readonly SigningMemory Kept = new([AdminsKey(1)], Seen);

    [Fact]
    public void FirstWord_IsThePersonsOrTheInvitations_AndHolds()
    {
        Assert.Equal(SigningMemory.None.Keys, SigningPins.Resolve(Options, SigningMemory.None).Keys);
        Assert.Equal(
            [AdminsKey(1)], SigningPins.Resolve(Options with { InvitedSigningKeys = [AdminsKey(1)] }, SigningMemory.None).Keys);
        Assert.Equal([AdminsKey(2)], SigningPins.Resolve(Options with { SigningKeys = [AdminsKey(2)] }, SigningMemory.None).Keys);

        Assert.Same(Kept.Keys, SigningPins.Resolve(Options, Kept).Keys);
        Assert.Same(Kept.Keys, SigningPins.Resolve(Options with { RequireSignedMembers = true }, Kept).Keys);
        Assert.Equal(Seen, SigningPins.Resolve(Options with { InvitedSigningKeys = [AdminsKey(1)] }, Kept).Seen);
    }

    [Fact]
    public void Invitation_ThatNamesOtherKeys_IsNotBelieved()
    {
        LightTunnelException refusal = Assert.Throws<LightTunnelException>(
            () => SigningPins.Resolve(Options with { InvitedSigningKeys = [AdminsKey(1), AdminsKey(2)] }, Kept));
        Assert.Equal(LightTunnelError.NotSigned, refusal.Error);
        Assert.Contains(AdminsKey(1).Fingerprint, refusal.Message, StringComparison.Ordinal);
        Assert.Contains(AdminsKey(2).Fingerprint, refusal.Message, StringComparison.Ordinal);

        Assert.Equal(
            LightTunnelError.NotSigned,
            Assert.Throws<LightTunnelException>(
                () => SigningPins.Resolve(Options with { RequireSignedMembers = true }, SigningMemory.None)).Error);
    }

    [Fact]
    public void Person_ChangesTheKeys_AndWhatAKeySignedThatIsNoneAnyMoreIsForgotten()
    {
        SigningMemory more = SigningPins.Resolve(Options with { SigningKeys = [AdminsKey(1), AdminsKey(2)] }, Kept);
        Assert.Equal((2, 1), (more.Keys.Count, more.Seen.Count));
        SigningMemory other = SigningPins.Resolve(Options with { SigningKeys = [AdminsKey(2)] }, Kept);
        Assert.Equal((AdminsKey(2), 0), (Assert.Single(other.Keys), other.Seen.Count));
        Assert.Same(SigningMemory.None, SigningPins.Resolve(Options with { RequireSignedMembers = false }, Kept));
    }

    [Fact]
    public void State_KeepsThem_AndDamageIsNeverTakenForNone()
    {
        NodeState state = State();
        Assert.Same(state, SigningPins.With(state, Server, SigningMemory.None));
        state = SigningPins.With(state, Server, Kept);
        byte[] content = StateFile.Encode(state);
        SigningMemory read = StateFile.Decode(content, "state").Signing[Server];
        Assert.Equal(Kept.Keys, read.Keys);
        Assert.Equal(Seen, read.Seen);
        Assert.Empty(SigningPins.With(state, Server, SigningMemory.None).Signing);

        string body = Encoding.UTF8.GetString(content).Split('\n')[1];
        Assert.All(
            (string[])
            [
                body.Replace(Escaped(AdminsKey(1).ToString()), Convert.ToBase64String(new byte[32]), StringComparison.Ordinal),
                body.Replace("\"keys\":[", "\"keys\":[\"x\",", StringComparison.Ordinal),
                body.Replace("\"seen\"", "\"sen\"", StringComparison.Ordinal),
                body.Replace($":{Issued.ToUnixTimeSeconds()}", ":-1", StringComparison.Ordinal),
                body.Replace($":{Issued.ToUnixTimeSeconds()}", ":999999999999999", StringComparison.Ordinal),
            ],
            damaged =>
            {
                Assert.NotEqual(body, damaged);
                string digest = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(damaged)));
                string file = $$"""{"format":"LightTunnel state","version":1,"sha256":"{{digest}}"}""" + $"\n{damaged}\n";
                Assert.Equal(
                    LightTunnelError.InvalidState,
                    Assert.Throws<LightTunnelException>(() => StateFile.Decode(Encoding.UTF8.GetBytes(file), "state")).Error);
            });
    }

    private static string Escaped(string text) => text.Replace("+", "\\u002B", StringComparison.Ordinal);

    private static NodeState State() => new() { Role = TunnelRole.Client, PrivateKey = new byte[32] };
}
