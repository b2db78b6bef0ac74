using System.Management.Automation;
using System.Text;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.QrCodes;

namespace LightTunnel;

/// <summary>Makes a machine with any WireGuard app a member, such as a phone, and gives the app's configuration.</summary>
/// <remarks>
/// <para>On a machine that cannot run LightTunnel its WireGuard app does: it imports the configuration that this command gives, as text, as
/// a file or as a QR code. The member has a name and an address like any other, which it keeps until Remove-LtMember ends it;
/// Block-LtMember keeps it out. Get-LtMember shows it with Kind WireGuard.</para>
/// <para>Such a client talks to the server alone. What it sends to other members, and they to it, the server opens and seals again: it is
/// the only case in which a server can read what members send each other. Members with LightTunnel have links of their own, which no server
/// reads.</para>
/// <para>The server makes the client's key pair, puts its private key into the configuration, and keeps neither. So the configuration is
/// given this once. Who wants the private key to stay where it was made gives the public one with -PublicKey.</para>
/// <para>With the name and the public key of a client that there is, it gives that one's configuration anew, such as after
/// Update-LtNetworkKey: only the pre-shared key is another then, and the private key stays the one that the app has.</para>
/// </remarks>
/// <example>
/// <code>PS> New-LtWireGuardClient phone -OutFile phone.conf
///
/// Name           Network      Address         Endpoint             Text
/// ----           -------      -------         --------             ----
/// phone          office       10.0.0.5        vpn.example.org:9000 (hidden: "$c")</code>
/// <para>Makes a phone a member and writes its configuration to a file that only its owner can read.</para>
/// </example>
/// <example>
/// <code>PS> $c = New-LtWireGuardClient camera -Address 10.0.0.60
/// PS> "$c"</code>
/// <para>Gives the member a certain address, and shows its configuration with the secrets in it.</para>
/// </example>
/// <example>
/// <code>PS> New-LtWireGuardClient phone -AsQRCode</code>
/// <para>Shows the configuration as a QR code, which the phone's WireGuard app scans from the screen.</para>
/// </example>
/// <example>
/// <code>PS> New-LtWireGuardClient router -PublicKey (Get-Content router.pub)</code>
/// <para>For a router that has made its own key pair: its private key is to be put where the configuration says so.</para>
/// </example>
[Cmdlet(VerbsCommon.New, "LtWireGuardClient", DefaultParameterSetName = "Server", SupportsShouldProcess = true)]
[OutputType(typeof(LtWireGuardClient), typeof(string))]
public sealed class NewLtWireGuardClientCommand : LtCommand
{
    /// <summary>Name of the member: 1 to 63 of a-z, A-Z, 0-9, - _ and ., beginning with a letter or digit.</summary>
    [Parameter(Mandatory = true, Position = 0)]
    [ValidateNotNullOrEmpty]
    public string Name { get; set; } = string.Empty;

    /// <summary>Name of the server. Needed only when several servers run on this machine.</summary>
    [Parameter(Position = 1, ParameterSetName = "Server")]
    [Alias("Network")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(ServerNameCompleter))]
    public string? Server { get; set; }

    /// <summary>The server, as Start-LtServer or Get-LtServer returned it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "InputObject", ValueFromPipeline = true)]
    [NotSecret]
    public LtServer? InputObject { get; set; }

    /// <summary>Tunnel addresses that the member is to have, one for each family. Free ones when left out.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? Address { get; set; }

    /// <summary>
    /// Public key of a pair that the client has made itself, base64: then the configuration has no private key, but says where it belongs.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? PublicKey { get; set; }

    /// <summary>"host:port" at which the client reaches the server. The first of Start-LtServer -Endpoint when left out.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Endpoint { get; set; }

    /// <summary>
    /// Longest packet that the client sends, bytes: for networks with narrow paths, such as some of phones, 1280. The network's MTU when
    /// left out.
    /// </summary>
    [Parameter]
    [NotSecret]
    [ValidateRange(1280, 65400)]
    public int Mtu { get; set; }

    /// <summary>
    /// Returns the configuration as a QR code for the terminal, instead of the object: the app takes it from the screen. It is the secret
    /// itself: who sees the screen can be that member.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter AsQRCode { get; set; }

    /// <summary>
    /// File to write the configuration to, readable by its owner only: a QR code where its name ends in .png or .svg, else the text. The
    /// apps import text from files that end in .conf.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? OutFile { get; set; }

    /// <summary>Replaces the file of -OutFile if it exists.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter Force { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (!ShouldProcess(Name, "Make a plain WireGuard client a member"))
            return;
        var form = QrCodeOutput.Of(this, AsQRCode, outFile: null);
        (string? name, LtServer? server, bool force) = (Server, InputObject, Force);
        var request = new WireGuardClientRequest(
            Name, Address ?? [], PublicKey, Endpoint, MyInvocation.BoundParameters.ContainsKey(nameof(Mtu)) ? Mtu : null, LocalUser.Name);
        string? path;
        try
        {
            path = ResolvePath(OutFile, nameof(OutFile));
            CheckScanned(request, AsQRCode || (path is not null && QrCode.IsPicture(path)));
        }
        catch (LightTunnelException exception)
        {
            WriteError(ErrorRecords.From(exception, Name));
            return;
        }

        Run(
            async (output, cancellationToken) =>
            {
                if (await ServerFinder.OneAsync(output, name, server, cancellationToken).ConfigureAwait(false) is not { } tunnel)
                    return;
                using NewSecretFile? file = path is null ? null : NewSecretFile.Create(path, force);
                WireGuardClientText client =
                    await tunnel.CreateWireGuardClientAsync(request, cancellationToken).ConfigureAwait(false);
                var compact = new Secret(client.ToCompactText());
                try
                {
                    file?.Write(QrCode.IsPicture(path!) ? QrCode.Of(compact).ToPicture(path!) : Encoding.UTF8.GetBytes(client.Text));
                }
                catch (LightTunnelException exception)
                {
                    output.WriteError(exception, path); // The client is made, and its configuration is given this once.
                }

                form.Write(output, compact, new LtWireGuardClient(client));
                if ((await tunnel.GetStatusAsync(cancellationToken).ConfigureAwait(false)).SigningKeys.Count > 0)
                {
                    output.WriteWarning(
                        $"Members of {client.Network} take signed ones only: an admin has to sign it, Confirm-LtMember {client.Name} "
                            + "-SigningKeyPath.");
                }
            },
            Name);
    }

    /// <summary>Who scans a code edits nothing.</summary>
    private static void CheckScanned(WireGuardClientRequest request, bool isCode)
    {
        if (isCode && request.PublicKey is not null)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, "With -PublicKey the configuration has no private key, which a QR code would have to say.",
                "Leave -PublicKey out, or take the configuration as text.");
        }
    }
}
