param($Machines)

# An admin approves who joins, on the server.

BeforeAll {
    $server = $Machines.server
    $bob = $Machines.bob
    $line = Invoke-Command $server {
        $null = Start-LtServer -Address 10.0.0.1/24 -Name office -Endpoint 203.0.113.1:9000 -ListenPort 9000 -RequireApproval
        "$(New-LtInvitation)"
    }
}

AfterAll {
    Get-LtNetwork | Disconnect-LtNetwork
    Invoke-Command $bob { Get-LtNetwork | Disconnect-LtNetwork }
    Invoke-Command $server { Get-LtServer | Stop-LtServer }
}

Describe 'A machine that joins' {
    BeforeAll {
        $network = Connect-LtNetwork $line -Name alice -TimeoutSec 60 -WarningVariable warnings -WarningAction SilentlyContinue
    }

    It 'waits, and its owner is told why and what to do' {
        "$($network.State)" | Should-Be 'AwaitingApproval'
        $network.Address | Should-BeNull
        "$warnings" | Should-BeLikeString '*waits for an administrator*Approve-LtMember*'
        (Get-LtNetwork).LastError | Should-BeLikeString '*waits for an administrator*'
    }

    It 'reaches nobody' {
        Get-LtPeer | Should-BeNull
        ping -c 2 -W 1 10.0.0.1 2>&1 | Where-Object { $_ -like '*bytes from 10.0.0.1*' } | Should-BeNull
    }

    It 'is seen by the admin, whom it joins as soon as he says so' {
        $pending = Invoke-Command $server { Get-LtMember -State Pending }
        "$($pending.Name) $($pending.PublicKey)" | Should-Be "alice $((Get-LtNetwork).PublicKey)"
        Invoke-Command $server { Get-LtMember -State Pending | Approve-LtMember }

        (Wait-LtNetwork alice -TimeoutSec 60).Address | Should-BeLikeString '10.0.0.*/24'
        ping -c 1 -w 60 10.0.0.1 | Should-Any { $_ -like '*bytes from*' }
        Invoke-Command $server { "$((Get-LtMember alice).State), $((Get-LtInvitation).Uses)" } | Should-Be 'Online, 1'
    }

    It 'comes back without anybody, when both were started again' {
        Get-LtNetwork | Disconnect-LtNetwork
        Invoke-Command $server {
            Get-LtServer | Stop-LtServer
            $null = Start-LtServer -Address 10.0.0.1/24 -Name office -Endpoint 203.0.113.1:9000 -ListenPort 9000 -RequireApproval
        }
        "$((Connect-LtNetwork $line -Name alice -TimeoutSec 60).State)" | Should-Be 'Up'
    }
}

Describe 'A machine that is denied' {
    It 'is told so, and is not let in' {
        Invoke-Command $bob { $null = Connect-LtNetwork $using:line -Name bob -TimeoutSec 60 -WarningAction SilentlyContinue }
        Invoke-Command $server { Deny-LtMember bob }
        $deadline = [datetime]::UtcNow.AddMinutes(2)
        do {
            $network = Invoke-Command $bob { Get-LtNetwork }
        } until ($network.LastError -like '*has denied this machine*' -or [datetime]::UtcNow -gt $deadline)

        $network.LastError | Should-BeLikeString '*has denied this machine*'
        Invoke-Command $server { "$((Get-LtMember -State Denied).Name)" } | Should-Be 'bob'
        Get-LtPeer | Where-Object Name -eq bob | Should-BeNull
    }
}
