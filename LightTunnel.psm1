# Lets Import-Module take the repository's own manifest: imports the module that the build has made, or says how to make it.
$built = [IO.Path]::Combine($PSScriptRoot, 'out', 'LightTunnel')
if (-not [IO.Directory]::Exists($built) -or -not [IO.Directory]::GetFiles($built, 'LightTunnel.psd1', 'AllDirectories')) {
    throw 'LightTunnel is not built yet. Run ./build.ps1, then Import-Module ./LightTunnel.psd1 again.'
}

Import-Module $built
