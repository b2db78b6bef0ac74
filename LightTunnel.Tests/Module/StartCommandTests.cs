using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using LightTunnel.Lab.Shells;
using LightTunnel.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>The commands that start and stop tunnels, with <see cref="FakeEngine"/> in the shell's process.</summary>
[SupportedOSPlatform("linux")]
public sealed class StartCommandTests(FakeEngineShell shared) : IClassFixture<FakeEngineShell>
{
    private const string Key = "dGVzdCBrZXkgdGVzdCBrZXkgdGVzdCBrZXkgdGVzdCE=";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task StartLtServer_Parameters_ReachTheEngine()
    {
        ModuleShell shell = await StartAsync();

        ShellObject server = (await shell.RunAsync(
            $"Start-LtServer -Address 10.0.0.1/24, fd00::1/64 -ListenPort 9001 -Name office -Endpoint a.example:9001, b.example:9001 "
                + $"-NetworkKey {Key} -StatePath state -LogPath ./logs/lt.log -LogLevel Debug -ObserverPort 0 -MaxClients 7 "
                + "-ClientIsolation -Mtu 1380 -Cipher WireGuard -InterfaceName lt5")).Single();

        Assert.Equal("LightTunnel.LtServer", server.Types[0]);
        Assert.Equal(("office", "Up"), (server.Text("Name"), server.Text("State")));
        Assert.Equal(
            $"""
            Name=office
            ListenPort=9001
            Mtu=1380
            Cipher=WireGuard
            InterfaceName=lt5
            StatePath={shell.Folder}/state
            LogPath={shell.Folder}/logs/lt.log
            LogLevel=Debug
            NetworkKey={Key}
            Address=10.0.0.1/24,fd00::1/64
            Endpoint=a.example:9001,b.example:9001
            ObserverPort=0
            MaxClients=7
            ClientIsolation=True
            """,
            await LastSettingsAsync(shell));
    }

    [Fact]
    public async Task StartLtServer_NothingSaid_LeavesEverythingToTheEngine()
    {
        ModuleShell shell = await StartAsync();

        await shell.RunAsync("Start-LtServer 10.0.0.1/24");

        Assert.Equal("Address=10.0.0.1/24", await LastSettingsAsync(shell));
    }

    [Fact]
    public async Task StartLtServer_Location_IsTheSessionsNotTheProcesss()
    {
        ModuleShell shell = await StartAsync();
        Directory.CreateDirectory(Path.Combine(shell.Folder, "sub"));

        await shell.RunAsync("$ExecutionContext.SessionState.Path.SetLocation('sub'); Start-LtServer 10.0.0.1/24 -StatePath ../state");

        Assert.Contains($"StatePath={shell.Folder}/state", await LastSettingsAsync(shell), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData($"-NetworkKey {Key}")]
    [InlineData($"-NetworkKey ([Net.NetworkCredential]::new('', '{Key}').SecurePassword)")]
    [InlineData($"-NetworkKey ' {Key} '")]
    public async Task Secret_TextOrSecureString_IsTheSame(string parameter)
    {
        ModuleShell shell = await StartAsync();

        await shell.RunAsync($"Connect-LtNetwork -Server a.example:9000 -ServerKey key {parameter}");

        Assert.Equal($"NetworkKey={Key}\nServer=a.example:9000\nServerKey=key", await LastSettingsAsync(shell));
    }

    [Fact]
    public async Task Secret_NetworkKeyObject_IsTakenAndNeverShown()
    {
        ModuleShell shell = await StartAsync();

        string key = (await shell.RunAsync(
            "$key = New-LtNetworkKey; $null = Start-LtServer 10.0.0.1/24 -NetworkKey $key; \"$key\"")).Single().ToString();

        Assert.Equal(32, Convert.FromBase64String(key).Length);
        Assert.Contains($"NetworkKey={key}", await LastSettingsAsync(shell), StringComparison.Ordinal);
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
        ModuleShell shell = await StartAsync();

        ShellError error = await shell.FailAsync($"Connect-LtNetwork {value}");

        Assert.Equal($"{errorId},LightTunnel.ConnectLtNetworkCommand", error.ErrorId);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConnectLtNetwork_InvitationFromThePipeline_IsTaken()
    {
        ModuleShell shell = await StartAsync();

        ShellObject network =
            (await shell.RunAsync("'  lt1-secret ' | Connect-LtNetwork -Name home -Address 10.0.0.20 -ListenPort 0")).Single();

        Assert.Equal("LightTunnel.LtNetwork", network.Types[0]);
        Assert.Equal("Name=home\nListenPort=0\nInvitation=lt1-secret\nAddress=10.0.0.20", await LastSettingsAsync(shell));
    }

    [Theory]
    [InlineData("'# from bob', '', 'lt1:AAAA', 'BBBB', '' | Connect-LtNetwork -Name home", "lt1:AAAA\nBBBB")]
    [InlineData("'lt1:AAAA', 'lt1:BBBB' | Connect-LtNetwork -Name home", "lt1:BBBB")]
    [InlineData("Connect-LtNetwork ('# from bob', 'lt1:AAAA', 'BBBB') -Name home", "# from bob\nlt1:AAAA\nBBBB")]
    public async Task ConnectLtNetwork_LinesOfAFile_AreOneInvitation(string script, string invitation)
    {
        ModuleShell shell = await StartAsync();

        await shell.TryAsync(script);

        Assert.EndsWith($"Invitation={invitation}", await LastSettingsAsync(shell), StringComparison.Ordinal);
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
        ModuleShell shell = await StartAsync();
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
        ModuleShell shell = await StartAsync();
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
        ModuleShell shell = await StartAsync();

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
        ModuleShell shell = await StartAsync();
        string path = Path.Combine(shell.Folder, "key.txt");
        await File.WriteAllTextAsync(path, Key + "\n", Token);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);

        await shell.RunAsync("Start-LtServer 10.0.0.1/24 -Name keyed -NetworkKeyPath key.txt");
        Assert.Contains($"NetworkKey={Key}\n", await LastSettingsAsync(shell), StringComparison.Ordinal);
        await shell.RunAsync("Connect-LtNetwork -Name keyless -Server a.example:9000 -ServerKey k -NetworkKeyPath key.txt");
        Assert.Contains($"NetworkKey={Key}\n", await LastSettingsAsync(shell), StringComparison.Ordinal);
        Assert.Equal(
            "InvalidOption,LightTunnel.StartLtServerCommand",
            (await shell.FailAsync($"Start-LtServer 10.0.0.1/24 -NetworkKeyPath key.txt -NetworkKey {Key}")).ErrorId);
    }

    [Fact]
    public async Task Secrets_Serialized_AreNotCarried()
    {
        ModuleShell shell = await StartAsync();
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
        ModuleShell shell = await StartAsync();
        string path = Path.Combine(shell.Folder, "invitation.txt");
        await File.WriteAllTextAsync(path, "\n lt1-from-a-file \n", Token);

        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Assert.Empty(
            (await shell.TryAsync(
                "Connect-LtNetwork -InvitationPath invitation.txt -WarningVariable w *>$null; $w | ForEach-Object { \"$_\" }")).Output);
        Assert.Equal("Invitation=lt1-from-a-file", await LastSettingsAsync(shell));
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
        ModuleShell shell = await StartAsync();

        ShellError error = await shell.FailAsync("Connect-LtNetwork");

        Assert.Equal("InvalidOption,LightTunnel.ConnectLtNetworkCommand", error.ErrorId);
        Assert.Contains("-InvitationPath", error.RecommendedAction, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConnectLtNetwork_NobodyToAsk_TakesTheInvitationOutOfTheEnvironment()
    {
        ModuleShell shell = await StartAsync();
        const string Variable = "LIGHTTUNNEL_INVITATION";

        await shell.RunAsync($"$env:{Variable} = ' lt1-from-the-environment '; $null = Connect-LtNetwork -Name first");
        Assert.Contains("Invitation=lt1-from-the-environment\n", await LastSettingsAsync(shell) + '\n', StringComparison.Ordinal);
        Assert.Equal(
            "False ''",
            (await shell.RunAsync(
                $"\"$([Environment]::GetEnvironmentVariable('{Variable}') -ne $null) '$(& sh -c 'echo "
                    + "$LIGHTTUNNEL_INVITATION')'\"")).Single().ToString());

        // Another attempt in the same process, and then one that says what it wants.
        await shell.RunAsync("$null = Connect-LtNetwork -Name second");
        Assert.Contains("Invitation=lt1-from-the-environment\n", await LastSettingsAsync(shell) + '\n', StringComparison.Ordinal);
        await shell.RunAsync($"$env:{Variable} = 'not-wanted'; $null = Connect-LtNetwork lt1-given -Name third");
        Assert.Contains("Invitation=lt1-given\n", await LastSettingsAsync(shell) + '\n', StringComparison.Ordinal);

        // An empty one is none.
        Assert.Equal(
            "InvalidOption,LightTunnel.ConnectLtNetworkCommand",
            (await shell.FailAsync($"$env:{Variable} = ' '; Connect-LtNetwork -Name fourth")).ErrorId);
    }

    [Fact]
    public async Task Syntax_TellsOfNoParameterThatIsForNothing()
    {
        ModuleShell shell = await StartAsync();

        Assert.Empty(
            (await shell.RunAsync(
                "(Get-Command -Module LightTunnel).ParameterSets.Parameters | Where-Object { $_.ValueFromRemainingArguments }")).Output);
    }

    [Fact]
    public async Task ConnectLtNetwork_HowMembersAreReached_GoesToTheEngine()
    {
        ModuleShell shell = await StartAsync();

        await shell.RunAsync(
            "Connect-LtNetwork secret -AcceptPrefix 10.1.0.0/24, fd00:1::/64 -AdvertiseEndpoint 203.0.113.4:9000, [2001:db8::4]:9000 "
                + "-AllowRelay $false -PathPolicy RelayOnly -PortMapping $false");

        Assert.Equal(
            "Invitation=secret\nAcceptPrefix=10.1.0.0/24,fd00:1::/64\nAdvertiseEndpoint=203.0.113.4:9000,[2001:db8::4]:9000\n"
                + "AllowRelay=False\nPathPolicy=RelayOnly\nPortMapping=False", await LastSettingsAsync(shell));
    }

    [Fact]
    public async Task Configuration_ParametersWinOverTheFile()
    {
        ModuleShell shell = await StartAsync();
        await File.WriteAllTextAsync(
            Path.Combine(shell.Folder, "client.yaml"),
            "role: client\nname: fromfile\nlistenPort: 9100\nmtu: 1300\nserver: [a.example:9000]\nserverKey: "
                + "mKOqHxc0ggLcS6w1oAwLhvk2mHbNJQx0hJl5SPhKZjg=\n", Token);

        await shell.RunAsync($"Connect-LtNetwork -ConfigurationPath client.yaml -ListenPort 0 -NetworkKey {Key}");
        string settings = await LastSettingsAsync(shell);
        Assert.Contains("Name=fromfile\nListenPort=0\nMtu=1300\n", settings, StringComparison.Ordinal);
        Assert.Contains($"NetworkKey={Key}\nServer=a.example:9000\n", settings, StringComparison.Ordinal);

        await shell.RunAsync("Connect-LtNetwork lt1-secret -ConfigurationPath client.yaml -Name other");
        settings = await LastSettingsAsync(shell);
        Assert.Contains("Invitation=lt1-secret", settings, StringComparison.Ordinal);
        Assert.DoesNotContain("Server", settings, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Start-LtServer -ConfigurationPath nothing.yaml", "NotFound,LightTunnel.StartLtServerCommand")]
    [InlineData("Connect-LtNetwork -ConfigurationPath nothing.yaml", "NotFound,LightTunnel.ConnectLtNetworkCommand")]
    [InlineData("Start-LtServer 10.0.0.1/24 -StatePath Env:somewhere", "FileAccess,LightTunnel.StartLtServerCommand")]
    [InlineData("Start-LtServer 10.0.0.1/24 -LogPath nodrive:/x", "FileAccess,LightTunnel.StartLtServerCommand")]
    public async Task Path_NotThereOrNoFile_SaysSo(string script, string errorId)
    {
        ModuleShell shell = await StartAsync();

        ShellError error = await shell.FailAsync(script);

        Assert.Equal(errorId, error.ErrorId);
        Assert.NotEmpty(error.RecommendedAction!);
    }

    [Fact]
    public async Task Error_OfEveryKind_KeepsIdCategoryRemedyTargetAndException()
    {
        ModuleShell shell = await StartAsync();

        foreach (LightTunnelError kind in Enum.GetValues<LightTunnelError>())
        {
            ShellError error = await shell.FailAsync($"Start-LtServer 10.0.0.1/24 -Name fail-{kind}");

            Assert.Equal($"{kind},LightTunnel.StartLtServerCommand", error.ErrorId);
            Assert.NotEqual("NotSpecified", error.Category);
            Assert.Equal(kind == LightTunnelError.Internal, error.Category == "InvalidResult");
            Assert.Equal(($"It is {kind}.", $"Mend {kind}.", "the culprit"), (error.Message, error.RecommendedAction, error.Target));
            Assert.Equal("LightTunnel.Diagnostics.LightTunnelException", error.Exception);
        }
    }

    [Fact]
    public async Task Error_Unexpected_IsInternalAndKeepsTheException()
    {
        ModuleShell shell = await StartAsync();

        ShellResult result = await shell.TryAsync(
            "try { Start-LtServer 10.0.0.1/24 -Name crash } catch { $_.FullyQualifiedErrorId; $_.Exception.InnerException.Message }");

        Assert.Equal(
            ["Internal,LightTunnel.StartLtServerCommand", "an exception nobody thought of"], result.Output.Select(item => item.ToString()));
    }

    [Theory]
    [InlineData("unreachable", "ServerUnreachable")]
    [InlineData("hang", "TimedOut")]
    [InlineData("deaf", "TimedOut")]
    public async Task TimeoutSec_Over_FailsWithTheReason(string name, string errorId)
    {
        ModuleShell shell = await StartAsync();

        ShellError error = await shell.FailAsync($"Connect-LtNetwork secret -Name {name} -TimeoutSec 1");

        Assert.Equal($"{errorId},LightTunnel.ConnectLtNetworkCommand", error.ErrorId);
    }

    [Theory]
    [InlineData("hang")]
    [InlineData("deaf")]
    public async Task CtrlC_WhileStarting_ReturnsAtOnce(string name)
    {
        ModuleShell shell = await StartAsync();

        // By itself it would give up much later than the session waits for a script that does not heed Ctrl+C.
        ShellResult result = await StopAsync(shell, $"'starting'; Connect-LtNetwork secret -Name {name} -TimeoutSec 3600");

        Assert.Equal(ShellState.Stopped, result.State);
    }

    [Fact]
    public async Task Wait_WhatIsLogged_IsShownByTheHostAndIsNoObject()
    {
        ModuleShell shell = await StartAsync();

        ShellResult shown = await shell.RunAsync(
            "Start-LtServer 10.0.0.1/24 -Name talks -Wait 6>&1 | ForEach-Object { \"$($_.GetType().Name) $_\" }");

        string[] lines = [.. shown.Output.Select(item => item.ToString()).Distinct()];
        Assert.Equal(["LtServer talks", "InformationRecord talks: Warning: something happened"], lines);
    }

    [Fact]
    public async Task Verbose_WhileStarting_TellsTheLog()
    {
        ModuleShell shell = await StartAsync();

        ShellResult shown = await shell.RunAsync("Connect-LtNetwork secret -Name chatty -Verbose 4>&1 | ForEach-Object { \"$_\" }");

        Assert.Contains("chatty is up", shown.Output.Select(item => item.ToString()));
    }

    [Fact]
    public async Task Wait_CtrlC_StopsTheTunnel()
    {
        ModuleShell shell = await StartAsync();

        ShellResult result = await StopAsync(shell, "Start-LtServer 10.0.0.1/24 -Name waiting -Wait");

        Assert.Equal(ShellState.Stopped, result.State);
        Assert.Equal("waiting", result.Output[0].Text("Name"));
        Assert.Empty((await shell.RunAsync("Get-LtServer")).Output);
    }

    [Fact]
    public async Task Wait_StoppedByAnotherProcess_Returns()
    {
        ModuleShell shell = await StartAsync();
        var up = new TaskCompletionSource();
        Task<ShellResult> waiting = shell.Session.TryInvokeAsync(
            "Start-LtServer 10.0.0.1/24 -Name waiting -Wait; 'goes on'", onOutput: _ => up.TrySetResult(), cancellationToken: Token);
        await up.Task.WaitAsync(TimeSpan.FromMinutes(2), Token);

        ITunnelHandle tunnel = Assert.Single((await shell.FindFromOutsideAsync()).Tunnels);
        Assert.Equal(("waiting", shell.Session.ProcessId, false), (tunnel.Name, tunnel.ProcessId, tunnel.IsLocal));
        await tunnel.StopAsync(Token);

        ShellResult result = await waiting;
        Assert.Equal("goes on", result.Output[^1].ToString());
        Assert.Empty((await shell.FindFromOutsideAsync()).Tunnels);
    }

    [Fact]
    public async Task Wait_StoppedByAnotherRunspace_Returns()
    {
        ModuleShell shell = await StartAsync();
        var up = new TaskCompletionSource();
        Task<ShellResult> waiting = shell.Session.TryInvokeAsync(
            "Connect-LtNetwork secret -Name waiting -Wait", onOutput: _ => up.TrySetResult(), cancellationToken: Token);
        await up.Task.WaitAsync(TimeSpan.FromMinutes(2), Token);

        await shell.Session.InvokeAsync("Get-LtNetwork | Disconnect-LtNetwork", runspace: "second", cancellationToken: Token);

        Assert.Equal(ShellState.Completed, (await waiting).State);
    }

    [Fact]
    public async Task RemoveModule_RunningTunnel_StaysUp()
    {
        ModuleShell shell = await StartAsync();

        await shell.RunAsync("$null = Start-LtServer 10.0.0.1/24 -Name office; Remove-Module LightTunnel");
        Assert.Equal("office", Assert.Single((await shell.FindFromOutsideAsync()).Tunnels).Name);
        await shell.RunAsync("param($Path) Import-Module $Path", new { Path = LightTunnel.Lab.LabPaths.ModuleManifest() });

        Assert.Equal("office", (await shell.RunAsync("Get-LtServer")).Single().Text("Name"));
    }

    [Fact]
    public async Task SameNameTwice_IsNameInUse()
    {
        ModuleShell shell = await StartAsync();

        ShellError error = await shell.FailAsync(
            "$null = Start-LtServer 10.0.0.1/24 -Name office; Start-LtServer 10.0.0.1/24 -Name OFFICE");

        Assert.Equal(("NameInUse,LightTunnel.StartLtServerCommand", "ResourceExists"), (error.ErrorId, error.Category));
    }

    [Fact]
    public async Task WhatIf_StartsNothing()
    {
        ModuleShell shell = await StartAsync();

        Assert.Empty((await shell.RunAsync("Start-LtServer 10.0.0.1/24 -WhatIf; Connect-LtNetwork secret -WhatIf")).Output);

        Assert.Empty(await LastSettingsAsync(shell));
    }

    [Theory]
    [InlineData("Start-LtServer 10.0.0.1/24 -ListenPort nine", "CannotConvertArgumentNoMessage,LightTunnel.StartLtServerCommand", "nine")]
    [InlineData(
        "Start-LtServer 10.0.0.1/24 -TimeoutSec 0", "ParameterArgumentValidationError,LightTunnel.StartLtServerCommand", "TimeoutSec")]
    [InlineData(
        "Start-LtServer 10.0.0.1/24 -LogLevel Loud", "CannotConvertArgumentNoMessage,LightTunnel.StartLtServerCommand",
        "Debug, Information, Warning, Error")]
    [InlineData(
        "Connect-LtNetwork secret -PathPolicy Best", "CannotConvertArgumentNoMessage,LightTunnel.ConnectLtNetworkCommand",
        "Auto, DirectOnly, RelayOnly")]
    [InlineData("Connect-LtNetwork secret -AllowRelay maybe", "CannotConvertArgument,LightTunnel.ConnectLtNetworkCommand", "AllowRelay")]
    [InlineData("Start-LtServer 10.0.0.1/24 -Nonsense 1", "InvalidOption,LightTunnel.StartLtServerCommand", "-Nonsense")]
    [InlineData("Start-LtServer ''", "ParameterArgumentValidationError,LightTunnel.StartLtServerCommand", "Address")]
    [InlineData("Connect-LtNetwork secret -Nonsense 1", "InvalidOption,LightTunnel.ConnectLtNetworkCommand", "-Nonsense")]
    [InlineData(
        "Start-LtServer 10.0.0.1/24 stray", "InvalidOption,LightTunnel.StartLtServerCommand", "a value too many, which is not shown")]
    [InlineData("Get-LtPeer bob carl", "InvalidOption,LightTunnel.GetLtPeerCommand", "a value too many: 'carl'")]
    [InlineData("Get-LtPeer bob -Nmae carl", "InvalidOption,LightTunnel.GetLtPeerCommand", "There is no parameter -Nmae.")]
    [InlineData("'bob' | Get-LtPeer -Nmae carl", "InvalidOption,LightTunnel.GetLtPeerCommand", "There is no parameter -Nmae.")]
    [InlineData(
        "Get-LtLog -Level Loud", "CannotConvertArgumentNoMessage,LightTunnel.GetLtLogCommand", "Debug, Information, Warning, Error")]
    [InlineData("Get-LtLog -Tail -1", "ParameterArgumentValidationError,LightTunnel.GetLtLogCommand", "Tail")]
    [InlineData("Get-LtRoute -Type Indirect", "CannotConvertArgumentNoMessage,LightTunnel.GetLtRouteCommand", "Direct, Relay, Server")]
    [InlineData("New-LtInvitation -Expires soon", "CannotConvertArgumentNoMessage,LightTunnel.NewLtInvitationCommand", "soon")]
    public async Task Binding_MistypedParameter_SaysWhichAndWhatIsAllowed(string script, string errorId, string message)
    {
        ModuleShell shell = await StartAsync();

        ShellError error = await shell.FailAsync(script);

        Assert.Equal(errorId, error.ErrorId);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TestLtConfiguration_ProblemsAreObjectsWithTheirPlace()
    {
        ModuleShell shell = await StartAsync();
        await File.WriteAllTextAsync(
            Path.Combine(shell.Folder, "bad.yaml"), "role: server\naddress: 10.0.0.1/24\nlistenPrt: 9000\n", Token);
        await File.WriteAllTextAsync(Path.Combine(shell.Folder, "good.yaml"), "role: server\naddress: 10.0.0.1/24\n", Token);

        ShellObject problem = (await shell.RunAsync("Test-LtConfiguration bad.yaml")).Single();
        Assert.Equal(
            ("3", "1", Path.Combine(shell.Folder, "bad.yaml")), (problem.Text("Line"), problem.Text("Column"), problem.Text("Path")));
        Assert.NotEmpty(problem.Text("RecommendedAction")!);
        Assert.Empty((await shell.RunAsync("Test-LtConfiguration good.yaml")).Output);
        Assert.Equal(
            ["False", "True"], (await shell.RunAsync("Test-LtConfiguration *d.yaml -Quiet")).Output.Select(item => item.ToString()));
        Assert.NotEmpty((await shell.RunAsync("Test-LtConfiguration nothing.yaml")).Single().Text("RecommendedAction")!);
        Assert.Equal(
            ["False", "True"],
            (await shell.RunAsync(
                "[IO.DirectoryInfo]::new($PWD).GetFiles('bad.yaml') + [IO.FileInfo]::new(\"$PWD/good.yaml\") | "
                    + "Test-LtConfiguration -Quiet")).Output.Select(item => item.ToString()));
    }

    private async Task<ModuleShell> StartAsync()
    {
        await shared.Shell.ResetAsync();
        await shared.Shell.RunAsync("Reset-FakeEngine");
        return shared.Shell;
    }

    private static async Task<string> LastSettingsAsync(ModuleShell shell) =>
        (await shell.RunAsync("Get-LastSettings")).Single().ToString();

    /// <summary>Ctrl+C after the first output; fails when that does not end the script.</summary>
    private static async Task<ShellResult> StopAsync(ModuleShell shell, string script)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        return await shell.Session.TryInvokeAsync(script, onOutput: _ => stop.Cancel(), cancellationToken: stop.Token);
    }
}
