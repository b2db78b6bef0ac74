param($Machines)

# An admin's key, which the server does not have, says who is a member: alice is the admin's machine, bob a new one.

BeforeAll {
    $server = $Machines.server
    $bob = $Machines.bob
    $folder = Join-Path ([IO.Path]::GetTempPath()) "lighttunnel-$(New-Guid)"
    $null = New-Item $folder -ItemType Directory
    $path = Join-Path $folder admin.key
    $key = New-LtSigningKey $path
    $line = Invoke-Command $server {
        $null = Start-LtServer -Address 10.0.0.1/24 -Name office -Endpoint 203.0.113.1:9000 -RequireSignedMembers -SigningKey $using:key.PublicKey
        "$(New-LtInvitation)"
    }
    $content = ConvertFrom-LtInvitation $line
    $network = Connect-LtNetwork $line -Name alice -Address 10.0.0.10 -TimeoutSec 60
    Invoke-Command $bob { $null = Connect-LtNetwork $using:line -Name bob -Address 10.0.0.20 -TimeoutSec 60 }
    $deadline = [datetime]::UtcNow.AddMinutes(2)
    do { $peer = Get-LtPeer | Where-Object Name -eq bob } until ($peer -or [datetime]::UtcNow -gt $deadline)
}

AfterAll {
    Get-LtNetwork | Disconnect-LtNetwork
    Invoke-Command $bob { Get-LtNetwork | Disconnect-LtNetwork }
    Invoke-Command $server { Get-LtServer | Stop-LtServer }
    Remove-Item $folder -Recurse -Force
}

Describe 'A network whose members an admin signs' {
    It 'names the signing key in its invitation' {
        "$($content.SigningFingerprints)" | Should-Be $key.Fingerprint
        "$((Get-LtNetwork alice).SigningKeys)" | Should-Be $key.PublicKey
    }

    It 'has a newcomer reach the server, and nobody else' {
        "$($peer.PathReason) $($peer.Path) $($peer.Signature)" | Should-Be 'NotSigned Offline Missing'
        ping -c 1 -w 60 10.0.0.1 | Should-Any { $_ -like '*bytes from*' }
        ping -c 2 -W 1 10.0.0.20 | Where-Object { $_ -like '*bytes from 10.0.0.20*' } | Should-BeNull
    }

    It 'tells the newcomer why, and what to do' {
        $there = Invoke-Command $bob { Get-LtNetwork | Select-Object LastError, Fingerprint, Signature }
        $there.LastError | Should-BeLikeString "*is not signed by an admin*$($there.Fingerprint)*Confirm-LtMember bob -SigningKeyPath*"
        $there.Fingerprint | Should-Be $peer.Fingerprint
    }

    It 'believes no signature of the server' {
        $failure = Invoke-Command $server {
            $null = New-LtSigningKey own.key -Force
            Confirm-LtMember bob -SigningKeyPath own.key -ErrorVariable failure -ErrorAction SilentlyContinue
            Remove-Item own.key
            "$($failure[0].Exception.Message)"
        }
        $failure | Should-BeLikeString '*signed by another key*'
    }

    It 'has members talk as soon as the admin has signed them' {
        Confirm-LtMember alice -SigningKeyPath $path
        $peer | Confirm-LtMember -SigningKeyPath $path -ExpiresIn 365.00:00 -Fingerprint $peer.Fingerprint
        $null = Wait-LtPeer bob -Path Direct -TimeoutSec 120

        ping -c 1 -w 60 10.0.0.20 | Should-Any { $_ -like '*bytes from*' }
        "$((Get-LtPeer bob).Signature) $((Get-LtNetwork alice).Signature)" | Should-Be 'Valid Valid'
        Invoke-Command $bob { ping -c 1 -w 60 10.0.0.10 } | Should-Any { $_ -like '*bytes from*' }
    }

    It 'tells on the server who was signed by whom' {
        $entries = Invoke-Command $server { Get-LtLog -Category Audit | Where-Object Action -eq MemberSigned | ForEach-Object { "$($_.By): $($_.Message)" } }
        $entries.Count | Should-Be 2
        $entries[1] | Should-BeLikeString "signing key $($key.Fingerprint): bob (10.0.0.20) *brought by alice"
        Invoke-Command $server { "$((Get-LtMember bob).Signature)" } | Should-Be 'Valid'
    }
}
