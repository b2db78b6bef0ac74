using LightTunnel.WireGuard;
using LightTunnel.WireGuard.Ciphers;
using LightTunnel.WireGuard.Noise;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

public sealed class HandshakeStateTests
{
    public static TheoryData<int> Vectors => [.. Enumerable.Range(0, NoiseVectors.All.Length)];

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Handshake_PublishedVector_GivesEveryMessageByteForByte(int index)
    {
        NoiseVector vector = NoiseVectors.All[index];
        byte[] prologue = Hex(vector.Prologue);
        byte[] psk = Hex(vector.PresharedKey);
        using var initiatorStatic = new PrivateKey(Hex(vector.InitiatorStatic));
        using var responderStatic = new PrivateKey(Hex(vector.ResponderStatic));
        using var initiator = new HandshakeState(
            vector.Protocol, prologue, psk.Length != 0, initiatorStatic, responderStatic.PublicKey,
            new PrivateKey(Hex(vector.InitiatorEphemeral)));
        using var responder = new HandshakeState(
            vector.Protocol, prologue, psk.Length != 0, responderStatic, null, new PrivateKey(Hex(vector.ResponderEphemeral)));

        byte[] payload = Hex(vector.Messages[0].Payload);
        byte[] message = new byte[HandshakeState.InitiationSize(payload.Length)];
        byte[] read = new byte[payload.Length];
        Assert.True(initiator.TryWriteInitiation(payload, message));
        Assert.Equal(vector.Messages[0].Ciphertext, Convert.ToHexStringLower(message));
        Assert.True(responder.TryReadInitiation(message, read));
        Assert.Equal(payload, read);
        Assert.Equal(initiatorStatic.PublicKey, responder.RemoteStatic);

        payload = Hex(vector.Messages[1].Payload);
        message = new byte[HandshakeState.ResponseSize(payload.Length)];
        read = new byte[payload.Length];
        Assert.True(responder.TryWriteResponse(psk, payload, message));
        Assert.Equal(vector.Messages[1].Ciphertext, Convert.ToHexStringLower(message));
        Assert.True(initiator.TryReadResponse(psk, message, read));
        Assert.Equal(payload, read);
        Assert.Equal(initiator.HandshakeHash, responder.HandshakeHash);
        if (vector.HandshakeHash.Length != 0)
            Assert.Equal(vector.HandshakeHash, Convert.ToHexStringLower(initiator.HandshakeHash));

        byte[] toResponder = new byte[32];
        byte[] toInitiator = new byte[32];
        initiator.Split(toResponder, toInitiator);
        using var forth = new VectorChaChaPoly(toResponder);
        using var back = new VectorChaChaPoly(toInitiator);
        for (int i = 2; i < vector.Messages.Length; i++)
        {
            payload = Hex(vector.Messages[i].Payload);
            byte[] ciphertext = new byte[payload.Length + forth.TagSize];
            (i % 2 == 0 ? forth : back).Seal((ulong)(i - 2) / 2, default, payload, ciphertext);
            Assert.Equal(vector.Messages[i].Ciphertext, Convert.ToHexStringLower(ciphertext));
        }
    }

    [Fact]
    public void TryReadInitiation_MeantForAnother_IsRefused()
    {
        using var identity = PrivateKey.Generate();
        using var other = PrivateKey.Generate();
        byte[] message = Initiation(identity, other.PublicKey);
        using HandshakeState responder = State(identity, null);
        Assert.False(responder.TryReadInitiation(message, new byte[4]));
    }

    [Fact]
    public void TryReadResponse_ForgedFirst_StillAcceptsTheRealOne()
    {
        using var identity = PrivateKey.Generate();
        using var peer = PrivateKey.Generate();
        using HandshakeState initiator = State(identity, peer.PublicKey);
        using HandshakeState responder = State(peer, null);
        byte[] initiation = new byte[HandshakeState.InitiationSize(4)];
        byte[] response = new byte[HandshakeState.ResponseSize(0)];
        Assert.True(initiator.TryWriteInitiation(new byte[4], initiation));
        Assert.True(responder.TryReadInitiation(initiation, new byte[4]));
        Assert.True(responder.TryWriteResponse(new byte[32], default, response));

        byte[] forged = [.. response];
        forged[^1] ^= 1;
        Assert.False(initiator.TryReadResponse(new byte[32], forged, default));
        Assert.True(initiator.TryReadResponse(new byte[32], response, default));
    }

    [Fact]
    public void TryReadResponse_AnotherPresharedKey_IsRefused()
    {
        using var identity = PrivateKey.Generate();
        using var peer = PrivateKey.Generate();
        using HandshakeState initiator = State(identity, peer.PublicKey);
        using HandshakeState responder = State(peer, null);
        byte[] initiation = new byte[HandshakeState.InitiationSize(4)];
        byte[] response = new byte[HandshakeState.ResponseSize(0)];
        Assert.True(initiator.TryWriteInitiation(new byte[4], initiation));
        Assert.True(responder.TryReadInitiation(initiation, new byte[4]));
        Assert.True(responder.TryWriteResponse(new byte[32], default, response));

        byte[] another = new byte[32];
        another[5] = 1;
        Assert.False(initiator.TryReadResponse(another, response, default));
    }

    [Fact]
    public void Handshake_KeyOfLowOrder_IsRefusedByBothSides()
    {
        using var identity = PrivateKey.Generate();
        using HandshakeState initiator = State(identity, new PublicKey(new byte[32]));
        Assert.False(initiator.TryWriteInitiation(new byte[4], new byte[HandshakeState.InitiationSize(4)]));

        using var other = PrivateKey.Generate();
        byte[] message = Initiation(other, identity.PublicKey);
        message.AsSpan(0, 32).Clear();
        using HandshakeState responder = State(identity, null);
        Assert.False(responder.TryReadInitiation(message, new byte[4]));
    }

    private static HandshakeState State(PrivateKey identity, PublicKey? remote) =>
        new(Handshake.Construction, default, pskMode: true, identity, remote);

    private static byte[] Initiation(PrivateKey identity, PublicKey remote)
    {
        using HandshakeState initiator = State(identity, remote);
        byte[] message = new byte[HandshakeState.InitiationSize(4)];
        Assert.True(initiator.TryWriteInitiation(new byte[4], message));
        return message;
    }

    private static byte[] Hex(string text) => Convert.FromHexString(text);
}
