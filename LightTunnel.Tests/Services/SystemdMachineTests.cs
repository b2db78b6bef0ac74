using Xunit;

namespace LightTunnel.Tests.Services;

/// <summary>Services of a systemd that runs: the unit as it is written, the program as the module brings it, and the commands.</summary>
public sealed class SystemdMachineTests
{
    [Fact]
    public async Task Service_IsUp_IsStartedAgainWhenKilled_TakesANewerVersion_SaysWhatIsWrong_AndGoes()
    {
        Prerequisites.SkipUnlessGateway();
        await using SystemdMachine machine = await SystemdMachine.StartAsync();

        // It is a gateway too, which changes settings of the kernel that are out of reach for most services.
        Assert.Equal(
            ["Running True Up", "10.77.0.1/24", "600", "no problem", "1"],
            await machine.RunAsync("""
                ip link add lan type veth peer name host
                ip address add 192.168.7.1/24 dev lan
                ip link set lan up
                $service = Register-LtService -Name office -Address 10.77.0.1/24 -Endpoint 127.0.0.1:9000 -Route 192.168.7.0/24
                "$($service.State) $($service.Enabled) $($service.Tunnel.State)"
                "$((Get-LtServer office).Addresses)"
                stat -c %a /etc/lighttunnel/office.yaml
                (Get-LtServer office).LastError ?? 'no problem'
                Get-Content /proc/sys/net/ipv4/conf/lan/forwarding
                """));

        Assert.Equal(
            ["Running", "no problem", "1"],
            await machine.RunAsync("""
                $before = (Get-LtService office).ProcessId
                kill -9 $before
                do { $service = Get-LtService office } until ($service.State -eq 'Running' -and $service.ProcessId -ne $before)
                "$($service.State)"
                (Get-LtServer office).LastError ?? 'no problem'
                Get-Content /proc/sys/net/ipv4/conf/lan/forwarding
                """));

        Assert.Equal(
            ["9.9.9 9.9.9"],
            await machine.RunAsync("""
                $modules = '/usr/local/share/powershell/Modules/LightTunnel'
                Copy-Item -Recurse (Get-Item $modules/*)[0] $modules/9.9.9
                $service = Restart-LtService office -PassThru
                "$($service.Version) $($service.HostVersion)"
                """));

        Assert.Equal(
            ["ServiceFailed", "Failed", "True"],
            await machine.RunAsync("""
                Add-Content /etc/lighttunnel/office.yaml 'maxClient: 3'
                try { Restart-LtService office } catch { $_.FullyQualifiedErrorId.Split(',')[0] }
                $service = Get-LtService office
                "$($service.State)"
                $service.LastError.Contains("'maxClient' is not a key of this file")
                """));

        Assert.Equal(
            ["0", "0", "0", "False", "False", "True"],
            await machine.RunAsync("""
                Unregister-LtService office -Confirm:$false
                Get-Content /proc/sys/net/ipv4/conf/lan/forwarding
                @(nft list ruleset).Count
                @(Get-LtService).Count
                Test-Path /usr/local/lib/lighttunnel
                Test-Path /etc/lighttunnel/office.yaml
                Test-Path /var/lib/lighttunnel/server-office
                """));
    }

    [Fact]
    public async Task Client_WhoseServerIsAway_CountsAsStarted_AndIsStoppedInOrder()
    {
        await using SystemdMachine machine = await SystemdMachine.StartAsync();

        Assert.Equal(
            ["Running Connecting", "Stopped", "0"],
            await machine.RunAsync("""
                $key = 'mKOqHxc0ggLcS6w1oAwLhvk2mHbNJQx0hJl5SPhKZjg='
                "$(New-LtNetworkKey)" | Set-Content /root/network.key
                chmod 600 /root/network.key
                $service = Register-LtService -Name laptop -Server 127.0.0.1:9 -ServerKey $key -NetworkKeyPath /root/network.key
                "$($service.State) $($service.Tunnel.State)"
                "$((Stop-LtService laptop -PassThru).State)"
                (systemctl show lighttunnel-laptop --property ExecMainStatus --value)
                """));
    }

    /// <summary>A session has a server, and is a member of another machine's network; another session makes services of both.</summary>
    [Fact]
    public async Task TunnelsOfASession_BecomeServices_WhichAreTheSameNodes_AndEndThere()
    {
        await using SystemdMachine machine = await SystemdMachine.StartAsync();
        await machine.RunAsync("""
            ip netns add far
            ip link add near type veth peer name near netns far
            ip addr add 192.0.2.1/24 dev near
            ip link set near up
            ip -n far addr add 192.0.2.2/24 dev near
            ip -n far link set near up
            """);
        Task<string[]> far = machine.RunAsync(
            """
            $server = Start-LtServer -Name far -Address 10.78.0.1/24 -Endpoint 192.0.2.2:9000
            $server | New-LtInvitation | Set-Content /root/invitation.new
            chmod 600 /root/invitation.new
            Move-Item /root/invitation.new /root/invitation
            while (-not (Test-Path /root/done)) { Start-Sleep -Milliseconds 100 }
            """,
            network: "far");
        Task<string[]> session = machine.RunAsync("""
            while (-not (Test-Path /root/invitation)) { Start-Sleep -Milliseconds 100 }
            $tunnels = @(
                Start-LtServer -Name office -Address 10.77.0.1/24 -Endpoint 192.0.2.1:9000
                Connect-LtNetwork -Name laptop -InvitationPath /root/invitation -TimeoutSec 60
            )
            $tunnels | ForEach-Object { "$($_.Name) $($_.PublicKey) $($_.Address) $($_.ListenPort * ($_.Name -eq 'office'))" }
            New-Item /root/ready
            while (@(Get-LtServer) + @(Get-LtNetwork) | Where-Object ProcessId -eq $PID) { Start-Sleep -Milliseconds 100 }
            """);

        string[] services = await machine.RunAsync("""
            while (-not (Test-Path /root/ready)) { Start-Sleep -Milliseconds 100 }
            $services = @(Get-LtServer) + @(Get-LtNetwork) | Register-LtService
            Wait-LtNetwork laptop -TimeoutSec 60 | Out-Null
            $services | ForEach-Object { "$($_.State) $($_.Enabled)" }
            @(Get-LtServer) + @(Get-LtNetwork) | ForEach-Object {
                "$($_.Name) $($_.PublicKey) $($_.Address) $($_.ListenPort * ($_.Name -eq 'office'))"
            }
            @(Get-LtServer) + @(Get-LtNetwork) | ForEach-Object { "$($_.State) $($_.ProcessId -in (Get-LtService).ProcessId)" }
            (Select-String '^"?invitation"?:' /etc/lighttunnel/laptop.yaml).Count
            try { Get-LtServer office | Register-LtService } catch { $_.FullyQualifiedErrorId.Split(',')[0] }
            """);

        string[] before = [.. (await session).Where(line => line.Split(' ')[0] is "office" or "laptop")];
        Assert.Equal(2, before.Length);
        Assert.Equal(
            ["Running True", "Running True", .. before, "Up True", "Up True", "0", "NameInUse"], services);
        await machine.RunAsync("New-Item /root/done");
        await far;
    }
}
