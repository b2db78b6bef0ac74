using System.Runtime.Versioning;
using LightTunnel.Access;
using LightTunnel.Lab.Shells;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>The commands about access rules, before a tunnel that answers.</summary>
[SupportedOSPlatform("linux")]
public sealed class RuleCommandTests(PlainShell shared) : IClassFixture<PlainShell>
{
    private readonly FakeTunnel _server = FakeTunnel.SampleServer();

    [Fact]
    public async Task New_HandsOnWhatWasSaid()
    {
        ModuleShell shell = await ServedAsync();
        ShellObject made = (await shell.RunAsync(
            "New-LtRule group:office group:servers,10.0.0.5 -Protocol Tcp -Port 22,8000-8099 -Action Allow -Number 7 -Name ssh -Disabled"))
            .Single();
        Assert.Equal(("7", "ssh", "Allow", "False"), (made.Text("Number"), made.Text("Name"), made.Text("Action"), made.Text("Enabled")));
        RuleChange asked = _server.RuleChanges.Single();
        RuleSpec rule = asked.Rules.Single();
        Assert.Equal((RuleChangeKind.Add, Environment.UserName), (asked.Kind, asked.By));
        Assert.Equal(
            (7, "ssh", RuleProtocol.Tcp, RuleAction.Allow, false), (rule.Number, rule.Name, rule.Protocol, rule.Action, rule.Enabled));
        Assert.Equal(["group:office"], rule.From);
        Assert.Equal(["group:servers", "10.0.0.5"], rule.To);
        Assert.Equal(["22", "8000-8099"], rule.Ports);

        await shell.RunAsync("New-LtRule * server -Action Deny");
        rule = _server.RuleChanges[1].Rules.Single();
        Assert.Equal((0, RuleProtocol.Any, 0, true), (rule.Number, rule.Protocol, rule.Ports.Count, rule.Enabled));
    }

    [Fact]
    public async Task Set_ChangesWhatIsNamed_AndNothingElse()
    {
        _server.Rules = FakeTunnel.SampleRules;
        ModuleShell shell = await ServedAsync();
        await shell.RunAsync("Get-LtRule 10 | Set-LtRule -Port 25 -NewNumber 5");
        RuleSpec rule = _server.RuleChanges.Single().Rules.Single();
        Assert.Equal((10, 5, "ssh of the office", RuleAction.Allow), (rule.Number, rule.NewNumber, rule.Name, rule.Action));
        Assert.Equal(["25"], rule.Ports);
        Assert.Equal(["group:office"], rule.From);
        await shell.RunAsync("Set-LtRule 20 -Enabled $false -Port $null -Name ''");
        rule = _server.RuleChanges[1].Rules.Single();
        Assert.Equal((false, RuleAction.Deny, 0), (rule.Enabled, rule.Action, rule.Ports.Count));
    }

    [Fact]
    public async Task Get_FindsByNumberAndName_AndSaysWhatIsNotThere()
    {
        _server.Rules = FakeTunnel.SampleRules;
        ModuleShell shell = await ServedAsync();
        Assert.Equal(["10", "15", "20"], (await shell.RunAsync("Get-LtRule")).Output.Select(rule => rule.Text("Number")));
        Assert.Equal(["10"], (await shell.RunAsync("Get-LtRule -Name 'ssh*'")).Output.Select(rule => rule.Text("Number")));
        Assert.Contains("11", (await shell.FailAsync("Get-LtRule 11")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Remove_TakesNumbersFromThePipeline_AndWhatIfDoesNothing()
    {
        _server.Rules = FakeTunnel.SampleRules;
        ModuleShell shell = await ServedAsync();
        await shell.RunAsync("Get-LtRule | Remove-LtRule -WhatIf");
        Assert.Empty(_server.RuleChanges);
        await shell.RunAsync("Get-LtRule 15, 20 | Remove-LtRule");
        Assert.Equal([15, 20], _server.RuleChanges.SelectMany(change => change.Numbers));
    }

    [Fact]
    public async Task ExportedFile_IsImportedAsItWas_AndADifferenceIsShownBefore()
    {
        _server.Rules = FakeTunnel.SampleRules;
        ModuleShell shell = await ServedAsync();
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lt-rules");
        try
        {
            string path = Path.Combine(folder.FullName, "rules.yaml");
            await shell.RunAsync($"Export-LtRule '{path}'");
            Assert.Contains("already", (await shell.FailAsync($"Export-LtRule '{path}'")).Message, StringComparison.Ordinal);
            string text = (await shell.RunAsync("Export-LtRule")).Single().ToString();
            Assert.Equal(text, await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken));
            await shell.RunAsync($"Import-LtRule '{path}'");
            Assert.Empty(_server.RuleChanges); // Nothing is different.

            await File.WriteAllTextAsync(
                path, text.Replace("22, 443", "22", StringComparison.Ordinal), TestContext.Current.CancellationToken);
            await shell.RunAsync($"Import-LtRule '{path}' -WhatIf");
            Assert.Empty(_server.RuleChanges);
            await shell.RunAsync($"Import-LtRule '{path}'");
            RuleChange change = _server.RuleChanges.Single();
            Assert.Equal((RuleChangeKind.Replace, 3), (change.Kind, change.Rules.Count));
            Assert.Equal("rules.yaml, line 3", change.Rules[0].Origin);

            await File.WriteAllTextAsync(
                path, text.Replace("Allow", "Permit", StringComparison.Ordinal), TestContext.Current.CancellationToken);
            Assert.Contains("rules.yaml, line 9", (await shell.FailAsync($"Import-LtRule '{path}'")).Message, StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Test_SaysWhichRuleDecides()
    {
        _server.Rules = FakeTunnel.SampleRules;
        ModuleShell shell = await ServedAsync();
        ShellObject answer = (await shell.RunAsync(
            "Test-LtRule laptop server -Port 22 | Select-Object *, @{ n = 'N'; e = { $_.Rule.Number } }")).Single();
        Assert.Equal(
            ("laptop", "Tcp", "22", "Allow", "10"),
            (answer.Text("From"), answer.Text("Protocol"), answer.Text("Port"), answer.Text("Action"), answer.Text("N")));
    }

    private async Task<ModuleShell> ServedAsync()
    {
        await shared.Shell.ResetAsync();
        shared.Shell.Serve(_server);
        return shared.Shell;
    }
}
