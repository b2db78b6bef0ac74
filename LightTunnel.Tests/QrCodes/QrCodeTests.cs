using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.QrCodes;
using Xunit;
using ZXing;
using ZXing.Common;
using ZXing.QrCode;

namespace LightTunnel.Tests.QrCodes;

/// <summary>QR codes say what they should, in each form: another implementation reads them.</summary>
public sealed partial class QrCodeTests : IDisposable
{
    /// <summary>As long as an invitation is.</summary>
    private static readonly string Text = "lt1:" + string.Concat(Enumerable.Range(0, 280).Select(i => "aB9_-zQ7"[i * 5 % 8]));

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lt-qr");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TerminalText_IsRead_OnDarkAndOnLightGrounds(bool isLightGround)
    {
        Assert.Equal(Text, Read(ModulesOf(QrCode.Of(new Secret(Text)).ToTerminalText(), isLightGround)));
    }

    [Fact]
    public void TerminalText_OfAnInvitation_FitsIntoEightyColumns()
    {
        QrCode code = QrCode.Of(new Secret(Text));
        string[] lines = code.ToTerminalText().Split('\n');
        Assert.InRange(code.Size, 21, 80);
        Assert.All(lines, line => Assert.Equal(code.Size, Escapes().Replace(line, string.Empty).Length));
        Assert.Equal((code.Size + 1) / 2, lines.Length);
        // The ground of each line is its own again behind it.
        Assert.All(lines, line => Assert.EndsWith("\e[0m", line, StringComparison.Ordinal));
    }

    [Fact]
    public void Png_IsRead()
    {
        string path = Save("code.png");
        byte[] png = File.ReadAllBytes(path);
        Assert.Equal(Text, Read(PixelsOf(png)));
    }

    [Fact]
    public void Svg_IsRead()
    {
        string path = Save("Code.SVG");
        Assert.Equal(Text, Read(ShapesOf(XDocument.Load(path))));
    }

    [Fact]
    public void File_IsItsOwnersOnly_AndTakesThePlaceOfAnotherWhole()
    {
        string path = Path.Combine(_folder.FullName, "code.svg");
        File.WriteAllText(path, new string('x', 100_000));
        Save("code.svg");
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        Assert.Equal(Text, Read(ShapesOf(XDocument.Load(path))));
        Assert.Equal([path], Directory.GetFiles(_folder.FullName));
    }

    [Theory]
    [InlineData("code.jpg")]
    [InlineData("code")]
    [InlineData("png")]
    public void OtherFiles_AreRefused_WithARemedy(string name)
    {
        LightTunnelException refused = Assert.Throws<LightTunnelException>(() => QrCode.CheckPath(name));
        Assert.Equal(LightTunnelError.InvalidOption, refused.Error);
        Assert.Contains(".png or .svg", refused.RecommendedAction, StringComparison.Ordinal);
        Assert.Throws<LightTunnelException>(() => Save(name));
        Assert.Empty(Directory.GetFiles(_folder.FullName));
    }

    [Fact]
    public void FolderThatIsNotThere_IsAnErrorWithoutTheSecret()
    {
        LightTunnelException error = Assert.Throws<LightTunnelException>(() => Save(Path.Combine("nowhere", "code.png")));
        Assert.Equal(LightTunnelError.FileAccess, error.Error);
        Assert.DoesNotContain(Text[..20], error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void TextThatIsTooLong_IsAnErrorWithoutIt_AndNothingElseTellsOfIt()
    {
        LightTunnelException error = Assert.Throws<LightTunnelException>(() => QrCode.Of(new Secret(new string('s', 3000))));
        Assert.Contains("3000", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("ssss", error.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(Text[..10], QrCode.Of(new Secret(Text)).ToString(), StringComparison.Ordinal);
    }

    private string Save(string name)
    {
        string path = Path.Combine(_folder.FullName, name);
        QrCode.Of(new Secret(Text)).Save(path);
        return path;
    }

    /// <summary>What a camera would see of it, of eight pixels each.</summary>
    private static string? Read(bool[,] dark)
    {
        const int Scale = 4;
        int size = dark.GetLength(0);
        byte[] gray = new byte[size * size * Scale * Scale];
        for (int y = 0; y < size * Scale; y++)
        {
            for (int x = 0; x < size * Scale; x++)
                gray[(y * size * Scale) + x] = dark[y / Scale, x / Scale] ? (byte)0 : (byte)255;
        }

        var source = new RGBLuminanceSource(gray, size * Scale, size * Scale, RGBLuminanceSource.BitmapFormat.Gray8);
        return new QRCodeReader().decode(new BinaryBitmap(new HybridBinarizer(source)))?.Text;
    }

    /// <summary>What a terminal of a dark or a light ground shows, as bright as its colours are.</summary>
    private static bool[,] ModulesOf(string text, bool isLightGround)
    {
        string[] lines = text.Split('\n');
        int size = Escapes().Replace(lines[0], string.Empty).Length;
        bool[,] dark = new bool[size, size];
        bool isForegroundDark = isLightGround;
        bool isBackgroundDark = !isLightGround;
        for (int line = 0; line < lines.Length; line++)
        {
            int column = 0;
            foreach (Match part in Parts().Matches(lines[line]))
            {
                switch (part.Value)
                {
                    case "\e[38;5;231;48;5;16m":
                        (isForegroundDark, isBackgroundDark) = (false, true);
                        continue;
                    case "\e[0m":
                        (isForegroundDark, isBackgroundDark) = (isLightGround, !isLightGround);
                        continue;
                }

                dark[line * 2, column] = part.Value is "█" or "▀" ? isForegroundDark : isBackgroundDark;
                if ((line * 2) + 1 < size)
                    dark[(line * 2) + 1, column] = part.Value is "█" or "▄" ? isForegroundDark : isBackgroundDark;
                column++;
            }
        }

        return dark;
    }

    private static bool[,] ShapesOf(XDocument svg)
    {
        int size = int.Parse(svg.Root!.Attribute("viewBox")!.Value.Split(' ')[2], CultureInfo.InvariantCulture);
        bool[,] dark = new bool[size, size];
        string path = svg.Root.Elements().Single(element => element.Name.LocalName == "path").Attribute("d")!.Value;
        foreach (Match part in Shapes().Matches(path))
        {
            int[] numbers = [.. part.Groups.Values.Skip(1).Select(group => int.Parse(group.Value, CultureInfo.InvariantCulture))];
            for (int i = 0; i < numbers[2]; i++)
                dark[numbers[1], numbers[0] + i] = true;
        }

        return dark;
    }

    /// <summary>The pixels of a PNG of one bit each, as these are.</summary>
    private static bool[,] PixelsOf(byte[] png)
    {
        using var compressed = new MemoryStream();
        int width = 0;
        int depth = 0;
        for (int at = 8; at < png.Length;)
        {
            int length = BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(at));
            ReadOnlySpan<byte> body = png.AsSpan(at + 8, length);
            switch (png.AsSpan(at + 4, 4))
            {
                case [(byte)'I', (byte)'H', (byte)'D', (byte)'R']:
                    width = BinaryPrimitives.ReadInt32BigEndian(body);
                    depth = body[8];
                    break;
                case [(byte)'I', (byte)'D', (byte)'A', (byte)'T']:
                    compressed.Write(body);
                    break;
            }

            at += length + 12;
        }

        Assert.Equal(1, depth);
        compressed.Position = 0;
        using var raw = new MemoryStream();
        using (var unzip = new ZLibStream(compressed, CompressionMode.Decompress))
            unzip.CopyTo(raw);
        int stride = 1 + ((width + 7) / 8);
        byte[] rows = raw.ToArray();
        bool[,] dark = new bool[width, width];
        for (int y = 0; y < width; y++)
        {
            Assert.Equal(0, rows[y * stride]);
            for (int x = 0; x < width; x++)
                dark[y, x] = (rows[(y * stride) + 1 + (x / 8)] & (0x80 >> (x % 8))) == 0;
        }

        return dark;
    }

    [GeneratedRegex("\e\\[[0-9;]*m")]
    private static partial Regex Escapes();

    [GeneratedRegex("\e\\[[0-9;]*m|.")]
    private static partial Regex Parts();

    [GeneratedRegex("M([0-9]+) ([0-9]+)h([0-9]+)v1h-[0-9]+z")]
    private static partial Regex Shapes();
}
