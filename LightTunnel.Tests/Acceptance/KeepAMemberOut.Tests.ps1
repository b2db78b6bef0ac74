param($Machines)

# An admin looks at the members of a network, and keeps one of them out, on the server; the others go on.

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
}

AfterAll {
    Get-LtNetwork | Disconnect-LtNetwork
    Invoke-Command $bob { Get-LtNetwork | Disconnect-LtNetwork }
    Invoke-Command $server { Get-LtServer | Stop-LtServer }
}

Describe 'An admin looks at members' {
    It 'and sees who they are, since when, and with what' {
        $members = Invoke-Command $server { Get-LtMember }

        $members.Name | Should-BeCollection @('alice', 'bob')
        $alice = $members | Where-Object Name -eq alice
        $alice.Address | Should-Be '10.0.0.10'
        "$($alice.State)" | Should-Be 'Online'
        $alice.Version | Should-NotBeNull
        $alice.System | Should-BeLikeString 'Linux *'
        $alice.Endpoint | Should-BeLikeString '*:*'
        $alice.PublicKey | Should-Be (Get-LtNetwork).PublicKey
    }
}

Describe 'An admin keeps a member out' {
    BeforeAll {
        ping -c 1 -w 60 10.0.0.20 | Should-Any { $_ -like '*bytes from*' }
        Invoke-Command $server { Block-LtMember bob }
        $deadline = [datetime]::UtcNow.AddMinutes(2)
        while ((Get-LtPeer | Where-Object Name -eq bob) -and [datetime]::UtcNow -lt $deadline) { }
    }

    It 'whom the others do not know any more, nor reach' {
        Get-LtPeer | Where-Object Name -eq bob | Should-BeNull
        ping -c 2 -W 1 10.0.0.20 | Where-Object { $_ -like '*bytes from 10.0.0.20*' } | Should-BeNull
        Invoke-Command $server { ping -c 2 -W 1 10.0.0.20 } | Where-Object { $_ -like '*bytes from 10.0.0.20*' } | Should-BeNull
        Invoke-Command $bob { ping -c 2 -W 1 10.0.0.1; ping -c 2 -W 1 10.0.0.10 } |
            Where-Object { $_ -like '*bytes from 10.0.0.1*' } | Should-BeNull
    }

    It 'which that machine says in words' {
        $deadline = [datetime]::UtcNow.AddMinutes(2)
        do {
            $network = Invoke-Command $bob { Get-LtNetwork }
        } until ($network.LastError -or [datetime]::UtcNow -gt $deadline)

        $network.LastError | Should-BeLikeString '*has blocked this machine*'
    }

    It 'while the others go on' {
        ping -c 1 -w 60 10.0.0.1 | Should-Any { $_ -like '*bytes from*' }
    }

    It 'and the audit log says who did it' {
        $entry = Invoke-Command $server { Get-LtLog -Category Audit -Tail 1 }

        "$($entry.Action) $($entry.Subject)" | Should-Be 'Blocked bob'
        $entry.By | Should-BeLikeString 'root*'
        $entry.Message | Should-BeLikeString 'bob (10.0.0.20) with the key * was blocked on this machine by root*'
    }

    It 'also when the server was started again' {
        Invoke-Command $server {
            Get-LtServer | Stop-LtServer
            $null = Start-LtServer -Address 10.0.0.1/24 -Name office -Endpoint 203.0.113.1:9000 -ListenPort 9000
        }
        $null = Wait-LtNetwork -TimeoutSec 120
        $state = Invoke-Command $server { "$((Get-LtMember bob).State)" }
        $state | Should-Be 'Blocked'
        $connected = Invoke-Command $bob {
            Get-LtNetwork | Disconnect-LtNetwork
            try { $null = Connect-LtNetwork $using:line -Name bob -Address 10.0.0.20 -TimeoutSec 5; $true } catch { $false }
        }
        $connected | Should-BeFalse
        Get-LtPeer | Where-Object Name -eq bob | Should-BeNull
    }

    It 'until it is let in again, without anything' {
        Invoke-Command $server { Unblock-LtMember bob }
        Invoke-Command $bob { $null = Connect-LtNetwork $using:line -Name bob -TimeoutSec 60 }

        (Wait-LtPeer bob -TimeoutSec 120).Address | Should-Be '10.0.0.20'
        ping -c 1 -w 60 10.0.0.20 | Should-Any { $_ -like '*bytes from*' }
    }
}
