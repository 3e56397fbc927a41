# Runs the conformance suite against this computer, with reads and harmless changes only, and writes its reports to a
# folder. `prepare.ps1` has opened WinRM and created the accounts.
param([string] $Folder = 'conformance')

$ErrorActionPreference = 'Stop'
New-Item -ItemType Directory -Path $Folder -Force | Out-Null
$target = '127.0.0.1', '--no-https', '--username', 'avma-admin', '--user', 'avma-user', '--harmless'
$reports = @(
    '--json', (Join-Path $Folder 'report.json')
    '--markdown', (Join-Path $Folder 'report.md')
    '--html', (Join-Path $Folder 'report.html')
    '--record', (Join-Path $Folder 'recording.jsonl')
)
& python -m avma_cli conformance @target @reports
$code = $LASTEXITCODE
if ($env:GITHUB_STEP_SUMMARY -and (Test-Path -Path (Join-Path $Folder 'report.md'))) {
    Get-Content -Path (Join-Path $Folder 'report.md') | Out-File -FilePath $env:GITHUB_STEP_SUMMARY -Encoding utf8 -Append
}
exit $code
