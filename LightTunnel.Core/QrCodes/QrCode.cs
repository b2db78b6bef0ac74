using System.Globalization;
using System.Text;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using QRCoder;

namespace LightTunnel.QrCodes;

/// <summary>
/// A text as a QR code (ISO/IEC 18004): in a terminal, as a picture. What it says is a secret as a rule, so nothing else tells of it, and
/// its files are readable by their owner only. Never changed after creation.
/// </summary>
public sealed class QrCode
{
    /// <summary>Pixels of one module of a picture: enough for cameras, and a picture of some hundred pixels.</summary>
    private const int PixelsPerModule = 8;

    /// <summary>White on black by number, which themes do not change; every terminal of today knows these.</summary>
    private const string Colors = "\e[38;5;231;48;5;16m";

    private const string NoColors = "\e[0m";

    private readonly QRCodeData _data;

    private QrCode(QRCodeData data) => _data = data;

    /// <summary>Modules of one side with the empty ones around, which readers need: the columns that it takes in a terminal.</summary>
    public int Size => _data.ModuleMatrix.Count;

    /// <summary>Makes the code of a text.</summary>
    /// <exception cref="LightTunnelException">InvalidOption: the text is too long for any.</exception>
    public static QrCode Of(Secret text)
    {
        try
        {
            // The least correction: a screen has no stains, and the code is as small as can be.
            return new QrCode(QRCodeGenerator.GenerateQrCode(text.Reveal(), QRCodeGenerator.ECCLevel.L));
        }
        catch (QRCoder.Exceptions.DataTooLongException)
        {
            // What it says of the text is not repeated.
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"The text has {text.Reveal().Length} characters, which is too long for a QR code.",
                "Name fewer endpoints, or send the text.");
        }
    }

    /// <summary>Checks that a code can be written to a file of that name, before what it is to say is made.</summary>
    /// <exception cref="LightTunnelException">InvalidOption: it is neither PNG nor SVG.</exception>
    public static void CheckPath(string path) => FormatOf(path);

    /// <summary>
    /// Lines of half blocks, two modules each, light ones drawn in white on black: so that it can be read on dark and on light grounds.
    /// Without its colours, as a file or a plain terminal has it, it can be read on dark ones.
    /// </summary>
    public string ToTerminalText()
    {
        var text = new StringBuilder();
        for (int row = 0; row < Size; row += 2)
        {
            if (row > 0)
                text.Append('\n');
            text.Append(Colors);
            for (int column = 0; column < Size; column++)
            {
                text.Append((IsLight(row, column), IsLight(row + 1, column)) switch
                {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    _ => ' ',
                });
            }

            text.Append(NoColors);
        }

        return text.ToString();
    }

    /// <summary>The picture as PNG.</summary>
    public byte[] ToPng()
    {
        var png = new PngByteQRCode(_data); // Not disposed, as the data would be with it.
        return png.GetGraphic(PixelsPerModule);
    }

    /// <summary>The picture as SVG.</summary>
    public string ToSvg()
    {
        var path = new StringBuilder();
        for (int row = 0; row < Size; row++)
        {
            for (int column = 0; column < Size; column++)
            {
                if (IsLight(row, column))
                    continue;
                int first = column;
                while (column + 1 < Size && !IsLight(row, column + 1))
                    column++;
                int length = column + 1 - first;
                path.Append(CultureInfo.InvariantCulture, $"M{first} {row}h{length}v1h-{length}z");
            }
        }

        int side = Size * PixelsPerModule;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"""
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {Size} {Size}" width="{side}" height="{side}" shape-rendering="crispEdges">
            <rect width="{Size}" height="{Size}" fill="#fff"/>
            <path d="{path}" fill="#000"/>
            </svg>

            """);
    }

    /// <summary>True for a path that names a picture: PNG or SVG.</summary>
    public static bool IsPicture(string path) => Path.GetExtension(path).ToUpperInvariant() is ".PNG" or ".SVG";

    /// <summary>What a file of that name is to hold: PNG or SVG.</summary>
    /// <exception cref="LightTunnelException">InvalidOption: it is neither.</exception>
    public byte[] ToPicture(string path) => FormatOf(path) == Format.Png ? ToPng() : Encoding.UTF8.GetBytes(ToSvg());

    /// <summary>Writes the picture to a file that only its owner can read: PNG or SVG, by the file's name.</summary>
    /// <exception cref="LightTunnelException">InvalidOption: it is neither. FileAccess: it cannot be written.</exception>
    public void Save(string path)
    {
        byte[] content = ToPicture(path);
        try
        {
            AtomicFile.Replace(path, content);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new LightTunnelException(
                LightTunnelError.FileAccess, $"The QR code could not be written to {path}: {exception.Message}",
                "See that the folder is there and may be written.", exception) { Target = path };
        }
    }

    /// <summary>Never what it says.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"(QR code of {Size} modules)");

    private static Format FormatOf(string path) => Path.GetExtension(path).ToUpperInvariant() switch
    {
        ".PNG" => Format.Png,
        ".SVG" => Format.Svg,
        _ => throw new LightTunnelException(
            LightTunnelError.InvalidOption, $"'{path}' names neither a PNG nor an SVG file.", "Give a file that ends in .png or .svg.")
        {
            Target = path,
        },
    };

    private bool IsLight(int row, int column) => row >= Size || !_data.ModuleMatrix[row][column];

    private enum Format
    {
        Png,
        Svg,
    }
}
