param($Machines)

BeforeAll {
    $server = $Machines.server
    $bob = $Machines.bob
    $key = "$(New-LtNetworkKey)"
    $start = {
        param($Key)
        $null = Start-LtServer -Address 10.0.0.1/24 -Name office -Endpoint 203.0.113.1:9000 -NetworkKey $Key
    }
    Invoke-Command $server $start -ArgumentList $key
    $serverKey = Invoke-Command $server { (Get-LtServer).PublicKey }
}

AfterAll {
    Get-LtNetwork | Disconnect-LtNetwork
    Invoke-Command $server { Get-LtServer | Stop-LtServer }
}

Describe 'An admin invites one machine' {
    BeforeAll {
        $line = Invoke-Command $server { "$(New-LtInvitation -Name 'laptop of Alice' -MaxUses 1 -ExpiresIn 01:00)" }
    }

    It 'which joins' {
        (Connect-LtNetwork $line -Name alice -TimeoutSec 60 -WarningAction Ignore).Address | Should-BeLikeString '10.0.0.*/24'
    }

    It 'and sees that it came' {
        $invitation = Invoke-Command $server { Get-LtInvitation 'laptop of Alice' }

        "$($invitation.State), $($invitation.Uses) of $($invitation.MaxUses), $($invitation.Members)" | Should-Be 'UsedUp, 1 of 1, alice'
    }

    It 'and no other one' {
        $record = Invoke-Command $bob -ArgumentList $line {
            param($Line)
            try { Connect-LtNetwork $Line -Name bob -TimeoutSec 60 -WarningAction Ignore }
            catch { @{ Id = $_.FullyQualifiedErrorId; Text = "$_"; Action = $_.ErrorDetails.RecommendedAction } }
        }

        $record.Id | Should-Be 'InvitationRefused,LightTunnel.ConnectLtNetworkCommand'
        $record.Text | Should-BeLikeString '*used up*'
        $record.Action | Should-BeLikeString '*New-LtInvitation*'
    }

    It 'which is not admitted by the key of the network alone' {
        $record = Invoke-Command $bob -ArgumentList $serverKey, $key {
            param($ServerKey, $Key)
            try { Connect-LtNetwork -Server 203.0.113.1:9000 -ServerKey $ServerKey -NetworkKey $Key -Name bob -TimeoutSec 60 }
            catch { @{ Id = $_.FullyQualifiedErrorId; Action = $_.ErrorDetails.RecommendedAction } }
        }

        $record.Id | Should-Be 'InvitationRefused,LightTunnel.ConnectLtNetworkCommand'
        $record.Action | Should-BeLikeString '*invitation*'
        Invoke-Command $server { (Get-LtPeer).Name } | Should-BeCollection @('alice')
    }
}

Describe 'An admin takes an invitation back' {
    It 'not when only trying out' {
        Invoke-Command $server { $script:open = New-LtInvitation; Remove-LtInvitation $open.Id -WhatIf }

        Invoke-Command $server { "$((Get-LtInvitation $open.Id).State)" } | Should-Be 'Active'
    }

    It 'and it admits nobody any more' {
        $line = Invoke-Command $server { $open | Remove-LtInvitation; "$open" }
        $record = Invoke-Command $bob -ArgumentList $line {
            param($Line)
            try { Connect-LtNetwork $Line -Name bob -TimeoutSec 60 -WarningAction Ignore } catch { "$_" }
        }

        $record | Should-BeLikeString '*taken back*'
    }
}

Describe 'An admin says what becomes of who comes' {
    BeforeAll {
        $line = Invoke-Command $server { "$(New-LtInvitation -Group Build -Address 10.0.0.50 -Ephemeral)" }
        $network = Invoke-Command $bob { Connect-LtNetwork $using:line -Name runner -Address 10.0.0.60 -TimeoutSec 60 -WarningAction Ignore }
    }

    AfterAll {
        Invoke-Command $bob { Get-LtNetwork | Disconnect-LtNetwork }
    }

    It 'which gets the address that the invitation keeps for it' {
        $network.Address | Should-Be '10.0.0.50/24'
    }

    It 'and is put into its groups' {
        $member = Invoke-Command $server { Get-LtMember runner }
        "$($member.Groups), $($member.Ephemeral)" | Should-Be 'build, True'
        Invoke-Command $server { "$((Get-LtInvitation (Get-LtMember runner).Invitation).Members)" } | Should-Be 'runner'
    }
}

Describe 'An admin shows an invitation' {
    It 'as a QR code in the terminal' {
        $code = Invoke-Command $server { New-LtInvitation -AsQRCode }
        ($code -split "`n").Count | Should-BeGreaterThan 20
        $code | Should-BeLikeString '*█*'
    }

    It 'as a picture that only its owner reads' {
        $mode = Invoke-Command $server {
            $file = Join-Path ([IO.Path]::GetTempPath()) "$(New-Guid).png"
            $null = New-LtInvitation -OutFile $file
            "$([IO.File]::GetUnixFileMode($file)), $([BitConverter]::ToString([IO.File]::ReadAllBytes($file)[1..3]))"
            Remove-Item $file
        }
        $mode | Should-Be 'UserWrite, UserRead, 50-4E-47'
    }

    It 'not as a picture of another kind' {
        $id = Invoke-Command $server { try { New-LtInvitation -OutFile x.gif } catch { $_.FullyQualifiedErrorId } }
        $id | Should-Be 'InvalidOption,LightTunnel.NewLtInvitationCommand'
    }
}

Describe 'A member' {
    It 'needs no invitation when it comes back, and the server has forgotten nothing' {
        Get-LtNetwork alice | Disconnect-LtNetwork
        Invoke-Command $server { Get-LtServer | Stop-LtServer }
        Invoke-Command $server $start -ArgumentList $key

        $network = Connect-LtNetwork -Server 203.0.113.1:9000 -ServerKey $serverKey -NetworkKey $key -Name alice -TimeoutSec 60 -WarningAction Ignore
        "$($network.State)" | Should-Be 'Up'
        Invoke-Command $server { "$((Get-LtInvitation 'laptop of Alice').State)" } | Should-Be 'UsedUp'
    }
}
