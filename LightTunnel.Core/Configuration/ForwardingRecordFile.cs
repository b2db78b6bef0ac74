using LightTunnel.Forwarding;

namespace LightTunnel.Configuration;

/// <summary>What a tunnel has changed in order to forward, in its state folder.</summary>
/// <param name="folder">The folder, which exists and is its owner's alone.</param>
internal sealed class ForwardingRecordFile(string folder) : IForwardingRecordFile
{
    /// <summary>The file in the folder.</summary>
    public const string FileName = "forwarding";

    private readonly string _path = Path.Combine(Path.GetFullPath(folder), FileName);

    /// <inheritdoc/>
    public byte[]? Read()
    {
        try
        {
            return AtomicFile.Read(_path, ForwardingRecord.MaximumLength);
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
