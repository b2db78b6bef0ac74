using System.Management.Automation.Host;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.QrCodes;

namespace LightTunnel;

/// <summary>Where a command puts a secret that it has made: into its object, a QR code in the terminal, a picture in a file.</summary>
internal sealed class QrCodeOutput
{
    private readonly bool _asCode;
    private readonly string? _path;
    private readonly int _columns;

    private QrCodeOutput(bool asCode, string? path, int columns) => (_asCode, _path, _columns) = (asCode, path, columns);

    /// <summary>What the parameters of a command say; looked at before the secret is made.</summary>
    /// <param name="command">The command.</param>
    /// <param name="asCode">Whether the code takes the place of the object.</param>
    /// <param name="outFile">A file for the picture, or null.</param>
    public static QrCodeOutput Of(LtCommand command, bool asCode, string? outFile)
    {
        try
        {
            string? path = command.ResolvePath(outFile, "OutFile");
            if (path is not null)
                QrCode.CheckPath(path);
            return new QrCodeOutput(asCode, path, ColumnsOf(command.Host));
        }
        catch (LightTunnelException exception)
        {
            command.ThrowTerminatingError(ErrorRecords.From(exception, outFile));
            throw;
        }
    }

    /// <summary>Puts out what was made. That a file cannot be written is an error, and no reason to keep the rest back.</summary>
    /// <param name="output">Of the command.</param>
    /// <param name="secret">The text that the code says.</param>
    /// <param name="made">The object.</param>
    public void Write(CommandOutput output, Secret secret, object made)
    {
        if (_path is not null)
        {
            try
            {
                QrCode.Of(secret).Save(_path);
            }
            catch (LightTunnelException exception)
            {
                output.WriteError(exception, _path);
            }
        }

        if (!_asCode)
        {
            output.WriteObject(made);
            return;
        }

        var code = QrCode.Of(secret);
        if (_columns > 0 && code.Size > _columns)
            output.WriteWarning($"The QR code is {code.Size} columns wide, and the terminal {_columns}: make it wider, or use -OutFile.");
        output.WriteObject(code.ToTerminalText());
    }

    /// <summary>0 where nobody can tell.</summary>
    private static int ColumnsOf(PSHost host)
    {
        try
        {
            return host.UI?.RawUI?.WindowSize.Width ?? 0;
        }
        catch (Exception exception) when (exception is HostException or NotImplementedException or IOException or InvalidOperationException)
        {
            return 0;
        }
    }
}
