using System.Globalization;
using LightTunnel.Membership;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace LightTunnel.Configuration;

/// <summary>
/// Writes settings as the YAML that <see cref="ConfigurationFile"/> reads back as the same settings: texts in quotes, so that nothing in
/// them means anything, and what was not said is left out. The text holds the secrets.
/// </summary>
public static class ConfigurationWriter
{
    /// <summary>A server's file.</summary>
    public static Secret Write(ServerSettings settings) => Write(TunnelRole.Server, settings,
    [
        ("address", settings.Address),
        ("endpoint", settings.Endpoint),
        ("observerPort", settings.ObserverPort),
        ("maxClients", settings.MaxClients),
        ("clientIsolation", settings.ClientIsolation),
        ("allowKeyOnly", settings.AllowKeyOnly),
        ("requireApproval", settings.RequireApproval),
        ("autoApproveRoute", settings.AutoApproveRoute),
        ("memberExpiry", settings.MemberExpiry),
        ("requireSignedMembers", settings.RequireSignedMembers),
        ("signingKey", settings.SigningKey),
    ]);

    /// <summary>A client's file.</summary>
    public static Secret Write(ClientSettings settings) => Write(TunnelRole.Client, settings,
    [
        ("invitation", settings.Invitation),
        ("invitationSecret", settings.InvitationSecret),
        ("server", settings.Server),
        ("serverKey", settings.ServerKey),
        ("address", settings.Address),
        ("acceptPrefix", settings.AcceptPrefix),
        ("advertiseEndpoint", settings.AdvertiseEndpoint),
        ("allowRelay", settings.AllowRelay),
        ("pathPolicy", settings.PathPolicy),
        ("portMapping", settings.PortMapping),
        ("keyChange", settings.KeyChange),
        ("requireSignedMembers", settings.RequireSignedMembers),
        ("signingKey", settings.SigningKey),
    ]);

    /// <summary>A file of whichever role the settings are.</summary>
    internal static Secret Write(TunnelSettings settings) =>
        settings is ServerSettings server ? Write(server) : Write((ClientSettings)settings);

    private static Secret Write(TunnelRole role, TunnelSettings settings, IEnumerable<(string Key, object? Value)> own)
    {
        using var text = new StringWriter(CultureInfo.InvariantCulture) { NewLine = "\n" };
        var emitter = new Emitter(text, EmitterSettings.Default.WithBestWidth(int.MaxValue).WithNewLine("\n"));
        emitter.Emit(new StreamStart());
        emitter.Emit(new DocumentStart());
        emitter.Emit(new MappingStart());
        foreach ((string key, object? value) in (IEnumerable<(string, object?)>)[("role", role), .. Common(settings), .. own])
        {
            if (value is null)
                continue;
            emitter.Emit(new Scalar(key));
            Write(emitter, value);
        }

        emitter.Emit(new MappingEnd());
        emitter.Emit(new DocumentEnd(isImplicit: true));
        emitter.Emit(new StreamEnd());
        return new Secret(text.ToString());
    }

    private static void Write(Emitter emitter, object value)
    {
        switch (value)
        {
            case IReadOnlyList<string> texts:
                emitter.Emit(new SequenceStart(AnchorName.Empty, TagName.Empty, isImplicit: true, SequenceStyle.Block));
                foreach (string text in texts)
                    emitter.Emit(Quoted(text));
                emitter.Emit(new SequenceEnd());
                break;
            case string text:
                emitter.Emit(Quoted(text));
                break;
            case Secret secret:
                emitter.Emit(Quoted(secret.Reveal()));
                break;
            case bool flag:
                emitter.Emit(new Scalar(flag ? "true" : "false"));
                break;
            default:
                string word = Convert.ToString(value, CultureInfo.InvariantCulture)!;
                emitter.Emit(new Scalar(char.ToLowerInvariant(word[0]) + word[1..]));
                break;
        }
    }

    private static Scalar Quoted(string text) =>
        new(AnchorName.Empty, TagName.Empty, text, ScalarStyle.DoubleQuoted, isPlainImplicit: false, isQuotedImplicit: true);

    private static IEnumerable<(string Key, object? Value)> Common(TunnelSettings settings) =>
    [
        ("name", settings.Name),
        ("listenPort", settings.ListenPort),
        ("mtu", settings.Mtu),
        ("cipher", settings.Cipher),
        ("interfaceName", settings.InterfaceName),
        ("networkCategory", settings.NetworkCategory),
        ("allowInbound", settings.AllowInbound),
        ("route", settings.Route),
        ("as", settings.As),
        ("noSnat", settings.NoSnat),
        ("acceptRoute", settings.AcceptRoute),
        ("forceRoute", settings.ForceRoute),
        ("offerExitNode", settings.OfferExitNode),
        ("exitNode", settings.ExitNode),
        ("allowLan", settings.AllowLan),
        ("killSwitch", settings.KillSwitch),
        ("queues", settings.Queues),
        ("disableOffload", settings.DisableOffload),
        ("statePath", settings.StatePath),
        ("logPath", settings.LogPath),
        ("logLevel", settings.LogLevel),
        ("networkKey", settings.NetworkKey),
    ];
}
