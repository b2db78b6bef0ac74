using System.Runtime.Versioning;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>Invitations and network keys, which the commands that start tunnels take in every form and show in none.</summary>
[SupportedOSPlatform("linux")]
public sealed class SecretParameterTests(FakeEngineShell shared) : IClassFixture<FakeEngineShell>
{
    private const string Key = StartCommandTests.Key;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData($"-NetworkKey {Key}")]
    [InlineData($"-NetworkKey ([Net.NetworkCredential]::new('', '{Key}').SecurePassword)")]
    [InlineData($"-NetworkKey ' {Key} '")]
    public async Task Secret_TextOrSecureString_IsTheSame(string parameter)
    {
        ModuleShell shell = await shared.ResetAsync();

        await shell.RunAsync($"Connect-LtNetwork -Server a.example:9000 -ServerKey key {parameter}");

        Assert.Equal($"NetworkKey={Key}\nServer=a.example:9000\nServerKey=key", await shared.LastSettingsAsync());
    }

    [Fact]
    public async Task Secret_NetworkKeyObject_IsTakenAndNeverShown()
    {
        ModuleShell shell = await shared.ResetAsync();

        string key = (await shell.RunAsync(
            "$key = New-LtNetworkKey; $null = Start-LtServer 10.0.0.1/24 -NetworkKey $key; \"$key\"")).Single().ToString();

        Assert.Equal(32, Convert.FromBase64String(key).Length);
        Assert.Contains($"NetworkKey={key}", await shared.LastSettingsAsync(), StringComparison.Ordinal);
        Assert.DoesNotContain(key, await shell.ShowAsync("$key"), StringComparison.Ordinal);
        ShellResult serialized = await shell.Session.TryInvokeAsync(
            "$key.psobject.Properties | ForEach-Object { \"$($_.Value)\" }", cancellationToken: Token);
        Assert.DoesNotContain(serialized.Output, item => item.ToString() == key);
    }

    [Theory]
    [InlineData("-Invitation ''", "InvalidInvitation", "is empty")]
    [InlineData("-NetworkKey ''", "ParameterArgumentTransformationError", "is empty")]
    [InlineData("-Invitation 42", "ParameterArgumentTransformationError", "Int32")]
    [InlineData("-Invitation ('lt1:AAAA', 42)", "ParameterArgumentTransformationError", "Object[]")]
    public async Task Secret_SomethingElse_IsRefusedWithoutBeingShown(string value, string errorId, string message)
    {
        ModuleShell shell = await shared.ResetAsync();

        ShellError error = await shell.FailAsync($"Connect-LtNetwork {value}");

        Assert.Equal($"{errorId},LightTunnel.ConnectLtNetworkCommand", error.ErrorId);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConnectLtNetwork_InvitationFromThePipeline_IsTaken()
    {
        ModuleShell shell = await shared.ResetAsync();

        ShellObject network =
            (await shell.RunAsync("'  lt1-secret ' | Connect-LtNetwork -Name home -Address 10.0.0.20 -ListenPort 0")).Single();

        Assert.Equal("LightTunnel.LtNetwork", network.Types[0]);
        Assert.Equal("Name=home\nListenPort=0\nInvitation=lt1-secret\nAddress=10.0.0.20", await shared.LastSettingsAsync());
    }

    [Theory]
    [InlineData("'# from bob', '', 'lt1:AAAA', 'BBBB', '' | Connect-LtNetwork -Name home", "lt1:AAAA\nBBBB")]
    [InlineData("'lt1:AAAA', 'lt1:BBBB' | Connect-LtNetwork -Name home", "lt1:BBBB")]
    [InlineData("Connect-LtNetwork ('# from bob', 'lt1:AAAA', 'BBBB') -Name home", "# from bob\nlt1:AAAA\nBBBB")]
    public async Task ConnectLtNetwork_LinesOfAFile_AreOneInvitation(string script, string invitation)
    {
        ModuleShell shell = await shared.ResetAsync();

        await shell.TryAsync(script);

        Assert.EndsWith($"Invitation={invitation}", await shared.LastSettingsAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Connect-LtNetwork home $text")]
    [InlineData("Connect-LtNetwork $text $text -Server a.example:9000")]
    [InlineData("Connect-LtNetwork -Name fail-InvalidName -Invitation $text -ConfigurationPath $text")]
    [InlineData("Connect-LtNetwork -ListenPort $text")]
    [InlineData("Connect-LtNetwork -PathPolicy $text")]
    [InlineData("Connect-LtNetwork -AllowRelay $text")]
    [InlineData("Connect-LtNetwork -Wait:$text")]
    [InlineData("Start-LtServer 10.0.0.1/24 -TimeoutSec $text")]
    [InlineData("Get-LtLog $text")]
    [InlineData("Disconnect-LtNetwork $text")]
    [InlineData("Test-LtP2P $text")]
    [InlineData("Connect-LtNetwork -ServerKey k -Server $text")]
    [InlineData("Start-LtServer 10.0.0.1/24 $text")]
    [InlineData("Get-LtPeer bob $text")]
    [InlineData("Get-LtPeer -InputObject $text")]
    [InlineData("Get-LtPeer -All:$text")]
    [InlineData("Get-LtRoute -Type Direct, $text")]
    [InlineData("New-LtInvitation -Expires $text")]
    [InlineData("Set-LtPeer bob -PathPolicy $text")]
    [InlineData("Wait-LtPeer bob -Path $text")]
    public async Task Invitation_InTheWrongPlace_IsInNoError(string script)
    {
        ModuleShell shell = await shared.ResetAsync();
        string secret = "lt1:" + new string('S', 60);

        ShellResult shown = await shell.TryAsync(
            $"$text = '{secret}'; $Error.Clear(); try {{ {script} 2>$null }} catch {{ }}; $Error | ForEach-Object {{ \"$_ "
                + $"$($_.TargetObject) $($_.CategoryInfo) $($_.Exception)\" }}");

        Assert.NotEmpty(shown.Output);
        Assert.DoesNotContain(shown.Output, item => item.ToString().Contains("SSSSS", StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData("Get-LtNetwork $text")]
    [InlineData("Start-LtServer 10.0.0.1/24 -ListenPort $text")]
    [InlineData("Connect-LtNetwork -InvitationPath $text")]
    [InlineData("Test-LtP2P $text")]
    public async Task NetworkKey_InTheWrongPlace_IsInNoError(string script)
    {
        ModuleShell shell = await shared.ResetAsync();
        shell.Serve(Management.FakeTunnel.SampleServer());

        ShellResult shown = await shell.TryAsync(
            $"$text = '{Key}'; $Error.Clear(); try {{ {script} 2>$null }} catch {{ }}; $Error | ForEach-Object {{ \"$_ $($_.TargetObject) "
                + $"$($_.CategoryInfo) $($_.Exception)\" }}");

        Assert.NotEmpty(shown.Output);
        Assert.DoesNotContain(shown.Output, item => item.ToString().Contains(Key[..43], StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task Parameters_ThatAreNoText_RepeatNoSecret()
    {
        ModuleShell shell = await shared.ResetAsync();

        ShellResult open = await shell.RunAsync("""
            $common = [Management.Automation.PSCmdlet]::CommonParameters + [Management.Automation.PSCmdlet]::OptionalCommonParameters
            Get-Command -Module LightTunnel | ForEach-Object { $_.Parameters.Values } | Where-Object {
                $_.Name -notin $common -and $_.ParameterType -notin [string], [string[]] -and
                -not ($_.Attributes | Where-Object { $_.GetType().Name -in 'NotSecretAttribute', 'SecretTextAttribute' })
            } | ForEach-Object { $_.Name }
            """);

        Assert.Empty(open.Output);
    }

    [Fact]
    public async Task NetworkKeyPath_HoldsTheKey()
    {
        ModuleShell shell = await shared.ResetAsync();
        string path = Path.Combine(shell.Folder, "key.txt");
        await File.WriteAllTextAsync(path, Key + "\n", Token);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);

        await shell.RunAsync("Start-LtServer 10.0.0.1/24 -Name keyed -NetworkKeyPath key.txt");
        Assert.Contains($"NetworkKey={Key}\n", await shared.LastSettingsAsync(), StringComparison.Ordinal);
        await shell.RunAsync("Connect-LtNetwork -Name keyless -Server a.example:9000 -ServerKey k -NetworkKeyPath key.txt");
        Assert.Contains($"NetworkKey={Key}\n", await shared.LastSettingsAsync(), StringComparison.Ordinal);
        Assert.Equal(
            "InvalidOption,LightTunnel.StartLtServerCommand",
            (await shell.FailAsync($"Start-LtServer 10.0.0.1/24 -NetworkKeyPath key.txt -NetworkKey {Key}")).ErrorId);
    }

    [Fact]
    public async Task Secrets_Serialized_AreNotCarried()
    {
        ModuleShell shell = await shared.ResetAsync();
        shell.Serve(Management.FakeTunnel.SampleServer());

        string[] forms = [.. (await shell.RunAsync("""
            foreach ($secret in (New-LtInvitation), (New-LtNetworkKey)) {
                $kept = [Management.Automation.PSSerializer]::Serialize(@($secret))
                "$($kept.Contains("$secret")) $(([Text.Json.JsonSerializer]::Serialize($secret, $secret.GetType())).Contains("$secret"))"
            }
            $carried = [Management.Automation.PSSerializer]::Serialize((New-LtInvitation))
            try {
                [Management.Automation.PSSerializer]::Deserialize($carried) | Connect-LtNetwork -ErrorAction Stop
            } catch { "$_" }
            """)).Output.Select(item => item.ToString())];

        Assert.Equal(["False False", "False False"], forms[..2]);
        Assert.Contains("do not carry secrets", forms[2], StringComparison.Ordinal);
    }

    [Fact]
    public async Task InvitationPath_ReadableByOthers_WarnsAndWritableByAllIsRefused()
    {
        ModuleShell shell = await shared.ResetAsync();
        string path = Path.Combine(shell.Folder, "invitation.txt");
        await File.WriteAllTextAsync(path, "\n lt1-from-a-file \n", Token);

        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Assert.Empty(
            (await shell.TryAsync(
                "Connect-LtNetwork -InvitationPath invitation.txt -WarningVariable w *>$null; $w | ForEach-Object { \"$_\" }")).Output);
        Assert.Equal("Invitation=lt1-from-a-file", await shared.LastSettingsAsync());
        await shell.RunAsync("Get-LtNetwork | Disconnect-LtNetwork");

        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        Assert.Contains(
            "chmod 600",
            (await shell.TryAsync(
                "Connect-LtNetwork -InvitationPath invitation.txt -WarningVariable w *>$null; "
                    + "$w | ForEach-Object { \"$_\" }")).Single().ToString(), StringComparison.Ordinal);
        await shell.RunAsync("Get-LtNetwork | Disconnect-LtNetwork");

        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.OtherWrite);
        Assert.Equal(
            "FileAccess,LightTunnel.ConnectLtNetworkCommand",
            (await shell.FailAsync("Connect-LtNetwork -InvitationPath invitation.txt")).ErrorId);
        Assert.Equal(
            ("NotFound,LightTunnel.ConnectLtNetworkCommand", "ObjectNotFound"),
            ((await shell.FailAsync("Connect-LtNetwork -InvitationPath nothing.txt")).ErrorId,
                (await shell.FailAsync("Connect-LtNetwork -InvitationPath nothing.txt")).Category));
    }

    [Fact]
    public async Task ConnectLtNetwork_NothingGivenAndNobodyToAsk_SaysWhatToGive()
    {
        ModuleShell shell = await shared.ResetAsync();

        ShellError error = await shell.FailAsync("Connect-LtNetwork");

        Assert.Equal("InvalidOption,LightTunnel.ConnectLtNetworkCommand", error.ErrorId);
        Assert.Contains("-InvitationPath", error.RecommendedAction, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConnectLtNetwork_NobodyToAsk_TakesTheInvitationOutOfTheEnvironment()
    {
        ModuleShell shell = await shared.ResetAsync();
        const string Variable = "LIGHTTUNNEL_INVITATION";

        await shell.RunAsync($"$env:{Variable} = ' lt1-from-the-environment '; $null = Connect-LtNetwork -Name first");
        Assert.Contains("Invitation=lt1-from-the-environment\n", await shared.LastSettingsAsync() + '\n', StringComparison.Ordinal);
        Assert.Equal(
            "False ''",
            (await shell.RunAsync(
                $"\"$([Environment]::GetEnvironmentVariable('{Variable}') -ne $null) '$(& sh -c 'echo "
                    + "$LIGHTTUNNEL_INVITATION')'\"")).Single().ToString());

        // Another attempt in the same process, and then one that says what it wants.
        await shell.RunAsync("$null = Connect-LtNetwork -Name second");
        Assert.Contains("Invitation=lt1-from-the-environment\n", await shared.LastSettingsAsync() + '\n', StringComparison.Ordinal);
        await shell.RunAsync($"$env:{Variable} = 'not-wanted'; $null = Connect-LtNetwork lt1-given -Name third");
        Assert.Contains("Invitation=lt1-given\n", await shared.LastSettingsAsync() + '\n', StringComparison.Ordinal);

        // An empty one is none.
        Assert.Equal(
            "InvalidOption,LightTunnel.ConnectLtNetworkCommand",
            (await shell.FailAsync($"$env:{Variable} = ' '; Connect-LtNetwork -Name fourth")).ErrorId);
    }
}
