using System.Management.Automation;
using LightTunnel.Engine.Control;

namespace LightTunnel;

/// <summary>Shows how far a test has got, until it is disposed of.</summary>
internal sealed class TestProgressBar(CommandOutput output, string activity) : IProgress<TestProgress>, IDisposable
{
    private const int Id = 1;

    /// <inheritdoc/>
    public void Report(TestProgress value) =>
        output.WriteProgress(new ProgressRecord(Id, activity, value.Step) { PercentComplete = Math.Clamp(value.Percent, 0, 100) });

    /// <inheritdoc/>
    public void Dispose() => output.WriteProgress(new ProgressRecord(Id, activity, "Done") { RecordType = ProgressRecordType.Completed });
}
