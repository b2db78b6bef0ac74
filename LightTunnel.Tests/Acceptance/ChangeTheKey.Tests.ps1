param($Machines)

# An admin changes a network's key: members under traffic follow, one that was away comes in later, and what was copied before is worth nothing.

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
    ping -c 1 -w 60 10.0.0.20 | Should-Any { $_ -like '*bytes from*' }
}

AfterAll {
    Get-LtNetwork | Disconnect-LtNetwork
    Invoke-Command $bob { Get-LtNetwork | Disconnect-LtNetwork }
    Invoke-Command $server { Get-LtServer | Stop-LtServer }
}

Describe 'An admin changes the key of a network' {
    BeforeAll {
        Invoke-Command $bob { Get-LtNetwork | Disconnect-LtNetwork }
        $ping = Start-Job { ping -i 0.1 -c 40 -w 120 10.0.0.1 }
        while (-not ($ping | Receive-Job -Keep | Where-Object { $_ -like '*bytes from*' })) { }
        $change = Invoke-Command $server {
            $change = Update-LtNetworkKey -Confirm:$false -WarningAction Ignore
            "$($change.MembersFollowed); $($change.MembersWaiting); $($change.InvitationsEnded.Count); $([bool]$change.GraceEnds)"
        }
        $pinged = $ping | Receive-Job -Wait -AutoRemoveJob
    }

    It 'which members that are online follow' {
        $change | Should-Be 'alice; bob; 1; True'
    }

    It 'without losing a packet' {
        # Pings go on until 40 are answered, so on a slow machine some more are sent.
        $answered = $pinged | Select-String 'bytes from .* icmp_seq=(\d+)' | ForEach-Object { [int]$_.Matches[0].Groups[1].Value }
        @(1..40 | Where-Object { $_ -notin $answered }) -join ', ' | Should-Be ''
    }

    It 'while others have time, as can be seen' {
        Invoke-Command $server { "$((Get-LtMember alice).HasNetworkKey), $((Get-LtMember bob).HasNetworkKey)" } | Should-Be 'True, False'
    }

    It 'and who did it is in the audit log' {
        $entry = Invoke-Command $server { Get-LtLog -Category Audit -Tail 1 }
        "$($entry.Action) $($entry.Subject)" | Should-Be 'NetworkKeyChanged office'
    }

    It 'and an invitation of before admits nobody' {
        $record = Invoke-Command $bob -ArgumentList $line {
            param($Line)
            $state = Join-Path ([IO.Path]::GetTempPath()) "mallory$PID"
            try { Connect-LtNetwork $Line -Name mallory -StatePath $state -TimeoutSec 60 }
            catch { @{ Id = $_.FullyQualifiedErrorId; Action = $_.ErrorDetails.RecommendedAction } }
            Remove-Item $state -Recurse -Force
        }
        $record.Id | Should-Be 'InvalidKey,LightTunnel.ConnectLtNetworkCommand'
        $record.Action | Should-BeLikeString '*New-LtInvitation*'
        Invoke-Command $server { (Get-LtMember).Name } | Should-BeCollection @('alice', 'bob')
    }

    It 'and a member that was away comes in, with what it was started with before' {
        Invoke-Command $bob { $null = Connect-LtNetwork $using:line -Name bob -TimeoutSec 60 }
        $null = Wait-LtPeer bob -TimeoutSec 120
        ping -c 1 -w 60 10.0.0.20 | Should-Any { $_ -like '*bytes from*' }
        $deadline = [datetime]::UtcNow.AddMinutes(2)
        do {
            $has = Invoke-Command $server { (Get-LtMember bob).HasNetworkKey }
        } until ($has -or [datetime]::UtcNow -gt $deadline)
        $has | Should-BeTrue
    }

    It 'also when the server was started again, and both were' {
        Get-LtNetwork | Disconnect-LtNetwork
        Invoke-Command $bob { Get-LtNetwork | Disconnect-LtNetwork }
        Invoke-Command $server {
            Get-LtServer | Stop-LtServer
            $null = Start-LtServer -Address 10.0.0.1/24 -Name office -Endpoint 203.0.113.1:9000 -ListenPort 9000
        }
        $null = Connect-LtNetwork $line -Name alice -TimeoutSec 60
        Invoke-Command $bob { $null = Connect-LtNetwork $using:line -Name bob -TimeoutSec 60 }
        ping -c 1 -w 60 10.0.0.20 | Should-Any { $_ -like '*bytes from*' }
        Invoke-Command $server { (Get-LtMember).HasNetworkKey } | Should-BeCollection @($true, $true)
    }
}
