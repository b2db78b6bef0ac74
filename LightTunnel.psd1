@{
    # In the repository, where it imports what the build has made. The build writes LightTunnel.PowerShell.dll and its views in this place (Module.targets).
    RootModule = 'LightTunnel.psm1'
    # The same as VersionPrefix in Directory.Build.props: the build checks it.
    ModuleVersion = '0.1.0'
    GUID = '6c0b7a52-3f0e-4d5c-9a41-7d2f1f8a5e93'
    Author = 'LightTunnel developers'
    CompanyName = 'LightTunnel developers'
    Copyright = '(c) LightTunnel developers. MIT licence.'
    Description = 'Joins machines into one private IP network: an encrypted peer-to-peer VPN that is started, seen and scripted as objects.'
    PowerShellVersion = '7.6'
    CompatiblePSEditions = @('Core')
    CmdletsToExport = @(
        'Approve-LtMember'
        'Approve-LtRoute'
        'Block-LtMember'
        'Confirm-LtMember'
        'Connect-LtNetwork'
        'ConvertFrom-LtInvitation'
        'Deny-LtMember'
        'Deny-LtRoute'
        'Disconnect-LtNetwork'
        'Export-LtRule'
        'Get-LtInvitation'
        'Get-LtLog'
        'Get-LtMember'
        'Get-LtNetwork'
        'Get-LtPeer'
        'Get-LtRoute'
        'Get-LtRule'
        'Get-LtServer'
        'Get-LtService'
        'Get-LtStatus'
        'Import-LtRule'
        'Install-LtDriver'
        'New-LtInvitation'
        'New-LtNetworkKey'
        'New-LtRule'
        'New-LtSigningKey'
        'New-LtWireGuardClient'
        'Register-LtService'
        'Remove-LtInvitation'
        'Remove-LtMember'
        'Remove-LtRule'
        'Rename-LtMember'
        'Reset-LtIdentity'
        'Restart-LtService'
        'Set-LtMember'
        'Set-LtNetwork'
        'Set-LtPeer'
        'Set-LtRule'
        'Start-LtServer'
        'Start-LtService'
        'Stop-LtServer'
        'Stop-LtService'
        'Test-LtConfiguration'
        'Test-LtNetwork'
        'Test-LtP2P'
        'Test-LtRule'
        'Unblock-LtMember'
        'Unregister-LtService'
        'Update-LtNetworkKey'
        'Wait-LtNetwork'
        'Wait-LtPeer'
        'Watch-LtRoute'
    )
    FunctionsToExport = @()
    VariablesToExport = @()
    AliasesToExport = @()
    PrivateData = @{
        PSData = @{
            # No ProjectUri and no HelpInfoUri here, no HelpUri of commands: the project has no public address. Get-Help -Online says that there is none.
            Tags = @('VPN', 'WireGuard', 'P2P', 'Network', 'Tunnel', 'PSEdition_Core', 'Windows', 'Linux')
            LicenseUri = 'https://opensource.org/license/mit'
            ReleaseNotes = 'The first network: server and clients, end to end. See CHANGELOG.md.'
        }
    }
}
