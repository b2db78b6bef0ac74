param($Machines)

# What a member sees of the network it is in, and what a script makes of it.

BeforeAll {
    $server = $Machines.server
    $bob = $Machines.bob
    $line = Invoke-Command $server {
        $null = Start-LtServer -Address 10.0.0.1/24 -Name office -Endpoint 203.0.113.1:9000
        "$(New-LtInvitation)"
    }
    $null = Connect-LtNetwork $line -Name alice -Address 10.0.0.10 -TimeoutSec 60
    Invoke-Command $bob { $null = Connect-LtNetwork $using:line -Name bob -Address 10.0.0.20 -TimeoutSec 60 }
}

AfterAll {
    Get-LtNetwork | Disconnect-LtNetwork
    Invoke-Command $bob { Get-LtNetwork | Disconnect-LtNetwork }
    Invoke-Command $server { Get-LtServer | Stop-LtServer }
}

Describe 'A member looks around' {
    BeforeEach {
        $null = Wait-LtPeer bob -Path Direct -TimeoutSec 120
    }

    It 'and sees the others, with values to compute with' {
        $peers = Get-LtPeer

        $peers.Name | Sort-Object | Should-BeCollection @('bob', 'office')
        $peers | Should-All { $_ -is [LightTunnel.LtPeer] }
        ($peers | Where-Object IsServer).Address | Should-Be '10.0.0.1'
        $bobSeen = Get-LtPeer bob
        $bobSeen.Address | Should-Be '10.0.0.20'
        $bobSeen.Path | Should-Be Direct
        $bobSeen.RTT | Should-HaveType ([timespan])
        ($peers | Measure-Object Rx -Sum).Sum | Should-BeGreaterThan 0
    }

    It 'and how each destination is reached' {
        $route = Get-LtRoute 10.0.0.20

        $route | Should-HaveType ([LightTunnel.LtRoute])
        $route.Destination | Should-Be '10.0.0.20/32'
        $route.Type | Should-Be Direct
        $route.Peer | Should-Be 'bob'
        $route.Endpoint | Should-BeLikeString '*:*'
        $route.State | Should-Be Up
    }

    It 'and nobody who is relayed' {
        Get-LtRoute | Where-Object Type -eq Server | Should-BeNull
    }

    It 'and goes from one thing to the other in a pipeline' {
        (Get-LtRoute 10.0.0.20 | Get-LtPeer).Name | Should-Be 'bob'
        (Get-LtPeer bob | Get-LtRoute).Destination | Should-Be '10.0.0.20/32'
        (Get-LtNetwork | Get-LtPeer b*).Name | Should-Be 'bob'
        (Get-LtPeer | Sort-Object Name | Select-Object -First 1 -ExpandProperty Address) | Should-Be '10.0.0.20'
        (Get-LtPeer | Group-Object Path -NoElement).Count | Should-BeGreaterThanOrEqual 1
    }

    It 'and takes it elsewhere' {
        (Get-LtPeer | ConvertTo-Csv | ConvertFrom-Csv).Name | Sort-Object | Should-BeCollection @('bob', 'office')
        $status = Get-LtStatus -AsJson | ConvertFrom-Json
        $status.schema | Should-Be 1
        $status.tunnels[0].state | Should-Be 'Up'
        $status.tunnels[0].peers.name | Sort-Object | Should-BeCollection @('bob', 'office')
    }

    It 'on a screen of 80 columns' {
        foreach ($command in 'Get-LtStatus', 'Get-LtNetwork', 'Get-LtPeer', 'Get-LtRoute') {
            $lines = (& $command | Out-String -Width 80) -split '\r?\n'

            $lines | Should-Any { $_ -match '10\.0\.0\.1' }
            $lines | Should-All { $_.TrimEnd().Length -le 80 }
        }
    }

    It 'and in the log, by level and by number' {
        $entries = Get-LtLog alice -Tail 2

        $entries.Count | Should-Be 2
        $entries | Should-All { $_ -is [LightTunnel.LtLogEntry] }
        Get-LtLog -Level Error | Should-BeNull
    }
}

Describe 'The admin looks at the server' {
    It 'and sees who is there' {
        Invoke-Command $server { (Get-LtServer).PeersOnline } | Should-Be 2
        Invoke-Command $server { $null = Wait-LtPeer alice, bob -Path Direct -TimeoutSec 120 }
        Invoke-Command $server { (Get-LtPeer | Where-Object Path -ne Offline).Name } | Sort-Object | Should-BeCollection @('alice', 'bob')
        Invoke-Command $server { (Get-LtServer | Get-LtRoute | Where-Object Type -eq Direct).Destination } |
            Sort-Object | Should-BeCollection @('10.0.0.10/32', '10.0.0.20/32')
    }
}

Describe 'Tab, in a network' {
    It 'knows who is there: <Line>' -ForEach @(
        @{ Line = 'Get-LtNetwork al'; Completion = 'alice' }
        @{ Line = 'Get-LtPeer bo'; Completion = 'bob' }
        @{ Line = 'Test-LtP2P 10.0.0.2'; Completion = '10.0.0.20' }
        @{ Line = 'Get-LtRoute 10.0.0.2'; Completion = '10.0.0.20/32' }
        @{ Line = 'Disconnect-LtNetwork '; Completion = 'alice' }
    ) {
        (TabExpansion2 -inputScript $Line -cursorColumn $Line.Length).CompletionMatches.CompletionText | Should-ContainCollection $Completion
    }
}

Describe 'Another session of the machine' {
    BeforeAll {
        $modulePath = Join-Path (Get-Module LightTunnel).ModuleBase 'LightTunnel.psd1'
    }

    It 'sees the tunnel and takes it down' {
        $elsewhere = Start-Job {
            Import-Module $using:modulePath
            (Get-LtNetwork).Name
            Get-LtNetwork | Disconnect-LtNetwork -Confirm:$false
        } | Receive-Job -Wait -AutoRemoveJob

        $elsewhere | Should-Be 'alice'
        Get-LtNetwork | Should-BeNull
    }
}
