# What a machine says that has no network yet, and what it can check before it has one. None of this needs to be root.

BeforeAll {
    # The error of a script, as "catch" sees it.
    function Get-ErrorOf([scriptblock] $Script) {
        try {
            $null = & $Script
        }
        catch {
            return $_
        }

        throw "There was no error: $Script"
    }

    # Each error names the culprit, and says what to do about it.
    function Assert-Helpful($ErrorRecord, [string] $Id, [string] $Culprit) {
        $ErrorRecord.FullyQualifiedErrorId | Should-BeLikeString "$Id,LightTunnel.*"
        $ErrorRecord.CategoryInfo.Category | Should-NotBe 'NotSpecified'
        "$ErrorRecord" | Should-BeLikeString "*$Culprit*"
        $ErrorRecord.ErrorDetails.RecommendedAction | Should-NotBeWhiteSpaceString
    }
}

Describe 'A machine without a network' {
    It 'lists nothing, and that is no error' {
        Get-LtServer | Should-BeNull
        Get-LtNetwork | Should-BeNull
        Get-LtPeer | Should-BeNull
        Get-LtRoute | Should-BeNull
    }

    It 'says on its one screen how to begin' {
        $screen = Get-LtStatus | Out-String -Width 80

        $screen | Should-BeLikeString '*No tunnel runs.*'
        $screen | Should-BeLikeString '*Connect-LtNetwork*'
    }

    It 'says that there is no such thing, and what to do: <Script>' -ForEach @(
        @{ Script = { Get-LtServer office }; Culprit = 'office' }
        @{ Script = { Get-LtPeer nas }; Culprit = 'nas' }
        @{ Script = { Stop-LtServer office }; Culprit = 'office' }
        @{ Script = { Disconnect-LtNetwork home }; Culprit = 'home' }
        @{ Script = { Test-LtP2P nas }; Culprit = 'No tunnel runs' }
        @{ Script = { New-LtInvitation }; Culprit = 'server' }
    ) {
        Assert-Helpful (Get-ErrorOf $Script) NotFound $Culprit
    }
}

Describe 'Trying out with -WhatIf' {
    It 'starts no server' {
        Start-LtServer -Address 10.0.0.1/24 -Name office -WhatIf | Should-BeNull

        Get-LtServer | Should-BeNull
    }

    It 'joins no network' {
        Connect-LtNetwork -Server vpn.example.org -ServerKey mKOqHxc0ggLcS6w1oAwLhvk2mHbNJQx0hJl5SPhKZjg= -NetworkKey (New-LtNetworkKey) -WhatIf | Should-BeNull

        Get-LtNetwork | Should-BeNull
    }
}

Describe 'A mistake on the command line' {
    It 'is found before anything is started: <Script>' -ForEach @(
        @{ Script = { Connect-LtNetwork -Invitation 'what somebody pasted' }; Id = 'InvalidInvitation'; Culprit = 'invitation' }
        @{ Script = { Connect-LtNetwork -InvitationPath nowhere.txt }; Id = '*'; Culprit = 'nowhere.txt' }
        @{ Script = { Start-LtServer -Address 10.0.0.300/24 }; Id = 'InvalidAddress'; Culprit = '10.0.0.300/24' }
        @{ Script = { Start-LtServer -Address 10.0.0.1/24 -Mtu 100 }; Id = 'InvalidOption'; Culprit = '100' }
        @{ Script = { Start-LtServer -ConfigurationPath nowhere.yaml }; Id = '*'; Culprit = 'nowhere.yaml' }
        @{ Script = { ConvertFrom-LtInvitation 'lt1:nonsense' }; Id = 'InvalidInvitation'; Culprit = 'invitation' }
    ) {
        Assert-Helpful (Get-ErrorOf $Script) $Id $Culprit
    }

    It 'never repeats a secret' {
        $record = Get-ErrorOf { Connect-LtNetwork -Invitation 'lt1:a-line-that-is-secret' }

        ($record | Format-List * -Force | Out-String -Width 200) | Should-NotBeLikeString '*a-line-that-is-secret*'
    }
}

Describe 'A configuration file' {
    It 'is in order where it is one of the examples' {
        $examples = Get-ChildItem (Join-Path (Get-Module LightTunnel).ModuleBase configs) -Filter *.yaml

        $examples.Count | Should-BeGreaterThanOrEqual 2
        $examples | Test-LtConfiguration | Where-Object Severity -eq Error | Should-BeNull
    }

    It 'is told line and column of what is wrong, and what was meant' {
        Set-Content TestDrive:/server.yaml 'role: server', 'address: 10.0.0.1/24', 'listenPrt: 9000'

        $problem = Test-LtConfiguration TestDrive:/server.yaml

        $problem.Line | Should-Be 3
        $problem.Key | Should-Be 'listenPrt'
        "$($problem.Severity)" | Should-Be 'Error'
        $problem.RecommendedAction | Should-BeLikeString '*listenPort*'
        Test-LtConfiguration TestDrive:/server.yaml -Quiet | Should-BeFalse
    }
}

Describe 'A network key' {
    It 'is another one each time, and no view shows it' {
        $key = New-LtNetworkKey

        "$key" | Should-NotBe "$(New-LtNetworkKey)"
        ($key | Out-String) | Should-NotBeLikeString "*$key*"
        ($key | Format-List | Out-String) | Should-NotBeLikeString "*$key*"
    }
}
