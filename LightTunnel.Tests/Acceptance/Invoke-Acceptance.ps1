<#
.SYNOPSIS
    Runs a test file by Pester, and writes what came of each test as JSON.

.DESCRIPTION
    One that begins with param($Machines) gets the machines of a laboratory: sessions for Invoke-Command, by the names of the machines.
    This process is a machine too, the one at which the tests' user sits.

.PARAMETER PesterPath
    Pester's manifest.

.PARAMETER Path
    The test file.

.PARAMETER Machine
    The other machines, each a hashtable: Name, ProcessId of a pwsh that runs there, and Preset, a script for its sessions.

.PARAMETER ModulePath
    The manifest of the module under test, for those machines.

.PARAMETER ResultPath
    The file to write to.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [string] $PesterPath,
    [Parameter(Mandatory)] [string] $Path,
    [Parameter(Mandatory)] [string] $ModulePath,
    [Parameter(Mandatory)] [string] $ResultPath,
    [hashtable[]] $Machine = @()
)

Import-Module $PesterPath

$machines = @{}
foreach ($each in $Machine) {
    # By the pipe that every pwsh listens at, as Enter-PSHostProcess does: machines of a laboratory share the file system.
    # On a busy machine PowerShell has given a session up while it was opened: then another one is.
    for ($attempt = 1; ; $attempt++) {
        $runspace = [runspacefactory]::CreateRunspace([Management.Automation.Runspaces.NamedPipeConnectionInfo]::new($each.ProcessId))
        try {
            $runspace.Open()
            break
        }
        catch {
            $runspace.Dispose()
            if ($attempt -eq 3) {
                throw
            }
        }
    }
    $machines[$each.Name] = [Management.Automation.Runspaces.PSSession]::Create($runspace, $each.Name, $null)
    Invoke-Command $machines[$each.Name] ([scriptblock]::Create("`$ErrorActionPreference = 'Stop'; Import-Module '$ModulePath'; $($each.Preset)"))
}

$configuration = New-PesterConfiguration
$configuration.Run.Container = New-PesterContainer -Path $Path -Data ($Machine ? @{ Machines = $machines } : @{})
$configuration.Run.PassThru = $true
# Read only where it does not come to an end.
$configuration.Output.Verbosity = 'Detailed'
$configuration.Output.RenderMode = 'Plaintext'
$run = Invoke-Pester -Configuration $configuration

function Get-Failure($Item) {
    # Pester leaves its own part of the stack out of these.
    $Item.ErrorRecord | ForEach-Object { "$($_.DisplayErrorMessage)`n$($_.DisplayStackTrace)" }
}

@(
    # What is outside of tests failed, such as AfterAll: there may be no test that says so.
    foreach ($outside in @($run.FailedContainers) + @($run.FailedBlocks)) {
        [pscustomobject]@{ Name = ''; Result = 'Failed'; Message = (@("[$($outside.Name)]") + @(Get-Failure $outside)) -join "`n" }
    }

    foreach ($test in $run.Tests) {
        $messages = @(Get-Failure $test)
        for ($block = $test.Block; $block; $block = $block.Parent) {
            $messages += Get-Failure $block
        }

        [pscustomobject]@{
            Name    = $test.Name
            Result  = "$($test.Result)"
            Message = (@("[$($test.ExpandedName)]") + $messages) -join "`n"
        }
    }
) | ConvertTo-Json -AsArray | Set-Content $ResultPath
