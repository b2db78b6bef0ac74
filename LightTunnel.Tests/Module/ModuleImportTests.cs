using System.Reflection;
using System.Runtime.Versioning;
using LightTunnel.Lab;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

[SupportedOSPlatform("linux")]
public sealed class ModuleImportTests
{
    private const string CommandNames = "(Get-Command -Module LightTunnel).Name";

    private static readonly string[] Expected =
    [
        "Approve-LtMember",
        "Approve-LtRoute",
        "Block-LtMember",
        "Confirm-LtMember",
        "Connect-LtNetwork",
        "ConvertFrom-LtInvitation",
        "Deny-LtMember",
        "Deny-LtRoute",
        "Disconnect-LtNetwork",
        "Export-LtRule",
        "Get-LtInvitation",
        "Get-LtLog",
        "Get-LtMember",
        "Get-LtNetwork",
        "Get-LtPeer",
        "Get-LtRoute",
        "Get-LtRule",
        "Get-LtServer",
        "Get-LtService",
        "Get-LtStatus",
        "Import-LtRule",
        "Install-LtDriver",
        "New-LtInvitation",
        "New-LtNetworkKey",
        "New-LtRule",
        "New-LtSigningKey",
        "New-LtWireGuardClient",
        "Register-LtService",
        "Remove-LtInvitation",
        "Remove-LtMember",
        "Remove-LtRule",
        "Rename-LtMember",
        "Reset-LtIdentity",
        "Restart-LtService",
        "Set-LtMember",
        "Set-LtNetwork",
        "Set-LtPeer",
        "Set-LtRule",
        "Start-LtServer",
        "Start-LtService",
        "Stop-LtServer",
        "Stop-LtService",
        "Test-LtConfiguration",
        "Test-LtNetwork",
        "Test-LtP2P",
        "Test-LtRule",
        "Unblock-LtMember",
        "Unregister-LtService",
        "Update-LtNetworkKey",
        "Wait-LtNetwork",
        "Wait-LtPeer",
        "Watch-LtRoute",
    ];

    [Fact]
    public async Task Import_ByManifest_ExportsTheCommandsAndNothingElse()
    {
        await using ModuleShell shell = await ModuleShell.StartAsync();

        Assert.Equal(Expected, Texts(await shell.RunAsync(CommandNames + " | ForEach-Object { $_ }")));
        Assert.Equal("Cmdlet", (await shell.RunAsync("(Get-Command -Module LightTunnel).CommandType | ForEach-Object { \"$_\" }")).Output
            .Select(item => item.ToString()).Distinct().Single());
    }

    [Fact]
    public void Staged_HasWhatPeopleRead_AndNamesEveryPackageInTheNotices()
    {
        string folder = Path.GetDirectoryName(LabPaths.ModuleManifest())!;
        Assert.All(
            (string[])["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "THIRD-PARTY-NOTICES.txt", "docs/services.md",
                "configs/server.yaml", "en-US/about_LightTunnel.help.txt",
                "en-US/about_LightTunnel_Security.help.txt", "en-US/about_LightTunnel_Routes.help.txt"],
            file => Assert.True(File.Exists(Path.Combine(folder, file)), file));

        string notices = File.ReadAllText(Path.Combine(folder, "THIRD-PARTY-NOTICES.txt"));
        Assert.All(
            Directory.EnumerateFiles(Path.Combine(folder, "Engine"), "*.dll")
                .Select(Path.GetFileNameWithoutExtension)
                .Where(name => name != "LightTunnel.Core"),
            name => Assert.Contains(name!, notices, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Import_TwiceByForce_KeepsCommandsAndViews()
    {
        await using ModuleShell shell = await ModuleShell.StartAsync();
        var manifest = new { Path = LabPaths.ModuleManifest() };

        await shell.RunAsync("param($Path) Import-Module $Path -Force", manifest);
        await shell.RunAsync("param($Path) Import-Module $Path -Force", manifest);

        Assert.Equal(Expected, Texts(await shell.RunAsync(CommandNames)));
        Assert.Equal("44", (await shell.RunAsync("\"$(New-LtNetworkKey)\".Length")).Single().ToString());
        Assert.Contains("(hidden", await shell.ShowAsync("New-LtNetworkKey"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RemoveModule_ThenImport_GivesTheCommandsBack()
    {
        await using ModuleShell shell = await ModuleShell.StartAsync();

        await shell.RunAsync("Remove-Module LightTunnel");
        Assert.Equal("CommandNotFoundException", (await shell.FailAsync("New-LtNetworkKey")).ErrorId);
        await shell.RunAsync("param($Path) Import-Module $Path", new { Path = LabPaths.ModuleManifest() });

        Assert.Equal(Expected, Texts(await shell.RunAsync(CommandNames)));
        await shell.RunAsync("New-LtNetworkKey");
    }

    [Fact]
    public async Task Import_SecondRunspace_Works()
    {
        await using ModuleShell shell = await ModuleShell.StartAsync();

        ShellResult result = await shell.Session.InvokeAsync(
            "New-LtNetworkKey", runspace: "second", cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal("LightTunnel.LtNetworkKey", result.Single().Types[0]);
    }

    [Fact]
    public async Task Import_OutputTypes_CanBeNamedBeforeAnyCommandRan()
    {
        await using ModuleShell shell = await ModuleShell.StartAsync();

        ShellResult result = await shell.RunAsync(
            "[LightTunnel.LtRoute].FullName; [LightTunnel.LtRouteType]::Server.ToString(); [LightTunnel.LtServer].BaseType.Name");

        Assert.Equal(["LightTunnel.LtRoute", "Server", "LtTunnel"], Texts(result));
    }

    [Fact]
    public async Task Import_EngineAndItsPackages_StayOutOfTheDefaultContext()
    {
        await using ModuleShell shell = await ModuleShell.StartAsync();
        await shell.RunAsync("New-LtNetworkKey; Get-LtRoute");
        shell.Serve(Management.FakeTunnel.SampleServer());
        Assert.Equal("office", (await shell.RunAsync("Get-LtServer")).Single().Text("Name"));

        ShellResult ours = await shell.RunAsync("""
            param($Folder)
            foreach ($context in [Runtime.Loader.AssemblyLoadContext]::All) {
                foreach ($assembly in $context.Assemblies) {
                    if (-not $assembly.IsDynamic -and $assembly.Location.StartsWith($Folder)) {
                        '{0}|{1}' -f $context.Name, $assembly.GetName().Name
                    }
                }
            }
            """, new { Folder = Path.GetDirectoryName(LabPaths.ModuleManifest()) });

        Assert.Equal(["Default|LightTunnel.PowerShell"], Texts(ours).Where(line => line.StartsWith("Default|", StringComparison.Ordinal)));
        Assert.Contains("LightTunnel|LightTunnel.Core", Texts(ours));
        Assert.Contains("LightTunnel|StreamJsonRpc", Texts(ours));
    }

    [Fact]
    public async Task Import_BesideAModuleWithOtherVersionsOfOurPackages_BothWork()
    {
        await using ModuleShell shell = await ModuleShell.StartAsync(import: false);
        await File.WriteAllTextAsync(
            Path.Combine(shell.Folder, "Other.psd1"),
            $"@{{ ModuleVersion = '1.0'; RequiredAssemblies = @('{PackageFile("OtherYamlDotNet")}', '{PackageFile("OtherSerilog")}') }}",
            TestContext.Current.CancellationToken);
        await shell.RunAsync(
            "Import-Module ./Other.psd1; [YamlDotNet.Serialization.DeserializerBuilder]::new().Build(); "
                + "[Serilog.LoggerConfiguration]::new().CreateLogger()");

        await shell.RunAsync("param($Path) Import-Module $Path", new { Path = LabPaths.ModuleManifest() });
        await File.WriteAllTextAsync(Path.Combine(shell.Folder, "bad.yaml"), "role: [\n", TestContext.Current.CancellationToken);
        ShellResult engineUsesBoth = await shell.RunAsync("""
            $null = New-LtNetworkKey
            $context = [Runtime.Loader.AssemblyLoadContext]::All | Where-Object Name -eq LightTunnel
            foreach ($name in 'YamlDotNet', 'Serilog') { $null = $context.LoadFromAssemblyName($name) }
            $core = $context.Assemblies | Where-Object { $_.GetName().Name -eq 'LightTunnel.Core' }
            $check = $core.GetType('LightTunnel.Configuration.ConfigurationFile').GetMethod('Check')
            $problems = $check.Invoke($null, @("$PWD/bad.yaml", $null))
            'problems {0}' -f ($problems.Count -gt 0)
            [AppDomain]::CurrentDomain.GetAssemblies() | ForEach-Object { $_.GetName() } |
                Where-Object { $_.Name -in 'YamlDotNet', 'Serilog' } |
                ForEach-Object { '{0} {1}' -f $_.Name, $_.Version.Major }
            [YamlDotNet.Serialization.DeserializerBuilder].Assembly.GetName().Version.Major
            """);

        Assert.Equal(
            ["problems True", "Serilog 2", "Serilog 4", "YamlDotNet 13", "YamlDotNet 18", "13"],
            Texts(engineUsesBoth).Order(StringComparer.Ordinal).OrderBy(line => line == "13").ThenBy(line => !line.StartsWith('p')));
    }

    [Fact]
    public async Task Import_FromTheRepository_TakesWhatIsBuilt()
    {
        await using ModuleShell shell = await ModuleShell.StartAsync(import: false);
        string manifest = Path.Combine(LabPaths.RepositoryRoot, "LightTunnel.psd1");

        for (int i = 0; i < 2; i++)
        {
            await shell.RunAsync("param($Path) Import-Module $Path -Force", new { Path = manifest });

            Assert.Equal(Expected, Texts(await shell.RunAsync(CommandNames + " | ForEach-Object { $_ }")).Order(StringComparer.Ordinal));
            Assert.Equal("44", (await shell.RunAsync("\"$(New-LtNetworkKey)\".Length")).Single().ToString());
            Assert.Contains("(hidden", await shell.ShowAsync("New-LtNetworkKey"), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Import_FromARepositoryWithoutABuild_SaysWhatToDo()
    {
        await using ModuleShell shell = await ModuleShell.StartAsync(import: false);
        foreach (string file in (string[])["LightTunnel.psd1", "LightTunnel.psm1"])
            File.Copy(Path.Combine(LabPaths.RepositoryRoot, file), Path.Combine(shell.Folder, file));

        Assert.Equal(
            "LightTunnel is not built yet. Run ./build.ps1, then Import-Module ./LightTunnel.psd1 again.",
            (await shell.FailAsync("Import-Module ./LightTunnel.psd1")).Message);
    }

    [Fact]
    public async Task Manifest_IsValid_AndSaysWhatTheBuildSays()
    {
        await using ModuleShell shell = await ModuleShell.StartAsync(import: false);

        ShellObject manifest = (await shell.RunAsync(
            "param($Path) $m = Test-ModuleManifest $Path; [pscustomobject]@{ Version = \"$($m.Version)\"; "
                + "PowerShell = \"$($m.PowerShellVersion)\"; Editions = \"$($m.CompatiblePSEditions)\"; Root = $m.RootModule; "
                + "Tags = $m.Tags.Count; Licence = \"$($m.LicenseUri)\"; Notes = $m.ReleaseNotes }",
            new { Path = LabPaths.ModuleManifest() })).Single();

        Assert.Equal(typeof(LtServer).Assembly.GetName().Version!.ToString(3), manifest.Text("Version"));
        Assert.Equal("7.6", manifest.Text("PowerShell"));
        Assert.Equal("Core", manifest.Text("Editions"));
        Assert.Equal("LightTunnel.PowerShell.dll", manifest.Text("Root"));
        Assert.NotEqual("0", manifest.Text("Tags"));
        Assert.NotEmpty(manifest.Text("Licence")!);
        Assert.NotEmpty(manifest.Text("Notes")!);
    }

    [Fact]
    public async Task BuildScript_HasNoMistakesOfSyntax()
    {
        await using ModuleShell shell = await ModuleShell.StartAsync(import: false);

        ShellResult errors = await shell.RunAsync(
            "param($Path) $problems = $null; $null = [Management.Automation.Language.Parser]::ParseFile($Path, [ref] $null, "
                + "[ref] $problems); $problems | ForEach-Object { \"$_\" }",
            new { Path = Path.Combine(LabPaths.RepositoryRoot, "build.ps1") });

        Assert.Empty(errors.Output);
    }

    private static IEnumerable<string> Texts(ShellResult result) => result.Output.Select(item => item.ToString());

    private static string PackageFile(string name) => typeof(ModuleImportTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(attribute => attribute.Key == name).Value!;
}
