using LightTunnel.Forwarding;

namespace LightTunnel.Configuration;

/// <summary>What a tunnel has changed in order to forward, or to go out by an exit node, in its state folder.</summary>
/// <param name="folder">The folder, which exists and is its owner's alone.</param>
/// <param name="name">Which of the two.</param>
internal sealed class ForwardingRecordFile(string folder, string name = ForwardingRecordFile.FileName)
    : RecordFile(folder, name, ForwardingRecord.MaximumLength), IForwardingRecordFile
{
    /// <summary>The file in the folder.</summary>
    public const string FileName = "forwarding";

    /// <summary>The one of the exit node.</summary>
    public const string ExitFileName = "exit-node";
}
