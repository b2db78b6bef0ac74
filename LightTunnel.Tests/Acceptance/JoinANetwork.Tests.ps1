param($Machines)

# From nothing to a network and back: the admin at the machine "server", a user at this machine, alice, and one at bob.

BeforeAll {
    $server = $Machines.server
    $bob = $Machines.bob

    function Get-ErrorOf([scriptblock] $Script) {
        try {
            $null = & $Script
        }
        catch {
            return $_
        }

        throw "There was no error: $Script"
    }

    # Nothing of a network is on this machine.
    function Assert-Nothing {
        Get-LtNetwork | Should-BeNull
        ip -brief link | Where-Object { $_ -like 'lt*' } | Should-BeNull
    }
}

AfterAll {
    Get-LtNetwork | Disconnect-LtNetwork
    Invoke-Command $bob { Get-LtNetwork | Disconnect-LtNetwork }
    Invoke-Command $server { Get-LtServer | Stop-LtServer }
}

Describe 'An admin starts a network' {
    It 'and looks first what would happen' {
        Invoke-Command $server { Start-LtServer -Address 10.0.0.1/24 -Name office -WhatIf } | Should-BeNull

        Invoke-Command $server { Get-LtServer } | Should-BeNull
    }

    It 'and sees that it is up' {
        $started = Invoke-Command $server { Start-LtServer -Address 10.0.0.1/24 -Name office -Endpoint 203.0.113.1:9000 }

        "$($started.State)" | Should-Be 'Up'
        $started.Name | Should-Be 'office'
        $started.Address | Should-Be '10.0.0.1/24'
        $started.ListenPort | Should-Be 9000
        $started.PeersOnline | Should-Be 0
        Invoke-Command $server { (Get-LtServer | Where-Object State -eq Up).Name } | Should-Be 'office'
    }

    It 'and is told that it runs already, when trying again' {
        $record = Invoke-Command $server {
            try { Start-LtServer -Address 10.0.0.1/24 -Name office } catch { @{ Id = $_.FullyQualifiedErrorId; Action = $_.ErrorDetails.RecommendedAction } }
        }

        $record.Id | Should-BeLikeString '*,LightTunnel.StartLtServerCommand'
        $record.Action | Should-NotBeWhiteSpaceString
    }

    It 'and invites with one line, which no view shows' {
        $screen = Invoke-Command $server { $script:invitation = New-LtInvitation; $invitation | Out-String -Width 80 }
        $line = Invoke-Command $server { "$invitation" }

        $line | Should-BeLikeString 'lt1:*'
        $screen | Should-NotBeLikeString "*$line*"
        $screen | Should-BeLikeString '*203.0.113.1:9000*'
        $content = ConvertFrom-LtInvitation $line
        $content.Network | Should-Be 'office'
        $content.Prefixes | Should-ContainCollection '10.0.0.0/24'
    }
}

Describe 'A user joins' {
    BeforeAll {
        $line = Invoke-Command $server { "$(New-LtInvitation)" }
    }

    It 'not with a line that was cut off in the mail' {
        $record = Get-ErrorOf { Connect-LtNetwork -Invitation $line.Substring(0, $line.Length - 10) }

        $record.FullyQualifiedErrorId | Should-Be 'InvalidInvitation,LightTunnel.ConnectLtNetworkCommand'
        $record.ErrorDetails.RecommendedAction | Should-NotBeWhiteSpaceString
        Assert-Nothing
    }

    It 'not with the key of another network' {
        $serverKey = (ConvertFrom-LtInvitation $line).ServerKey

        $record = Get-ErrorOf { Connect-LtNetwork -Server 203.0.113.1:9000 -ServerKey $serverKey -NetworkKey (New-LtNetworkKey) -TimeoutSec 3 }

        $record.FullyQualifiedErrorId | Should-BeLikeString '*,LightTunnel.ConnectLtNetworkCommand'
        "$record" | Should-BeLikeString '*203.0.113.1:9000*'
        $record.ErrorDetails.RecommendedAction | Should-BeLikeString '*key*'
        Assert-Nothing
    }

    It 'not with a server that is not there' {
        $astray = Invoke-Command $server { "$(New-LtInvitation -Endpoint 203.0.113.99:9000)" }

        $record = Get-ErrorOf { Connect-LtNetwork $astray -TimeoutSec 1 }

        "$record" | Should-BeLikeString '*203.0.113.99:9000*'
        $record.ErrorDetails.RecommendedAction | Should-NotBeWhiteSpaceString
        Assert-Nothing
    }

    It 'but with the line as it was sent' {
        $network = Connect-LtNetwork -Invitation $line -Address 10.0.0.10 -Name alice -TimeoutSec 60

        $network.State | Should-Be Up
        $network.Address | Should-Be '10.0.0.10/24'
        $network.NetworkName | Should-Be 'office'
        $network.Server | Should-Be '203.0.113.1:9000'
        $network | Should-HaveType ([LightTunnel.LtNetwork])
    }

    It 'and so does bob, from a file' {
        Invoke-Command $bob {
            $using:line | Set-Content invitation.txt
            chmod 600 invitation.txt
            $null = Connect-LtNetwork -InvitationPath invitation.txt -Name bob -TimeoutSec 60
            Remove-Item invitation.txt
        }

        Invoke-Command $bob { (Wait-LtNetwork -TimeoutSec 60).Address } | Should-BeLikeString '10.0.0.*/24'
    }

    It 'and everybody reaches everybody' {
        $bobAddress = Invoke-Command $bob { (Get-LtNetwork).Address.Split('/')[0] }
        $null = Wait-LtPeer bob -TimeoutSec 60

        ping -c 1 -w 60 10.0.0.1 | Should-Any { $_ -like '*bytes from*' }
        ping -c 1 -w 60 $bobAddress | Should-Any { $_ -like '*bytes from*' }
        Invoke-Command $server { ping -c 1 -w 60 10.0.0.10 } | Should-Any { $_ -like '*bytes from*' }
    }
}

Describe 'Everybody leaves' {
    It 'not when only trying out' {
        Disconnect-LtNetwork alice -WhatIf

        (Get-LtNetwork alice).State | Should-Be Up
    }

    It 'and the admin sees who has left' {
        Get-LtNetwork | Disconnect-LtNetwork | Should-BeNull

        Assert-Nothing
        Invoke-Command $server { (Wait-LtPeer alice -Path Offline -TimeoutSec 60).Name } | Should-Be 'alice'
        Invoke-Command $server { (Get-LtLog).Message } | Should-Any { $_ -eq 'Client alice (10.0.0.10) left' }
    }

    It 'and gets the same address when coming back' {
        $line = Invoke-Command $server { "$(New-LtInvitation)" }

        (Connect-LtNetwork $line -Name alice -TimeoutSec 60).Address | Should-Be '10.0.0.10/24'
    }

    It 'but the network is looked for while its server is away' {
        Invoke-Command $server { Stop-LtServer office -WhatIf }
        Invoke-Command $server { (Get-LtServer office).Name } | Should-Be 'office'

        $stopped = Invoke-Command $server { Stop-LtServer office -PassThru }
        "$($stopped.State)" | Should-Be 'Stopped'
        Invoke-Command $server { Get-LtServer } | Should-BeNull
        Invoke-Command $server { ip -brief link } | Should-NotContainCollection 'lt0*'

        $waiting = Wait-LtNetwork alice -State Reconnecting -TimeoutSec 120
        $waiting.LastError | Should-NotBeWhiteSpaceString
        $waiting.Address | Should-Be '10.0.0.10/24'
    }

    It 'and found again' {
        $null = Invoke-Command $server { Start-LtServer -Address 10.0.0.1/24 -Name office -Endpoint 203.0.113.1:9000 }

        (Wait-LtNetwork alice -TimeoutSec 120).Reconnects | Should-BeGreaterThanOrEqual 1
        ping -c 1 -w 60 10.0.0.1 | Should-Any { $_ -like '*bytes from*' }
    }
}
