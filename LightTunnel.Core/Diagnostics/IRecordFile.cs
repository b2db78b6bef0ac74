namespace LightTunnel.Diagnostics;

/// <summary>
/// Where a tunnel writes down what it changes of the system, so that its next start puts it back when this one was killed: a file that its
/// owner alone reads and writes, replaced whole.
/// </summary>
internal interface IRecordFile
{
    /// <summary>What was written last; null when there is none.</summary>
    byte[]? Read();

    /// <summary>Writes it; when this returns it is on the disk.</summary>
    void Write(ReadOnlySpan<byte> content);

    /// <summary>Removes it; no error when there is none.</summary>
    void Delete();
}
