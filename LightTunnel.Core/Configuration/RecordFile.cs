using LightTunnel.Diagnostics;

namespace LightTunnel.Configuration;

/// <summary>What a tunnel has changed of the system, in its state folder.</summary>
/// <param name="folder">The folder, which exists and is its owner's alone.</param>
/// <param name="fileName">The file in the folder.</param>
/// <param name="longest">Longest file, bytes.</param>
internal class RecordFile(string folder, string fileName, int longest) : IRecordFile
{
    private readonly string _path = Path.Combine(Path.GetFullPath(folder), fileName);

    /// <inheritdoc/>
    public byte[]? Read()
    {
        try
        {
            return AtomicFile.Read(_path, longest);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        catch (InvalidDataException)
        {
            return []; // Too long to be one.
        }
    }

    /// <inheritdoc/>
    public void Write(ReadOnlySpan<byte> content) => AtomicFile.Replace(_path, content);

    /// <inheritdoc/>
    public void Delete() => File.Delete(_path);
}
