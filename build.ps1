#!/usr/bin/env pwsh
#Requires -Version 7.6

<#
.SYNOPSIS
    Builds, tests, packs or cleans LightTunnel: a front for dotnet.

.DESCRIPTION
    Build leaves an importable module in out/LightTunnel/<version>/.
    Test builds, then runs all tests; those that need root are skipped without it.
    Package builds for release and puts the module into out/LightTunnel-<version>.zip, with the program of services for each system:
    native code for the one that it is built on, which needs gcc or clang and zlib's headers, trimmed .NET for the others.
    Clean removes what was built.

.PARAMETER Task
    What to do, in this order if several are given.

.PARAMETER Configuration
    Debug or Release. Package always takes Release.

.EXAMPLE
    PS> ./build.ps1
    PS> Import-Module ./LightTunnel.psd1

    Builds the module and imports it.

.EXAMPLE
    PS> ./build.ps1 -Task Clean, Test -Configuration Release

    Builds everything anew and tests it.
#>
[CmdletBinding()]
param(
    [ValidateSet('Build', 'Test', 'Package', 'Clean')]
    [string[]] $Task = 'Build',

    [ValidateSet('Debug', 'Release')]
    [string] $Configuration = 'Debug'
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$solution = Join-Path $PSScriptRoot 'LightTunnel.sln'

function Invoke-DotNet {
    dotnet @args
    if ($LASTEXITCODE -ne 0) {
        throw "dotnet $args failed with exit code $LASTEXITCODE."
    }
}

foreach ($step in $Task) {
    switch ($step) {
        'Build' {
            Invoke-DotNet build $solution --configuration $Configuration
        }
        'Test' {
            Invoke-DotNet build $solution --configuration $Configuration
            Invoke-DotNet test --solution $solution --configuration $Configuration --no-build
        }
        'Package' {
            Invoke-DotNet build $solution --configuration Release
            $version = (Import-PowerShellDataFile (Join-Path $PSScriptRoot 'LightTunnel.psd1')).ModuleVersion
            $hosts = Join-Path $PSScriptRoot "out/LightTunnel/$version/Host"
            Remove-Item $hosts -Recurse -Force
            $compiler = Get-Command gcc, clang -ErrorAction Ignore | Select-Object -First 1
            foreach ($system in 'linux-x64', 'linux-arm64', 'win-x64') {
                Invoke-DotNet publish (Join-Path $PSScriptRoot LightTunnel.Host) --configuration Release --runtime $system `
                    --output (Join-Path $hosts $system) "-p:CppCompilerAndLinker=$($compiler.Name)" '-p:DebugType=none' '-p:GenerateDocumentationFile=false'
                Remove-Item (Join-Path $hosts $system '*') -Include '*.dbg', '*.pdb', '*.xml'
            }
            $package = Join-Path $PSScriptRoot "out/LightTunnel-$version.zip"
            Compress-Archive -Path (Join-Path $PSScriptRoot 'out/LightTunnel') -DestinationPath $package -Force
            Get-Item $package
        }
        'Clean' {
            foreach ($each in 'Debug', 'Release') {
                Invoke-DotNet clean $solution --configuration $each
            }
            Remove-Item (Join-Path $PSScriptRoot 'out') -Recurse -Force -ErrorAction Ignore
        }
    }
}
