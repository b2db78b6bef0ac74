using LightTunnel.Forwarding;

namespace LightTunnel.Configuration;

/// <summary>What a tunnel has changed in order to forward, in its state folder.</summary>
/// <param name="folder">The folder, which exists and is its owner's alone.</param>
internal sealed class ForwardingRecordFile(string folder)
    : RecordFile(folder, FileName, ForwardingRecord.MaximumLength), IForwardingRecordFile
{
    /// <summary>The file in the folder.</summary>
    public const string FileName = "forwarding";
}
