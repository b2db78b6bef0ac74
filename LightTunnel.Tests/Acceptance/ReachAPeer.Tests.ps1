param($Machines)

# How a peer is reached, why not better, and what a script does about it. Policies make the paths that are looked at.

BeforeAll {
    $server = $Machines.server
    $bob = $Machines.bob
    $line = Invoke-Command $server {
        $null = Start-LtServer -Address 10.0.0.1/24 -Name office -Endpoint 203.0.113.1:9000
        "$(New-LtInvitation)"
    }
    $network = Connect-LtNetwork $line -Name alice -Address 10.0.0.10 -TimeoutSec 60
    Invoke-Command $bob { $null = Connect-LtNetwork $using:line -Name bob -Address 10.0.0.20 -TimeoutSec 60 }
}

AfterAll {
    Get-LtNetwork | Disconnect-LtNetwork
    Invoke-Command $bob { Get-LtNetwork | Disconnect-LtNetwork }
    Invoke-Command $server { Get-LtServer | Stop-LtServer }
}

Describe 'A peer that is reached directly' {
    It 'is waited for' {
        $peer = Wait-LtPeer bob -Path Direct -TimeoutSec 120

        $peer.Name | Should-Be 'bob'
        $peer.Path | Should-Be Direct
        (Get-LtRoute 10.0.0.20 | Wait-LtPeer -TimeoutSec 120).Name | Should-Be 'bob'
    }

    It 'passes the test, with its round trip' {
        $result = Test-LtP2P bob

        $result | Should-HaveType ([LightTunnel.LtP2PResult])
        $result.P2P | Should-BeTrue
        $result.Result | Should-Be Direct
        $result.RTTAvg | Should-BeGreaterThan ([timespan]::Zero)
        $result.RecommendedAction | Should-BeNull
        $result.Candidates | Should-Any { $_.InUse }
        Test-LtP2P bob -Quiet | Should-BeTrue
    }
}

Describe 'A peer that is relayed' {
    BeforeAll {
        Register-ObjectEvent $network RouteChanged -SourceIdentifier changed
        Set-LtPeer bob -PathPolicy RelayOnly
        $null = Wait-LtPeer bob -Path Server -TimeoutSec 120
    }

    It 'is found by its type' {
        $relayed = @(Get-LtRoute | Where Type -eq Server)

        $relayed.Count | Should-Be 1
        $relayed[0].Peer | Should-Be 'bob'
        $relayed[0].NextHop | Should-Be '10.0.0.1'
    }

    It 'fails the test, which is no error, and says why and what to do' {
        $result = Get-LtRoute | Where-Object Type -eq Server | Test-LtP2P

        $result.Peer | Should-Be 'bob'
        $result.P2P | Should-BeFalse
        $result.Result | Should-Be Relayed
        $result.ReasonText | Should-NotBeWhiteSpaceString
        $result.RecommendedAction | Should-BeLikeString '*PathPolicy*'
        Test-LtP2P bob -Count 1 -Quiet | Should-BeFalse
    }

    It 'is reached all the same' {
        ping -c 1 -w 60 10.0.0.20 | Should-Any { $_ -like '*bytes from*' }
    }

    It 'was an event' {
        do {
            $event = Wait-Event changed -Timeout 60
            $event | Should-NotBeNull
            $event | Remove-Event
        } until ($event.SourceEventArgs.Change.Peer -eq 'bob' -and $event.SourceEventArgs.Change.Type -eq 'Server')

        $event.SourceEventArgs.Change.OldType | Should-NotBe Server
    }

    It 'is watched by a script until it is direct again' {
        Set-LtPeer bob -PathPolicy Auto

        $change = Watch-LtRoute 10.0.0.20 | Where-Object Type -eq Direct | Select-Object -First 1

        $change.Peer | Should-Be 'bob'
        $change | Should-HaveType ([LightTunnel.LtRouteChange])
    }

    AfterAll {
        Unregister-Event changed
    }
}

Describe 'A peer that is away' {
    BeforeAll {
        Invoke-Command $bob { Disconnect-LtNetwork bob }
        $null = Wait-LtPeer bob -Path Offline -TimeoutSec 120
    }

    It 'is seen as such' {
        (Get-LtRoute | Where-Object Peer -eq bob).Type | Should-Be Offline
        (Get-LtPeer bob).PathReasonText | Should-NotBeWhiteSpaceString
    }

    It 'is not waited for longer than was said' {
        $record = $null
        try { Wait-LtPeer bob -Path Direct -TimeoutSec 1 } catch { $record = $_ }

        $record.FullyQualifiedErrorId | Should-Be 'TimedOut,LightTunnel.WaitLtPeerCommand'
        "$record" | Should-BeLikeString '*bob*Offline*'
        $record.ErrorDetails.RecommendedAction | Should-NotBeWhiteSpaceString
    }

    It 'is unreachable for the test' {
        $result = Test-LtP2P bob -Count 1 -TimeoutSec 3

        $result.Result | Should-Be Unreachable
        $result.P2P | Should-BeFalse
    }

    It 'gives its name and address up, when the admin removes it' {
        Invoke-Command $server {
            $null = Wait-LtPeer bob -Path Offline -TimeoutSec 120
            Remove-LtMember bob -WhatIf
            (Get-LtPeer bob).Name
            Remove-LtMember bob -Confirm:$false
        } | Should-Be 'bob'

        Invoke-Command $server { @(Get-LtPeer | Where-Object Name -eq bob).Count } | Should-Be 0
    }
}

Describe 'The network itself' {
    It 'is tested: server, NAT, MTU' {
        $result = Test-LtNetwork alice

        $result.ServerReachable | Should-BeTrue
        $result.Server | Should-Be '203.0.113.1:9000'
        $result.RTTAvg | Should-BeGreaterThan ([timespan]::Zero)
        $result.Mtu | Should-Be 1400
    }
}
