# Runs PSScriptAnalyzer over the scripts of the product, the module that `avma jea` writes, and the scripts in this folder.
$ErrorActionPreference = 'Stop'
if (-not (Get-Module -Name PSScriptAnalyzer -ListAvailable)) {
    Install-Module -Name PSScriptAnalyzer -RequiredVersion 1.24.0 -Scope CurrentUser -Force
}
$written = Join-Path ([System.IO.Path]::GetTempPath()) 'avma-jea'
& python -m avma_cli jea $written --account 'LAB\svc-avma' --azure-local
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
$found = @()
$severities = 'Error', 'Warning'
foreach ($folder in 'provider/avma/windows/scripts', $PSScriptRoot, $written) {
    $found += @(Invoke-ScriptAnalyzer -Path $folder -Recurse -Severity $severities)
}
$columns = 'ScriptName', 'Line', 'RuleName', 'Message'
$found | Format-Table -Property $columns -AutoSize -Wrap
if ($found.Count -gt 0) { exit 1 }
