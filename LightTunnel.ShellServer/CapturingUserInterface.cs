using System.Collections.ObjectModel;
using System.Management.Automation;
using System.Management.Automation.Host;
using System.Security;

namespace LightTunnel.ShellServer;

/// <summary>
/// Hands rendered text to a callback. Warnings, verbose lines and progress are taken from the pipeline's streams instead, and
/// questions are refused: nobody is there to answer them.
/// </summary>
internal sealed class CapturingUserInterface(int width, Action<string> write) : PSHostUserInterface
{
    private readonly ShellRawUserInterface _raw = new(width);

    public override PSHostRawUserInterface RawUI => _raw;

    public override bool SupportsVirtualTerminal => false;

    public override void Write(string value) => write(Plain(value));

    public override void Write(ConsoleColor foregroundColor, ConsoleColor backgroundColor, string value) => write(Plain(value));

    public override void WriteLine(string value) => write(Plain(value) + "\n");

    public override void WriteErrorLine(string value) => write(Plain(value) + "\n");

    public override void WriteDebugLine(string message)
    {
    }

    public override void WriteVerboseLine(string message)
    {
    }

    public override void WriteWarningLine(string message)
    {
    }

    public override void WriteProgress(long sourceId, ProgressRecord record)
    {
    }

    public override Dictionary<string, PSObject> Prompt(string caption, string message, Collection<FieldDescription> descriptions) =>
        throw NobodyThere();

    public override int PromptForChoice(string caption, string message, Collection<ChoiceDescription> choices, int defaultChoice) =>
        throw NobodyThere();

    public override PSCredential PromptForCredential(string caption, string message, string userName, string targetName) =>
        throw NobodyThere();

    public override PSCredential PromptForCredential(
        string caption, string message, string userName, string targetName, PSCredentialTypes allowedCredentialTypes,
        PSCredentialUIOptions options) =>
        throw NobodyThere();

    public override string ReadLine() => throw NobodyThere();

    public override SecureString ReadLineAsSecureString() => throw NobodyThere();

    /// <summary>Views are always coloured by the engine; removing that is the host's part.</summary>
    private static string Plain(string value) => GetOutputString(value, supportsVirtualTerminal: false);

    private static HostException NobodyThere() =>
        new("The command asks a question, and nobody is there to answer it; give -Confirm:$false or the missing parameter.");
}
