param($Machines)

# A machine that others know comes back with another key: nobody talks with it until its fingerprint was compared.

BeforeAll {
    $server = $Machines.server
    $bob = $Machines.bob
    $line = Invoke-Command $server {
        $null = Start-LtServer -Address 10.0.0.1/24 -Name office -Endpoint 203.0.113.1:9000
        "$(New-LtInvitation)"
    }
    $null = Connect-LtNetwork $line -Name alice -Address 10.0.0.10 -TimeoutSec 60
    Invoke-Command $bob { $null = Connect-LtNetwork $using:line -Name bob -Address 10.0.0.20 -TimeoutSec 60 }
    $null = Wait-LtPeer bob -Path Direct -TimeoutSec 120
    ping -c 1 -w 60 10.0.0.20 | Should-Any { $_ -like '*bytes from*' }
    $known = (Get-LtPeer bob).Fingerprint

    # The machine is made anew: its admin gives its name and address free, and it joins with another key.
    Invoke-Command $bob { Get-LtNetwork | Disconnect-LtNetwork }
    Invoke-Command $server { Remove-LtMember bob }
    $state = Invoke-Command $bob {
        $state = Join-Path ([IO.Path]::GetTempPath()) "lighttunnel-$(New-Guid)"
        $null = Connect-LtNetwork $using:line -Name bob -Address 10.0.0.20 -StatePath $state -TimeoutSec 60
        $state
    }
    $deadline = [datetime]::UtcNow.AddMinutes(2)
    do { $peer = Get-LtPeer | Where-Object Name -eq bob } until ($peer.PathReason -eq 'KeyChanged' -or [datetime]::UtcNow -gt $deadline)
}

AfterAll {
    Get-LtNetwork | Disconnect-LtNetwork
    Invoke-Command $bob {
        Get-LtNetwork | Disconnect-LtNetwork
        Remove-Item $using:state -Recurse -Force
    }
    Invoke-Command $server { Get-LtServer | Stop-LtServer }
}

Describe 'A member with another key than before' {
    It 'is shown, and reached by nobody who knew it' {
        "$($peer.PathReason)" | Should-Be 'KeyChanged'
        "$($peer.Path)" | Should-Be 'Offline'
        ping -c 2 -W 1 10.0.0.20 | Where-Object { $_ -like '*bytes from 10.0.0.20*' } | Should-BeNull
        Invoke-Command $bob { ping -c 2 -W 1 10.0.0.10 } | Where-Object { $_ -like '*bytes from 10.0.0.10*' } | Should-BeNull
    }

    It 'is told in the security log, with what to do' {
        (Get-LtLog -Category Security -Tail 1).Message | Should-BeLikeString 'KeyChanged: The key of bob (10.0.0.20) is *Confirm-LtMember bob'
    }

    It 'has the fingerprint here that its owner sees there' {
        $there = Invoke-Command $bob { (Get-LtNetwork).Fingerprint }

        $peer.Fingerprint | Should-Be $there
        $peer.Fingerprint | Should-NotBe $known
    }

    It 'is not believed with another fingerprint' {
        $failure = $null
        Confirm-LtMember bob -Fingerprint $known -ErrorVariable failure -ErrorAction SilentlyContinue

        $failure[0].Exception.Message | Should-BeLikeString "*has the fingerprint $($peer.Fingerprint), not $known*"
        "$((Get-LtPeer bob).PathReason)" | Should-Be 'KeyChanged'
    }

    It 'is a member again when it was confirmed' {
        $peer | Confirm-LtMember
        $null = Wait-LtPeer bob -Path Direct -TimeoutSec 120

        ping -c 1 -w 60 10.0.0.20 | Should-Any { $_ -like '*bytes from*' }
        Invoke-Command $bob { ping -c 1 -w 60 10.0.0.10 } | Should-Any { $_ -like '*bytes from*' }
    }
}
