using System.Management.Automation;
using System.Security;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Routing;

namespace LightTunnel;

/// <summary>What the commands that take a client's settings have in common.</summary>
public abstract class ClientCommand : StartCommand
{
    /// <summary>
    /// File that holds the invitation. One that others than its owner may read gets a warning, one that everybody may write is refused.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? InvitationPath { get; set; }

    /// <summary>
    /// "host:port" at which the server is reached. Several may be given, the preferred one first; names are resolved anew at each attempt.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? Server { get; set; }

    /// <summary>The server's public key, 44 characters of base64: the PublicKey that Get-LtServer shows there.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? ServerKey { get; set; }

    /// <summary>The network's key, as text or as a SecureString. It is a secret: who has it may join.</summary>
    [Parameter]
    [SecretText]
    public SecureString? NetworkKey { get; set; }

    /// <summary>
    /// File that holds the network's key. One that others than its owner may read gets a warning, one that everybody may write is refused.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? NetworkKeyPath { get; set; }

    /// <summary>
    /// YAML file with the same settings as the parameters; parameters that are given win over the file. Test-LtConfiguration
    /// checks such a file.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? ConfigurationPath { get; set; }

    /// <summary>
    /// Address inside the network to ask for, such as 10.0.0.20; one IPv4 and one IPv6 address may be given. The server
    /// chooses when left out.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? Address { get; set; }

    /// <summary>
    /// Prefix that the server may give to this machine, such as 10.1.0.0/24; several may be given. An invitation names its network's, so
    /// that a server cannot have other networks' traffic sent to it; this says yes when its admin has given the network another prefix.
    /// Once accepted, it is remembered. Without an invitation the first one that the server gives is, when this is left out.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? AcceptPrefix { get; set; }

    /// <summary>UDP port to listen on. The system chooses one when left out.</summary>
    [Parameter]
    [NotSecret]
    public int ListenPort { get; set; }

    /// <summary>
    /// "address:port" at which other members reach this machine, if its owner knows better than LightTunnel finds out: a port that was
    /// forwarded by hand, an address that the server does not see. Literal addresses, IPv6 in brackets; up to four. -ListenPort keeps a
    /// forwarded port the right one.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? AdvertiseEndpoint { get; set; }

    /// <summary>
    /// $true lets this machine pass on what two other members cannot send each other directly; it cannot read it. $false forbids it. When
    /// left out, a machine with a public address does, and others do not.
    /// </summary>
    [Parameter]
    [NotSecret]
    public bool AllowRelay { get; set; }

    /// <summary>
    /// Which paths to other members may be used: Auto takes the best there is, DirectOnly never goes through another node, so that a member
    /// without a direct path is not reached, RelayOnly never goes direct. Auto when left out.
    /// </summary>
    [Parameter]
    [NotSecret]
    public LtPathPolicy PathPolicy { get; set; }

    /// <summary>$false does not ask the router to forward a port to this machine (PCP, NAT-PMP, UPnP). $true when left out.</summary>
    [Parameter]
    [NotSecret]
    public bool PortMapping { get; set; }

    /// <summary>
    /// What becomes of a member whose key is another than the one that this machine has had a link with: Refuse lets it be no member here
    /// until Confirm-LtMember, Accept believes the server, for networks whose machines are made anew again and again. Refuse when left out.
    /// </summary>
    [Parameter]
    [NotSecret]
    public LtKeyChange KeyChange { get; set; }

    /// <summary>
    /// Takes members only that an admin has signed, by a key that the server does not have: so a server in bad hands cannot introduce a key
    /// of its own. Not needed where the invitation names the signing key, or -SigningKey does. Remembered: -RequireSignedMembers:$false
    /// ends it.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter RequireSignedMembers { get; set; }

    /// <summary>
    /// The public half of an admin's signing key, as New-LtSigningKey has shown it; up to eight, any of which suffices. Remembered from
    /// then on: no server, and no invitation, puts others in their place.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? SigningKey { get; set; }

    /// <summary>The invitation as it was given with the command; null when it was not.</summary>
    private protected abstract SecureString? InvitationText { get; }

    /// <summary>What the parameters say, over the file if there is one.</summary>
    /// <exception cref="LightTunnelException">They contradict each other, or a file cannot be read.</exception>
    private protected ClientSettings ReadClientSettings()
    {
        ClientSettings parameters = StartSettings.Fill(this, new ClientSettings
        {
            Invitation = ReadInvitation(),
            Server = Server,
            ServerKey = ServerKey,
            NetworkKey = ReadNetworkKey(NetworkKey, NetworkKeyPath)
                ?? (ServerKey is not null && ConfigurationPath is null ? Ask("network key", "-NetworkKey or -NetworkKeyPath") : null),
            Address = Address,
            AcceptPrefix = AcceptPrefix,
            ListenPort = Given(nameof(ListenPort), ListenPort),
            AdvertiseEndpoint = AdvertiseEndpoint,
            AllowRelay = Given(nameof(AllowRelay), AllowRelay),
            PathPolicy = Given(nameof(PathPolicy), (PathPolicy)PathPolicy),
            PortMapping = Given(nameof(PortMapping), PortMapping),
            KeyChange = Given(nameof(KeyChange), (KeyChangePolicy)KeyChange),
            RequireSignedMembers = Given(nameof(RequireSignedMembers), RequireSignedMembers.IsPresent),
            SigningKey = SigningKey,
        });
        return ResolvePath(ConfigurationPath, nameof(ConfigurationPath)) is { } path
            ? TunnelCatalog.ReadClientSettings(path, parameters, WriteWarning)
            : parameters;
    }

    private Secret? ReadInvitation()
    {
        if (InvitationText is not null && InvitationPath is not null)
            throw new LightTunnelException(LightTunnelError.InvalidOption, "-InvitationPath contradicts -Invitation.", "Give one of them.");
        if (ResolvePath(InvitationPath, nameof(InvitationPath)) is { } path)
            return SecretFile.Read(path, "invitation", WriteWarning);
        if (InvitationText is { Length: 0 })
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidInvitation, "The invitation is empty.",
                "Leave it out to be asked for it, or give -InvitationPath.");
        }
        if (InvitationText is not null)
            return SecretText.ToSecret(InvitationText);
        bool saidOtherwise = Server is not null || ServerKey is not null || NetworkKey is not null || NetworkKeyPath is not null
            || ConfigurationPath is not null;
        return saidOtherwise
            ? null
            : SecretText.ToSecret(InvitationVariable.Take())
                ?? Ask(
                    "invitation", $"-Invitation, -InvitationPath or the environment variable {InvitationVariable.Name}",
                    () => InvitationVariable.Taken);
    }
}
