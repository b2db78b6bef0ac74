using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using LightTunnel.Diagnostics;
using LightTunnel.Tests.Configuration;
using LightTunnel.Tun;
using Xunit;
using Processor = System.Runtime.InteropServices.Architecture;

namespace LightTunnel.Tests.Tun;

/// <summary>Archives as Wintun's makers pack them, and as somebody else might.</summary>
public sealed class WintunPackageTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Target => Path.Combine(_folder.Path, WintunPackage.Library);

    public void Dispose() => _folder.Dispose();

    /// <summary>An archive with these files, and its hash.</summary>
    internal static (byte[] Archive, string Hash) Pack(params (string Name, byte[] Content)[] files)
    {
        using var memory = new MemoryStream();
        using (var zip = new ZipArchive(memory, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach ((string name, byte[] content) in files)
            {
                using Stream entry = zip.CreateEntry(name).Open();
                entry.Write(content);
            }
        }

        byte[] archive = memory.ToArray();
        return (archive, Convert.ToHexStringLower(SHA256.HashData(archive)));
    }

    /// <summary>An archive as the published one, with another library for each kind of processor.</summary>
    internal static (byte[] Archive, string Hash) PackAll() => Pack(
        ("wintun/LICENSE.txt", [1]), ("wintun/include/wintun.h", [2]), (Entry("amd64"), Text("for amd64")), (Entry("arm"), Text("for arm")),
        (Entry("arm64"), Text("for arm64")), (Entry("x86"), Text("for x86")));

    [Theory]
    [InlineData(Processor.X64, "for amd64")]
    [InlineData(Processor.Arm64, "for arm64")]
    [InlineData(Processor.X86, "for x86")]
    [InlineData(Processor.Arm, "for arm")]
    public async Task Library_IsTheOneOfTheProcessor(Processor processor, string content)
    {
        WintunPackage package = await ReadAsync(PackAll());

        Assert.Equal(Text(content), package.Extract(processor));
    }

    [Theory]
    [InlineData(Processor.S390x)]
    [InlineData(Processor.X64)]
    public async Task Library_ThatTheArchiveLacks_IsAnError(Processor processor)
    {
        WintunPackage package = await ReadAsync(Pack((Entry("arm64"), [1])));

        LightTunnelException error = Assert.Throws<LightTunnelException>(() => package.Extract(processor));

        Assert.Equal(LightTunnelError.TunUnavailable, error.Error);
    }

    [Fact]
    public async Task AnotherArchive_IsRefused_WithBothHashesAndItsName_BeforeAnybodyLooksInside()
    {
        (byte[] archive, string hash) = Pack(("../../wintun.dll", [1]), (Entry("amd64"), Text("of somebody's")));

        LightTunnelException error = await Assert.ThrowsAsync<LightTunnelException>(
            () => WintunPackage.ReadAsync(new MemoryStream(archive), "/tmp/wintun.zip", hash: null, Token));

        Assert.Equal(LightTunnelError.UntrustedFile, error.Error);
        Assert.Contains("/tmp/wintun.zip", error.Message, StringComparison.Ordinal);
        Assert.Contains(hash, error.Message, StringComparison.Ordinal);
        Assert.Contains(WintunPackage.Published, error.Message, StringComparison.Ordinal);
        Assert.Contains("https://www.wintun.net/builds/wintun-0.14.1.zip", error.RecommendedAction, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OneBitOfTheArchive_IsEnoughToBeRefused()
    {
        (byte[] archive, string hash) = PackAll();
        archive[^1] ^= 1;

        LightTunnelException error = await Assert.ThrowsAsync<LightTunnelException>(() => ReadAsync((archive, hash)));

        Assert.Equal(LightTunnelError.UntrustedFile, error.Error);
    }

    [Fact]
    public async Task ArchiveWithoutEnd_IsRefused_WithoutBeingReadToIt()
    {
        var endless = new EndlessStream();

        LightTunnelException error = await Assert.ThrowsAsync<LightTunnelException>(
            () => WintunPackage.ReadAsync(endless, "https://example.org/wintun.zip", hash: null, Token));

        Assert.Equal(LightTunnelError.UntrustedFile, error.Error);
        Assert.InRange(endless.Given, WintunPackage.LongestArchive, 2 * WintunPackage.LongestArchive);
    }

    [Fact]
    public async Task LibraryThatUnfoldsToMoreThanThereIsRoomFor_IsCutShort()
    {
        WintunPackage package = await ReadAsync(Pack((Entry("amd64"), new byte[4 * WintunPackage.LongestLibrary])));

        Assert.Equal(WintunPackage.LongestLibrary, package.Extract(Processor.X64).Length);
    }

    [Fact]
    public void Library_TakesThePlaceOfAnother_AndIsLeftWhereItIsTheSame()
    {
        File.WriteAllText(Target, "an older one");

        Assert.True(WintunPackage.Place(Text("the new one"), Target));
        DateTime written = File.GetLastWriteTimeUtc(Target);
        Assert.False(WintunPackage.Place(Text("the new one"), Target));

        Assert.Equal("the new one", File.ReadAllText(Target));
        Assert.Equal(written, File.GetLastWriteTimeUtc(Target));
        Assert.Equal([Target], Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    /// <summary>As a library does that a process has loaded, a folder of that name keeps its place.</summary>
    [Fact]
    public void LibraryThatCannotBeReplaced_IsAnErrorThatSaysToRestart_AndNothingIsLeft()
    {
        Directory.CreateDirectory(Path.Combine(Target, "something"));

        LightTunnelException error = Assert.Throws<LightTunnelException>(() => WintunPackage.Place([1], Target));

        Assert.Equal(LightTunnelError.FileAccess, error.Error);
        Assert.Contains("close every PowerShell", error.RecommendedAction, StringComparison.Ordinal);
        Assert.Equal([Target], Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void FolderThatIsNotThere_IsAnError()
    {
        LightTunnelException error = Assert.Throws<LightTunnelException>(
            () => WintunPackage.Place([1], Path.Combine(_folder.Path, "gone", WintunPackage.Library)));

        Assert.Equal(LightTunnelError.FileAccess, error.Error);
    }

    private static string Entry(string folder) => $"wintun/bin/{folder}/wintun.dll";

    private static byte[] Text(string text) => Encoding.ASCII.GetBytes(text);

    private static Task<WintunPackage> ReadAsync((byte[] Archive, string Hash) packed) =>
        WintunPackage.ReadAsync(new MemoryStream(packed.Archive), "wintun.zip", packed.Hash, Token);

    /// <summary>A sender that never ends.</summary>
    private sealed class EndlessStream : MemoryStream
    {
        public long Given { get; private set; }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Given += buffer.Length;
            return ValueTask.FromResult(buffer.Length);
        }
    }
}
