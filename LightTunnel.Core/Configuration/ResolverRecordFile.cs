using LightTunnel.Resolver;

namespace LightTunnel.Configuration;

/// <summary>What a tunnel has changed of how this machine looks up names, in its state folder.</summary>
/// <param name="folder">The folder, which exists and is its owner's alone.</param>
internal sealed class ResolverRecordFile(string folder) : RecordFile(folder, FileName, ResolverRecord.MaximumLength)
{
    /// <summary>The file in the folder.</summary>
    public const string FileName = "resolver";
}
