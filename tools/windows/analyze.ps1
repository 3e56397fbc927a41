# Runs PSScriptAnalyzer over the scripts of the product, the module that `avma jea` writes, and the scripts in this folder.
$ErrorActionPreference = 'Stop'
$version = '1.24.0'
if (-not (Get-Module -Name PSScriptAnalyzer -ListAvailable | Where-Object -Property Version -EQ -Value $version)) {
    Install-Module -Name PSScriptAnalyzer -RequiredVersion $version -Scope CurrentUser -Force
}
# The runner may have other versions, with other rules.
Import-Module -Name PSScriptAnalyzer -RequiredVersion $version
$written = Join-Path ([System.IO.Path]::GetTempPath()) 'avma-jea'
& python -m avma_cli jea $written --account 'LAB\svc-avma' --azure-local
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
$found = @()
$settings = Join-Path $PSScriptRoot 'PSScriptAnalyzerSettings.psd1'
foreach ($folder in 'provider/avma/windows/scripts', $PSScriptRoot, $written) {
    $found += @(Invoke-ScriptAnalyzer -Path $folder -Recurse -Settings $settings)
}
$columns = 'ScriptName', 'Line', 'RuleName', 'Message'
$found | Format-Table -Property $columns -AutoSize -Wrap
if ($found.Count -gt 0) { exit 1 }
