using System.Management.Automation;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Makes an invitation to a network whose server runs on this machine.</summary>
/// <remarks>
/// <para>An invitation is one line of text with everything that Connect-LtNetwork needs: where the server is, its public key and the
/// network's key, and a secret of its own that the server asks of who is not a member yet. Who has it may join while it admits somebody, so
/// send it like a password, and let it end: -ExpiresIn, -MaxUses. Remove-LtInvitation takes it back, Get-LtInvitation shows who came by it.
/// A member never needs it again.</para>
/// <para>It can say what becomes of who comes by it: -Group, -Address, and -Ephemeral for machines that come and go, such as jobs and
/// containers.</para>
/// <para>The object shows what may be shown. Its text, "$invitation" or Set-Content, is the line itself. Jobs, Export-Clixml and
/// ConvertTo-Json never carry the secret: a job that makes an invitation returns "$invitation".</para>
/// </remarks>
/// <example>
/// <code>PS> New-LtInvitation -Endpoint vpn.example.org | Set-Content invitation.txt</code>
/// <para>Writes an invitation to a file, to be sent to a member.</para>
/// </example>
/// <example>
/// <code>PS> New-LtInvitation -Name 'laptop of Ann' -MaxUses 1 -ExpiresIn 7.00:00
///
/// Network          Endpoints                Expires          Text
/// -------          ---------                -------          ----
/// office           {vpn.example.org:9000}   2026-05-08 10:00 (hidden: "$inv")</code>
/// <para>Makes an invitation for one machine, which ends in a week. The table hides the secret text.</para>
/// </example>
/// <example>
/// <code>PS> New-LtInvitation -Name runners -Group build -Ephemeral |
///         Set-Content runner.txt</code>
/// <para>Makes an invitation for machines that are put into the group build, and forgotten ten minutes after they went.</para>
/// </example>
/// <example>
/// <code>PS> New-LtInvitation -MaxUses 1 -AsQRCode
/// PS> New-LtInvitation -MaxUses 1 -OutFile invitation.png</code>
/// <para>Shows an invitation as a QR code in the terminal, and writes another as a picture.</para>
/// </example>
[Cmdlet(VerbsCommon.New, "LtInvitation", DefaultParameterSetName = "Server")]
[OutputType(typeof(LtInvitation), typeof(string))]
public sealed class NewLtInvitationCommand : LtCommand
{
    /// <summary>Name of the server. Needed only when several servers run on this machine.</summary>
    [Parameter(Position = 0, ParameterSetName = "Server")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(ServerNameCompleter))]
    public string? Server { get; set; }

    /// <summary>The server, as Start-LtServer or Get-LtServer returned it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "InputObject", ValueFromPipeline = true)]
    [NotSecret]
    public LtServer? InputObject { get; set; }

    /// <summary>
    /// "host:port" at which clients reach the server, the preferred one first. Those of Start-LtServer -Endpoint when left out.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? Endpoint { get; set; }

    /// <summary>What the invitation is for, such as a person or a machine: shown by Get-LtInvitation, told to nobody else.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ValidateLength(1, 100)]
    public string? Name { get; set; }

    /// <summary>How many machines may join by it. Any number when left out.</summary>
    [Parameter]
    [NotSecret]
    [ValidateRange(1, 1_000_000)]
    public int MaxUses { get; set; }

    /// <summary>When the invitation ends. Never when left out.</summary>
    [Parameter]
    [NotSecret]
    public DateTimeOffset? Expires { get; set; }

    /// <summary>How long the invitation admits somebody: 7.00:00 is a week, 01:00 an hour. Instead of -Expires.</summary>
    [Parameter]
    [NotSecret]
    public TimeSpan? ExpiresIn { get; set; }

    /// <summary>The groups that who comes by it is put into: up to 16 (Set-LtMember -Group changes that later).</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(GroupCompleter))]
    public string[]? Group { get; set; }

    /// <summary>
    /// The address that who comes by it gets, whatever it asks for; one IPv4 and one IPv6 address may be given. It is kept for that machine
    /// as long as the invitation admits it, so such an invitation is for one: -MaxUses 1 is meant when left out.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? Address { get; set; }

    /// <summary>
    /// Who comes by it is a member only while it is there: when it has been gone for ten minutes the server forgets it, and its name and
    /// address are free. If it comes back after that it joins anew, which counts as another use.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter Ephemeral { get; set; }

    /// <summary>
    /// Returns the invitation as a QR code for the terminal, instead of the object. It is the secret itself: who sees the screen can join.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter AsQRCode { get; set; }

    /// <summary>
    /// File to write the invitation to as a QR code: a picture in PNG or SVG, as the file's name ends. Its owner alone can read it. A file
    /// of that name is overwritten.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? OutFile { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        (string? name, LtServer? server, DateTimeOffset? expires) = (Server, InputObject, Expires);
        (TimeSpan? expiresIn, var wanted) = (
            ExpiresIn, new InvitationRequest(Endpoint ?? [], null, MaxUses, Name ?? string.Empty, LocalUser.Name)
            {
                Groups = Group ?? [], Addresses = Address ?? [], IsEphemeral = Ephemeral,
            });
        var form = QrCodeOutput.Of(this, AsQRCode, OutFile);
        Run(
            async (output, cancellationToken) =>
            {
                InvitationRequest request = wanted with { Expires = EndOf(expires, expiresIn) };
                if (await ServerFinder.OneAsync(output, name, server, cancellationToken).ConfigureAwait(false) is not { } tunnel)
                    return;
                InvitationText made = await tunnel.CreateInvitationAsync(request, cancellationToken).ConfigureAwait(false);
                form.Write(output, new Secret(made.Text), new LtInvitation(made));
            },
            name);
    }

    private static DateTimeOffset? EndOf(DateTimeOffset? expires, TimeSpan? expiresIn)
    {
        DateTimeOffset now = DateTimeOffset.UtcNow;
        if (expires is not null && expiresIn is not null)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, "-Expires and -ExpiresIn both say when the invitation ends.", "Give one of them.");
        }

        if (expires <= now)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"-Expires {expires:u} is in the past.",
                "Give a moment to come, such as (Get-Date).AddDays(7).") { Target = expires };
        }

        if (expiresIn is not { } time)
            return expires;
        // PowerShell takes a mere number for one of 100 ns.
        return time >= TimeSpan.FromSeconds(1) && time < DateTimeOffset.MaxValue - now
            ? now + time
            : throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"-ExpiresIn {time} is no time that an invitation can be good for.",
                "Give a time to come: 7.00:00 is a week, 01:00 an hour.") { Target = time };
    }
}

/// <summary>Makes a new random network key.</summary>
/// <remarks>
/// <para>A network key is what the members of a network have in common, a pre-shared key in WireGuard's words. A server makes one by itself
/// at its first start; this command is for scripts that want to know it beforehand.</para>
/// <para>The key is not shown. Pass the object to -NetworkKey as it is; its text, "$key" or Set-Content, is the key itself.</para>
/// </remarks>
/// <example>
/// <code>PS> $key = New-LtNetworkKey
/// PS> Start-LtServer -Address 10.0.0.1/24 -NetworkKey $key
/// PS> "$key" | Set-Content networkkey.txt</code>
/// <para>Starts a network with a new key, and keeps the key for clients that join without an invitation.</para>
/// </example>
[Cmdlet(VerbsCommon.New, "LtNetworkKey")]
[OutputType(typeof(LtNetworkKey))]
public sealed class NewLtNetworkKeyCommand : LtCommand
{
    /// <inheritdoc/>
    protected override void ProcessRecord() => WriteObject(new LtNetworkKey(NetworkKeys.Generate()));
}
