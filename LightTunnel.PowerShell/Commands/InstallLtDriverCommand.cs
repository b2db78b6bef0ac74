using System.Management.Automation;
using LightTunnel.Diagnostics;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Installs the library that tunnel interfaces need on Windows.</summary>
/// <remarks>
/// <para>Downloads Wintun's archive from where its makers publish it, https://www.wintun.net, and puts the wintun.dll for this
/// PowerShell's kind of processor beside the module's engine. An archive whose SHA-256 is not the published one is refused, whoever sent
/// it. Nothing else of the archive is used.</para>
/// <para>Wintun comes under a licence of its own, which the archive and the site have. The driver itself is in the library, and is
/// installed by it when the first tunnel starts.</para>
/// <para>Needs the right to write to the module's folder. Linux needs no driver, and is told so.</para>
/// </remarks>
/// <example>
/// <code>PS> Install-LtDriver
///
/// Version Architecture IsNew Path
/// ------- ------------ ----- ----
/// 0.14.1           X64  True C:\Modules\LightTunnel\0.1.0\Engine\wintun.dll</code>
/// <para>Downloads and installs it.</para>
/// </example>
/// <example>
/// <code>PS> Install-LtDriver -Path D:\wintun-0.14.1.zip</code>
/// <para>Installs it on a machine without internet, from an archive that was downloaded on another one.</para>
/// </example>
[Cmdlet(VerbsLifecycle.Install, "LtDriver", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtDriver))]
public sealed class InstallLtDriverCommand : LtCommand
{
    /// <summary>A downloaded archive, wintun-0.14.1.zip as it is. Downloaded when left out.</summary>
    [Parameter(Position = 0)]
    [ValidateNotNullOrEmpty]
    public string? Path { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        try
        {
            var installer = new DriverInstaller();
            installer.CheckSystem();
            string? archive = ResolvePath(Path, nameof(Path));
            if (!ShouldProcess(installer.Target, "Install Wintun"))
                return;
            Run(
                async (output, cancellationToken) =>
                    output.WriteObject(new LtDriver(await installer.InstallAsync(archive, cancellationToken).ConfigureAwait(false))),
                archive);
        }
        catch (LightTunnelException exception)
        {
            WriteError(ErrorRecords.From(exception, Path));
        }
    }
}
