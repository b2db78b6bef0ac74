# Somebody has copied the module to a machine, imports it, and asks it for help.

BeforeDiscovery {
    $commands = @(Get-Command -Module LightTunnel | ForEach-Object Name)
}

Describe 'The module' {
    It 'brings its commands, with approved verbs' {
        $commands = Get-Command -Module LightTunnel

        $commands.Count | Should-BeGreaterThan 15
        $commands | Where-Object CommandType -ne Cmdlet | Should-BeNull
        $commands.Verb | Where-Object { $_ -notin (Get-Verb).Verb } | Should-BeNull
        $commands.Noun | Where-Object { $_ -notlike 'Lt*' } | Should-BeNull
    }

    It 'says who made it, for which PowerShell, and what it is' {
        $module = Get-Module LightTunnel

        $module.PowerShellVersion | Should-Be ([version] '7.6')
        $module.Description | Should-NotBeWhiteSpaceString
        $module.Author | Should-NotBeWhiteSpaceString
    }

    It 'can be imported once more, and removed and imported again' {
        $path = Join-Path (Get-Module LightTunnel).ModuleBase 'LightTunnel.psd1'

        Import-Module $path -Force
        Remove-Module LightTunnel
        Import-Module $path

        "$(New-LtNetworkKey)".Length | Should-Be 44
    }

    It 'explains itself in about_LightTunnel' {
        $topic = (Get-Help about_LightTunnel | Out-String)

        $topic | Should-BeLikeString '*Start-LtServer*'
        $topic | Should-BeLikeString '*Connect-LtNetwork*'
    }
}

Describe 'Help of <_>' -ForEach $commands {
    BeforeAll {
        $command = $_
        $help = Get-Help $command -Full
        $text = ($help | Out-String -Width 80)
    }

    It 'says in a sentence what it does' {
        $help.Synopsis | Should-NotBeLikeString "*$command*"
        $help.Synopsis | Should-MatchString '^\w.{15,}\.$'
        ($help.description | Out-String) | Should-NotBeWhiteSpaceString
    }

    It 'shows an example with the command in it' {
        $examples = @($help.examples.example)

        $examples.Count | Should-BeGreaterThanOrEqual 1
        ($examples.code -join "`n") | Should-BeLikeString "*$command*"
    }

    It 'describes each parameter' {
        # A command without parameters has one without a name.
        foreach ($parameter in $help.parameters.parameter | Where-Object { $_.name -and $_.name -notin 'WhatIf', 'Confirm' }) {
            ($parameter.description | Out-String) | Should-NotBeWhiteSpaceString -Because "-$($parameter.name) is a parameter of $command"
            $text | Should-BeLikeString "*-$($parameter.name)*"
        }
    }

    It 'names what it returns, if anything' {
        foreach ($type in (Get-Command $command).OutputType) {
            $text | Should-BeLikeString "*$($type.Name)*"
        }
    }
}

Describe 'Tab' {
    BeforeAll {
        function Get-Completion([string] $Line) {
            (TabExpansion2 -inputScript $Line -cursorColumn $Line.Length).CompletionMatches.CompletionText
        }
    }

    It 'completes <Line>' -ForEach @(
        @{ Line = 'Start-LtS'; Completion = 'Start-LtServer' }
        @{ Line = 'Connect-LtNetwork -Inv'; Completion = '-Invitation' }
        @{ Line = 'Connect-LtNetwork -PathPolicy Re'; Completion = 'RelayOnly' }
        @{ Line = 'Get-LtRoute -Type Se'; Completion = 'Server' }
        @{ Line = 'Wait-LtPeer nas -Path Di'; Completion = 'Direct' }
    ) {
        Get-Completion $Line | Should-ContainCollection $Completion
    }
}
