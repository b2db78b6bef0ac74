using System.Management.Automation;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Membership;

namespace LightTunnel;

/// <summary>Makes an invitation to a network whose server runs on this machine.</summary>
/// <remarks>
/// <para>An invitation is one line of text with everything that Connect-LtNetwork needs: where the server is, its public key and the
/// network's key. Who has it may join, so send it like a password.</para>
/// <para>The object shows what may be shown. Its text, "$invitation" or Set-Content, is the line itself. Jobs, Export-Clixml and
/// ConvertTo-Json never carry the secret: a job that makes an invitation returns "$invitation".</para>
/// </remarks>
/// <example>
/// <code>PS> New-LtInvitation -Endpoint vpn.example.org | Set-Content invitation.txt</code>
/// <para>Writes an invitation to a file, to be sent to a member.</para>
/// </example>
/// <example>
/// <code>PS> New-LtInvitation -Server office -Expires (Get-Date).AddDays(7)
///
/// Network          Endpoints                Expires          Text
/// -------          ---------                -------          ----
/// office           {vpn.example.org:9000}   2026-05-08 10:00 (hidden: "$inv")</code>
/// <para>Makes an invitation that ends in a week. The table hides the secret text.</para>
/// </example>
[Cmdlet(VerbsCommon.New, "LtInvitation", DefaultParameterSetName = "Server")]
[OutputType(typeof(LtInvitation))]
public sealed class NewLtInvitationCommand : LtCommand
{
    /// <summary>Name of the server. Needed only when several servers run on this machine.</summary>
    [Parameter(Position = 0, ParameterSetName = "Server")]
    [Alias("Name")]
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

    /// <summary>When the invitation ends. Never when left out.</summary>
    [Parameter]
    [NotSecret]
    public DateTimeOffset? Expires { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        (string? name, LtServer? server, string[]? endpoints, DateTimeOffset? expires) = (Server, InputObject, Endpoint, Expires);
        Run(
            async (output, cancellationToken) =>
            {
                if (expires <= DateTimeOffset.UtcNow)
                {
                    throw new LightTunnelException(
                        LightTunnelError.InvalidOption, $"-Expires {expires:u} is in the past.",
                        "Give a moment to come, such as (Get-Date).AddDays(7).")
                    { Target = expires };
                }

                IReadOnlyList<ITunnelHandle> found;
                if (name is null && server is null)
                {
                    TunnelSearch search = await TunnelFinder.SearchAsync(
                        output, TunnelRole.Server, null, cancellationToken).ConfigureAwait(false);
                    found = search.Tunnels;
                    // Which server is meant is not known then, and that was said.
                    if (search.NotAnswering.Count > 0)
                        return;
                }
                else
                {
                    found = await TunnelFinder.FindAsync(
                        output, TunnelRole.Server, name is null ? null : [name], server, cancellationToken).ConfigureAwait(false);
                    if (found.Count == 0)
                        return;
                }

                ITunnelHandle tunnel = Only(found);
                output.WriteObject(new LtInvitation(
                    await tunnel.CreateInvitationAsync(endpoints ?? [], expires, cancellationToken).ConfigureAwait(false)));
            },
            name);
    }

    private static ITunnelHandle Only(IReadOnlyList<ITunnelHandle> servers) => servers.Count switch
    {
        1 => servers[0],
        0 => throw new LightTunnelException(
            LightTunnelError.NotFound, "No server runs on this machine.",
            "Start one with Start-LtServer, or run this on the server's machine."),
        _ => throw new LightTunnelException(
            LightTunnelError.InvalidOption,
            $"Several servers run on this machine: {string.Join(", ", servers.Select(server => server.Name))}.",
            "Name one with -Server."),
    };
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
