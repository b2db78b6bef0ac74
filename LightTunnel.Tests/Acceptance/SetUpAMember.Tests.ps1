param($Machines)

# An admin gives a member a name, an address and groups, on the server, while it is online.

BeforeAll {
    $server = $Machines.server
    $bob = $Machines.bob
    $line = Invoke-Command $server {
        $null = Start-LtServer -Address 10.0.0.1/24 -Name office -Endpoint 203.0.113.1:9000 -ListenPort 9000
        "$(New-LtInvitation)"
    }
    $null = Connect-LtNetwork $line -Name alice -Address 10.0.0.10 -TimeoutSec 60
    Invoke-Command $bob { $null = Connect-LtNetwork $using:line -Name bob -Address 10.0.0.20 -TimeoutSec 60 }
    $null = Wait-LtPeer bob -TimeoutSec 120
}

AfterAll {
    Get-LtNetwork | Disconnect-LtNetwork
    Invoke-Command $bob { Get-LtNetwork | Disconnect-LtNetwork }
    Invoke-Command $server { Get-LtServer | Stop-LtServer }
}

Describe 'An admin sets up a member' {
    It 'with groups, which the member list shows' {
        Invoke-Command $server { Set-LtMember bob -Group Servers, office }

        $groups = Invoke-Command $server { (Get-LtMember bob).Groups }
        $groups | Should-BeCollection @('office', 'servers')
    }

    It 'with a name, which others know it by' {
        Invoke-Command $server { Rename-LtMember bob store }

        (Wait-LtPeer store -TimeoutSec 120).Address | Should-Be '10.0.0.20'
        Get-LtPeer | Where-Object Name -eq bob | Should-BeNull
    }

    It 'with an address, at which others reach it' {
        Invoke-Command $server { Get-LtMember store | Set-LtMember -Address 10.0.0.50 }

        # What nobody is known to have is refused at once, which ends a ping.
        $null = Wait-LtPeer 10.0.0.50 -TimeoutSec 120
        ping -c 1 -w 60 10.0.0.50 | Should-Any { $_ -like '*bytes from*' }
        (Get-LtPeer store).Address | Should-Be '10.0.0.50'
        (Invoke-Command $bob { Wait-LtNetwork -TimeoutSec 60 }).Address | Should-Be '10.0.0.50/24'
    }

    It 'not with an address that is taken' {
        $record = Invoke-Command $server {
            try { Set-LtMember store -Address 10.0.0.10 -ErrorAction Stop } catch { @{ Id = $_.FullyQualifiedErrorId; Text = "$_" } }
        }

        $record.Id | Should-Be 'AddressTaken,LightTunnel.SetLtMemberCommand'
        $record.Text | Should-BeLikeString '*10.0.0.10 belongs to alice*'
    }

    It 'which keeps all of it, whatever it asks for, when both were started again' {
        Invoke-Command $bob { Get-LtNetwork | Disconnect-LtNetwork }
        Invoke-Command $server {
            Get-LtServer | Stop-LtServer
            $null = Start-LtServer -Address 10.0.0.1/24 -Name office -Endpoint 203.0.113.1:9000 -ListenPort 9000
        }
        $network = Invoke-Command $bob { Connect-LtNetwork $using:line -Name bob -Address 10.0.0.20 -TimeoutSec 60 }

        $network.Address | Should-Be '10.0.0.50/24'
        $member = Invoke-Command $server { Get-LtMember store }
        "$($member.Address) $($member.Groups)" | Should-Be '10.0.0.50 office servers'
    }

    It 'with an end, at which it is out, and says why' {
        Invoke-Command $server { Set-LtMember store -ExpiresIn 00:00:03 }
        $deadline = [datetime]::UtcNow.AddMinutes(2)
        do {
            $network = Invoke-Command $bob { Get-LtNetwork }
        } until ($network.LastError -like '*has ended*' -or [datetime]::UtcNow -gt $deadline)
        while ((Get-LtPeer | Where-Object Name -eq store) -and [datetime]::UtcNow -lt $deadline) { }

        $network.LastError | Should-BeLikeString "*This machine's membership of the network has ended*Set-LtMember -ExpiresIn*"
        Get-LtPeer | Where-Object Name -eq store | Should-BeNull
        Invoke-Command $server { "$((Get-LtMember store).State)" } | Should-Be 'Expired'
    }

    It 'until it is prolonged' {
        Invoke-Command $server { Set-LtMember store -ExpiresIn 30.00:00 }
        Invoke-Command $bob {
            Get-LtNetwork | Disconnect-LtNetwork
            $null = Connect-LtNetwork $using:line -Name bob -TimeoutSec 60
        }

        (Wait-LtPeer store -TimeoutSec 120).Address | Should-Be '10.0.0.50'
        Invoke-Command $server { (Get-LtMember store).Expires -gt [datetimeoffset]::UtcNow.AddDays(29) } | Should-BeTrue
    }
}
