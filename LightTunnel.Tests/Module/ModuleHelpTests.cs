using System.Runtime.Versioning;
using System.Text.Json;
using System.Xml.Linq;
using LightTunnel.Lab;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>Every command says what it does, how, with examples, and what each parameter means.</summary>
[SupportedOSPlatform("linux")]
public sealed class ModuleHelpTests(PlainShell shared) : IClassFixture<PlainShell>
{
    private static readonly XNamespace Maml = "http://schemas.microsoft.com/maml/2004/10";
    private static readonly XNamespace Cmd = "http://schemas.microsoft.com/maml/dev/command/2004/10";
    private static readonly XNamespace Dev = "http://schemas.microsoft.com/maml/dev/2004/10";

    private static string HelpFolder => Path.Combine(Path.GetDirectoryName(LabPaths.ModuleManifest())!, "en-US");

    [Fact]
    public async Task File_DescribesEveryCommandAndParameterThatTheModuleHas()
    {
        ShellResult commands = await shared.Shell.RunAsync("""
            $common = [Management.Automation.PSCmdlet]::CommonParameters
            Get-Command -Module LightTunnel | ForEach-Object {
                $own = $_.Parameters.Keys | Where-Object { $_ -notin $common } | ForEach-Object { "$_" }
                [pscustomobject]@{ Name = $_.Name; Parameters = @($own) }
            }
            """);
        Dictionary<string, XElement> help = XDocument.Load(Path.Combine(HelpFolder, "LightTunnel.PowerShell.dll-Help.xml"))
            .Root!.Elements(Cmd + "command").ToDictionary(command => command.Element(Cmd + "details")!.Element(Cmd + "name")!.Value);

        Assert.Equal(commands.Output.Select(command => command.Text("Name")).Order(), help.Keys.Order());
        Assert.Equal(52, help.Count);
        foreach (ShellObject command in commands.Output)
        {
            string name = command.Text("Name")!;
            XElement entry = help[name];
            Assert.True(Text(entry.Element(Cmd + "details")!.Element(Maml + "description")).Length > 15, $"{name} has no synopsis");
            Assert.True(Text(entry.Element(Maml + "description")).Length > 40, $"{name} has no description");
            XElement[] examples = [.. entry.Descendants(Cmd + "example")];
            Assert.NotEmpty(examples);
            Assert.All(examples, example =>
            {
                string code = example.Element(Dev + "code")!.Value;
                Assert.Contains("PS> ", code, StringComparison.Ordinal);
                // Get-Help indents by 4, and breaks what is longer than 80 in the middle of words.
                Assert.All(code.Split('\n'), line => Assert.InRange(line.Length, 0, 76));
                Assert.NotEmpty(Text(example.Element(Dev + "remarks")));
            });
            Assert.Contains(examples, example => example.Element(Dev + "code")!.Value.Contains(name, StringComparison.Ordinal));

            IEnumerable<string> parameters = command["Parameters"].EnumerateArray()
                .Select((JsonElement parameter) => parameter.GetString()!);
            Dictionary<string, XElement> described = entry.Element(Cmd + "parameters")!.Elements(Cmd + "parameter")
                .ToDictionary(parameter => parameter.Element(Maml + "name")!.Value);
            Assert.Equal(parameters.Order(), described.Keys.Order());
            Assert.All(
                described, parameter =>
                    Assert.True(
                        Text(parameter.Value.Element(Maml + "description")).Length > 10, $"-{parameter.Key} of {name} is not described"));
        }
    }

    [Theory]
    [InlineData("Get-LtRoute", "Shows the destinations of a network, and how each is reached now.")]
    [InlineData("Get-LtRoute -Examples", "Shows who is still reached through the server.")]
    [InlineData("Connect-LtNetwork -Parameter Invitation", "The invitation's one line")]
    [InlineData("Start-LtServer -Parameter TimeoutSec", "Accepted values: 1 to 3600.")]
    [InlineData("Start-LtServer -Parameter TimeoutSec", "Default value 15")]
    [InlineData("Connect-LtNetwork -Parameter PathPolicy", "Accepted values: Auto, DirectOnly, RelayOnly.")]
    [InlineData("Connect-LtNetwork -Parameter PathPolicy", "Default value Auto")]
    [InlineData("Start-LtServer -Full", "LightTunnel.LtServer")]
    [InlineData("about_LightTunnel", "Connect-LtNetwork")]
    [InlineData("about_LightTunnel_Security", "Confirm-LtMember")]
    [InlineData("about_LightTunnel_Routes", "Approve-LtRoute")]
    public async Task GetHelp_ShowsIt(string topic, string text)
    {
        ShellResult result = await shared.Shell.Session.TryInvokeAsync(
            $"Get-Help {topic}", render: true, cancellationToken: TestContext.Current.CancellationToken);

        Assert.Empty(result.Errors);
        Assert.Contains(
            text, string.Join(' ', result.Text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }

    private static string Text(XElement? element) =>
        string.Join(' ', element?.Elements(Maml + "para").Select(paragraph => paragraph.Value) ?? []);
}
