param($Machines)

# An admin makes a phone a member, which has any WireGuard app: here wireguard-go, on a machine without LightTunnel's tunnel.

BeforeAll {
    $server = $Machines.server
    $bob = $Machines.bob
    $line = Invoke-Command $server {
        $null = Start-LtServer -Address 10.0.0.1/24 -Name office -Endpoint 203.0.113.1:9000 -ListenPort 9000
        "$(New-LtInvitation)"
    }
    $null = Connect-LtNetwork $line -Name alice -Address 10.0.0.10 -TimeoutSec 60
    $app = "ltacc$PID"
}

AfterAll {
    Invoke-Command $bob {
        if ($process) {
            $process | Stop-Process
            Remove-Item "/var/run/wireguard/$using:app.sock"
        }
    }
    Get-LtNetwork | Disconnect-LtNetwork
    Invoke-Command $server { Get-LtServer | Stop-LtServer }
}

Describe 'An admin makes a phone a member' {
    BeforeAll {
        $configuration, $mode = Invoke-Command $server {
            $null = New-LtWireGuardClient phone -Address 10.0.0.30 -OutFile phone.conf
            Get-Content phone.conf -Raw
            "$((Get-Item phone.conf).UnixFileMode)"
        }
    }

    It 'with a file that only its owner can read, which says all that an app needs' {
        $mode | Should-Be 'UserWrite, UserRead'
        foreach ($key in 'PrivateKey', 'PublicKey', 'PresharedKey') {
            $configuration | Should-MatchString "(?m)^$key = [A-Za-z0-9+/]{43}=$"
        }
        $configuration | Should-MatchString '(?m)^Address = 10\.0\.0\.30/32$'
        $configuration | Should-MatchString '(?m)^Endpoint = 203\.0\.113\.1:9000$'
        $configuration | Should-MatchString '(?m)^AllowedIPs = 10\.0\.0\.0/24$'
        $configuration | Should-MatchString '(?m)^PersistentKeepalive = 25$'
    }

    It 'or with a QR code that the phone scans' {
        $code = Invoke-Command $server { New-LtWireGuardClient tablet -AsQRCode }

        $lines = $code -replace '\e\[[0-9;]*m' -split "`n"
        $lines.Count | Should-BeLessThan 40
        ($lines | ForEach-Object Length | Select-Object -Unique) | Should-BeLessThan 81
    }

    It 'which everybody sees, and that it is one whose packets the server can read' {
        $member = Invoke-Command $server { Get-LtMember phone }
        "$($member.Kind) $($member.State)" | Should-Be 'WireGuard Offline'
        $deadline = [datetime]::UtcNow.AddMinutes(2)
        while (-not (Get-LtPeer | Where-Object Name -eq phone) -and [datetime]::UtcNow -lt $deadline) { }
        "$((Get-LtPeer phone).Kind)" | Should-Be 'WireGuard'
    }

    It 'that reaches the server and other members, and is reached' -Skip:(-not (Get-Command wireguard-go, wg -ErrorAction Ignore)) {
        $pinged = Invoke-Command $bob {
            $env:WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD = '1'
            $process = Start-Process wireguard-go '--foreground', $using:app -PassThru -RedirectStandardOutput wg.log -RedirectStandardError wg.err
            $deadline = [datetime]::UtcNow.AddMinutes(1)
            while (-not (Test-Path "/var/run/wireguard/$using:app.sock") -and [datetime]::UtcNow -lt $deadline) { }
            $using:configuration -split "`n" | Where-Object { $_ -notmatch '^(Address|MTU) = ' } | Set-Content phone.conf
            wg setconf $using:app phone.conf
            ip address add 10.0.0.30/32 dev $using:app
            ip link set $using:app mtu 1400 up
            ip route add 10.0.0.0/24 dev $using:app
            ping -c 1 -w 60 10.0.0.1
            ping -c 1 -w 60 10.0.0.10
        }

        $pinged | Should-Any { $_ -like '*bytes from 10.0.0.1:*' }
        $pinged | Should-Any { $_ -like '*bytes from 10.0.0.10:*' }
        ping -c 1 -w 60 10.0.0.30 | Should-Any { $_ -like '*bytes from*' }
        Invoke-Command $server { ping -c 1 -w 60 10.0.0.30 } | Should-Any { $_ -like '*bytes from*' }
    }

    It 'by a route through the server' -Skip:(-not (Get-Command wireguard-go, wg -ErrorAction Ignore)) {
        $route = Get-LtRoute 10.0.0.30/32
        "$($route.Type) $($route.Reason) $($route.NextHop)" | Should-Be 'Server PlainWireGuard 10.0.0.1'
        $member = Invoke-Command $server { Get-LtMember phone }
        "$($member.State)" | Should-Be 'Online'
    }

    It 'with what it has when the key of the network is changed, and with its next configuration' -Skip:(-not (Get-Command wireguard-go, wg -ErrorAction Ignore)) {
        $next = Invoke-Command $server {
            $null = Update-LtNetworkKey -Confirm:$false -WarningAction Ignore
            "$(New-LtWireGuardClient phone -PublicKey (Get-LtMember phone).PublicKey)"
        }
        $shared = [regex]::Match($next, '(?m)^PresharedKey = (.+)$').Groups[1].Value
        $shared | Should-NotBe ([regex]::Match($configuration, '(?m)^PresharedKey = (.+)$').Groups[1].Value)
        $pinged = Invoke-Command $bob -ArgumentList $shared {
            param($Shared)
            # Imported once more it has no session.
            wg setconf $using:app phone.conf
            [bool] (@(ping -c 1 -w 60 10.0.0.10) -like '*bytes from 10.0.0.10:*')
            (Get-Content phone.conf) -replace '^PresharedKey = .+$', "PresharedKey = $Shared" | Set-Content next.conf
            wg setconf $using:app next.conf
            [bool] (@(ping -c 1 -w 60 10.0.0.10) -like '*bytes from 10.0.0.10:*')
        }

        $pinged | Should-BeCollection @($true, $true)
        Invoke-Command $server { (Get-LtMember phone).HasNetworkKey } | Should-BeTrue
    }

    It 'until it is removed' -Skip:(-not (Get-Command wireguard-go, wg -ErrorAction Ignore)) {
        Invoke-Command $server { Remove-LtMember phone -Confirm:$false }

        Invoke-Command $bob { ping -c 2 -W 1 10.0.0.10 } | Where-Object { $_ -like '*bytes from*' } | Should-BeNull
        Invoke-Command $server { Get-LtMember } | Where-Object Name -eq phone | Should-BeNull
        $entry = Invoke-Command $server { Get-LtLog -Category Audit | Where-Object Subject -eq phone }
        "$($entry.Action)" | Should-Be 'Added ConfigurationRenewed Removed'
    }
}
