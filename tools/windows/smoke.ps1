# Runs the scripts of the product in this PowerShell, with stand-ins for the cmdlets that need a Hyper-V host or a
# machine of Azure Local. Run it in Windows PowerShell 5.1 and in PowerShell 7.
#
# A job on this computer takes the place of PowerShell Direct, so the queries and methods reach the real WMI.
[Diagnostics.CodeAnalysis.SuppressMessageAttribute(
    'PSAvoidUsingConvertToSecureStringWithPlainText', '', Justification = 'These are no secrets')]
[Diagnostics.CodeAnalysis.SuppressMessageAttribute(
    'PSAvoidOverwritingBuiltInCmdlets', '', Justification = 'The stand-in for Invoke-Command takes its place')]
[Diagnostics.CodeAnalysis.SuppressMessageAttribute(
    'PSAvoidGlobalFunctions', '', Justification = 'The scripts must find the stand-in')]
param()

$ErrorActionPreference = 'Stop'
$root = Split-Path -Path (Split-Path -Path $PSScriptRoot)
$scripts = Join-Path $root 'provider/avma/windows/scripts'
$guestId = '00000000-0000-4000-8000-000000000001'
$failures = 0

function Assert-That($what, $holds, $shown) {
    if ($holds) { Write-Output "pass  $what" }
    else {
        Write-Output "FAIL  $what"
        Write-Output ($shown | Out-String)
        $script:failures += 1
    }
}

# A stand-in. A function comes before the cmdlet of the same name.
function global:Invoke-Command {
    param([guid] $VMId, [pscredential] $Credential, [scriptblock] $ScriptBlock, [object[]] $ArgumentList, [switch] $AsJob)
    if (-not $AsJob -or $null -eq $Credential -or $VMId -eq [guid]::Empty) { throw 'not the call of the script' }
    Start-Job -ScriptBlock $ScriptBlock -ArgumentList $ArgumentList
}

function Get-Secure($text) { ConvertTo-SecureString -String $text -AsPlainText -Force }

function Get-Guest($operations, $secrets) {
    @{
        id = $guestId
        credential = New-Object -TypeName pscredential -ArgumentList 'Administrator', (Get-Secure 'none')
        operations = ConvertTo-Json -InputObject @($operations) -Depth 4 -Compress
        secrets = @($secrets)
        seconds = 120
    }
}

function Invoke-InGuest($operations, $secrets) {
    $given = @{ Guests = @(Get-Guest $operations $secrets); ThrottleLimit = 4; Timeout = 120 }
    $lines = @(& (Join-Path $scripts 'cim-in-guest.ps1') @given)
    @($lines | ForEach-Object { $_ | ConvertFrom-Json } | Where-Object { $_.id -eq $guestId })[0]
}

# The host itself.
$line = & (Join-Path $scripts 'cim-in-guest.ps1') -Guests @() -ThrottleLimit 4 -Timeout 60
$facts = ($line | ConvertFrom-Json).host
Assert-That 'the script describes its PowerShell' ($facts.languageMode -eq 'FullLanguage' -and $facts.direct) $line

# A query, a missing class, and a method that Windows rejects.
$query = @{ namespace = 'root/cimv2'; query = 'SELECT Version,BuildNumber,LastBootUpTime FROM Win32_OperatingSystem' }
$answer = Invoke-InGuest $query
$row = @($answer.results)[0].rows[0]
Assert-That 'a query returns its row' ($row.BuildNumber -match '^\d{5}$') $answer
Assert-That 'a time has the DMTF form' ($row.LastBootUpTime -match '^\d{14}\.\d{6}\+000$') $answer

$empty = @{ namespace = 'root/cimv2'; query = "SELECT Name FROM Win32_Service WHERE Name = 'avma-has-no-such-service'" }
$answer = Invoke-InGuest $empty
Assert-That 'a query without rows returns an empty list' (@($answer.results)[0].rows.Count -eq 0) $answer

$missing = @{ namespace = 'root/cimv2'; query = 'SELECT Name FROM AvmaHasNoSuchClass' }
$answer = Invoke-InGuest $missing
Assert-That 'a missing class has the error ID of WMI' (@($answer.results)[0].error.errorId -like 'HRESULT 0x80041010,*') $answer

$version = @(Get-CimInstance -Query 'SELECT Version FROM SoftwareLicensingService')[0].Version
$install = @{
    namespace = 'root/cimv2'; class = 'SoftwareLicensingService'; method = 'InstallProductKey'
    keys = @{ Version = $version }; arguments = @{ ProductKey = 0 }
}
$answer = Invoke-InGuest $install @(Get-Secure 'no product key')
$trouble = @($answer.results)[0].error
$code = '{0:X8}' -f ([long]$trouble.hresult -band 4294967295)
Assert-That 'an invalid key is rejected with SL_E_PKEY_INVALID_ALGORITHM' ($code -eq 'C004F050') $answer

# Azure Local, with modules of this run.
$modules = Join-Path ([System.IO.Path]::GetTempPath()) "avma-modules-$PID"
$bodies = @{
    ServerAVMAManager = @'
function Get-VMAutomaticActivation { [pscustomobject]@{ Status = 'Enabled'; Keys = @('1', '2') } }
function Set-VMAutomaticActivation { param([string] $ProductKey) if ($ProductKey -ne 'AAAAA-AAAAA-AAAAA-AAAAA-AAAAA') { throw 'wrong key' } }
'@
    AzureStackHCI = 'function Get-AzureStackHCISubscriptionStatus { throw "not connected" }'
}
foreach ($name in @($bodies.Keys)) {
    New-Item -ItemType Directory -Path (Join-Path $modules $name) -Force | Out-Null
    Set-Content -Path (Join-Path $modules "$name/$name.psm1") -Value $bodies[$name]
}
$env:PSModulePath = $modules + [System.IO.Path]::PathSeparator + $env:PSModulePath

$line = & (Join-Path $scripts 'server-avma-manager.ps1') -Action get
$answer = $line | ConvertFrom-Json
Assert-That 'the cmdlet''s output is one row of texts' (@($answer.result)[0].Status -eq 'Enabled') $line
Assert-That 'a failing subscription cmdlet is reported' ($answer.subscriptionError.message -eq 'not connected') $line

$key = Get-Secure 'AAAAA-AAAAA-AAAAA-AAAAA-AAAAA'
$line = & (Join-Path $scripts 'server-avma-manager.ps1') -Action set -ProductKey $key
$answer = $line | ConvertFrom-Json
Assert-That 'the key arrives as a text' ($answer.applied -eq $true -and $null -eq $answer.error) $line
Assert-That 'the output contains no key' ("$line" -notmatch 'AAAAA-') $line

# The lock. MutexSecurity has no constructor of a mutex in .NET, only in .NET Framework.
if ($PSVersionTable.PSVersion.Major -eq 5) {
    $lock = Join-Path $scripts 'license-lock.ps1'
    $holder = Start-Job -FilePath $lock -ArgumentList 5, 60
    for ($wait = 0; $wait -lt 30 -and -not ($holder | Receive-Job -Keep); $wait += 1) { Start-Sleep -Seconds 1 }
    Assert-That 'the first caller holds the lock' ("$($holder | Receive-Job -Keep)" -match 'held') ($holder | Receive-Job -Keep)
    $other = Start-Job -FilePath $lock -ArgumentList 2, 60
    $lines = $other | Wait-Job -Timeout 60 | Receive-Job
    Assert-That 'the second caller finds it busy' ("$lines" -match 'waiting.*busy') $lines
    $holder | Stop-Job
    $other = Start-Job -FilePath $lock -ArgumentList 5, 1
    $lines = $other | Wait-Job -Timeout 60 | Receive-Job
    Assert-That 'the lock ends with its process' ("$lines" -match 'held') $lines
}

Write-Output "$failures failed"
exit $failures
