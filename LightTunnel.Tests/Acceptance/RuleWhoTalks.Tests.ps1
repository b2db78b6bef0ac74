param($Machines)

# An admin says on the server who may begin to talk to whom; members enforce it, while connections that stay allowed go on.

BeforeAll {
    $server = $Machines.server
    $bob = $Machines.bob
    $line = Invoke-Command $server {
        $null = Start-LtServer -Address 10.0.0.1/24 -Name office -Endpoint 203.0.113.1:9000 -ListenPort 9000
        "$(New-LtInvitation)"
    }
    $null = Connect-LtNetwork $line -Name alice -Address 10.0.0.10 -TimeoutSec 60
    Invoke-Command $bob { $null = Connect-LtNetwork $using:line -Name bob -Address 10.0.0.20 -TimeoutSec 60 }
    $null = Wait-LtPeer bob -Path Direct -TimeoutSec 120

    # Two services of bob's, which say something to whoever comes.
    Invoke-Command $bob {
        $global:listeners = foreach ($port in 8022, 8080) {
            $listener = [Net.Sockets.TcpListener]::new([Net.IPAddress]::Any, $port)
            $listener.Start()
            $listener
        }
    }

    # A connection, or why there is none.
    function Open([int] $Port) {
        $client = [Net.Sockets.TcpClient]::new()
        try {
            if ($client.ConnectAsync('10.0.0.20', $Port).Wait([timespan]::FromSeconds(60))) { return $client }
            'nobody answers'
        }
        catch {
            "$($_.Exception.GetBaseException().SocketErrorCode)"
        }
    }

    # Waits until a rule has reached this machine.
    function Wait-Rules([int] $Count) {
        $deadline = [datetime]::UtcNow.AddMinutes(2)
        while (@(Get-LtRule).Count -ne $Count -and [datetime]::UtcNow -lt $deadline) { }
        @(Get-LtRule).Count | Should-Be $Count
    }
}

AfterAll {
    Invoke-Command $bob { $global:listeners | ForEach-Object Stop }
    Get-LtNetwork | Disconnect-LtNetwork
    Invoke-Command $bob { Get-LtNetwork | Disconnect-LtNetwork }
    Invoke-Command $server { Get-LtServer | Stop-LtServer }
}

Describe 'A rule forbids a port' {
    BeforeAll {
        $before = Open 8080
        Invoke-Command $server { $null = New-LtRule alice bob -Protocol Tcp -Port 8022 -Action Deny -Name 'no ssh' }
        Wait-Rules 1
    }

    It 'which is refused at once, where the connection is made' {
        Open 8022 | Should-Be 'HostUnreachable'
        (Get-LtRule).Dropped | Should-BeGreaterThan 0
    }

    It 'while other ports are as they were, and connections go on' {
        $after = Open 8080
        $after.Connected | Should-BeTrue
        $after.Dispose()
        $served = Invoke-Command $bob { $client = $global:listeners[1].AcceptTcpClient(); $client.GetStream().WriteByte(42); 'sent' }
        $served | Should-Be 'sent'
        $before.GetStream().ReadByte() | Should-Be 42
        $before.Dispose()
    }

    It 'and the server says which rule that is' {
        Invoke-Command $server { Test-LtRule alice bob -Port 8022 | ForEach-Object { "$($_.Action) by $($_.Rule.Name)" } } |
            Should-Be 'Deny by no ssh'
        Invoke-Command $server { "$((Test-LtRule bob alice -Port 8022).Action)" } | Should-Be 'Allow'
    }

    It 'which another process of the server sees as well' {
        Invoke-Command $server {
            $dotnet = (Get-Process -Id $PID).Path
            $pwsh = [Environment]::GetCommandLineArgs()[0]
            $module = Join-Path (Get-Module LightTunnel).ModuleBase LightTunnel.psd1
            & $dotnet $pwsh -NoProfile -Command "Import-Module '$module'; (Get-LtRule).Name"
        } | Should-Be 'no ssh'
    }

    It 'until it is changed, which acts by itself' {
        Invoke-Command $server { Set-LtRule 10 -Enabled $false }
        Wait-Rules 0
        $client = Open 8022
        $client.Connected | Should-BeTrue
        $client.Dispose()
    }
}

Describe 'A set of rules is a file' {
    BeforeAll {
        $file = Join-Path ([IO.Path]::GetTempPath()) "rules-$PID.yaml"
    }

    AfterAll {
        Remove-Item $file -ErrorAction Ignore
    }

    It 'that comes back as it was' {
        Invoke-Command $server {
            Set-LtRule 10 -Enabled $true
            Export-LtRule $using:file
            $before = Export-LtRule
            Get-LtRule | Remove-LtRule
            Import-LtRule $using:file
            (Export-LtRule) -eq $before
        } | Should-BeTrue
    }

    It 'whose difference is shown before it acts, and whose mistakes are named' {
        Invoke-Command $server {
            (Get-Content $using:file -Raw).Replace('8022', '80222') | Set-Content $using:file -NoNewline
            Import-LtRule $using:file -ErrorVariable wrong -ErrorAction SilentlyContinue
            "$wrong"
        } | Should-BeLikeString "*rules-$PID.yaml, line 8: '80222' is no port*"
        Invoke-Command $server { (Get-LtRule).Port } | ForEach-Object { "$_" } | Should-Be '8022'
    }

    It 'and a group says for whom it is' {
        Invoke-Command $server {
            Get-LtRule | Remove-LtRule
            Set-LtMember alice -Group guests
            $null = New-LtRule group:guests * -Protocol Tcp -Action Deny
        }
        Wait-Rules 2 # For what comes in, and for what goes out.
        Open 8080 | Should-Be 'HostUnreachable'
    }
}
