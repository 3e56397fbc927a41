# avma-script: server-avma-manager 2
# Reads or sets the license for the guests of an Azure Local machine (module ServerAVMAManager), and reads its
# subscriptions (module AzureStackHCI). It uses only cmdlets and types that Constrained Language Mode permits.
# The output is one JSON object. The key is a SecureString until the cmdlet takes it. The cmdlet has only a string
# parameter for it, so module logging of ServerAVMAManager and transcription would record the key. Both are off by
# default. Do not use pipelines here: logging also records their values, and the cmdlet may print the key.
param([string] $Action, [securestring] $ProductKey)

# Functions of a script module use the preferences of the session, and not those of the calling script. The error
# preference stays unchanged, because these functions handle some errors themselves.
$global:ConfirmPreference = 'None'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
# Without this, Windows PowerShell writes some arrays as {"value": [], "Count": 0}.
Remove-TypeData -TypeName System.Array -ErrorAction SilentlyContinue

# The output of the cmdlets is not documented, so the script returns all of it as text.
function ConvertTo-Table($object) {
    $table = @{}
    if ($object -is [string] -or $object -is [ValueType]) { $table['Value'] = "$object" }
    else { foreach ($property in $object.psobject.Properties) { $table[$property.Name] = "$($property.Value)" } }
    $table
}

function ConvertTo-Rows($objects) {
    foreach ($object in @($objects)) {
        if ($null -ne $object) { ConvertTo-Table $object }
    }
}

function ConvertTo-Trouble($record) {
    @{
        hresult = $record.Exception.HResult
        errorId = $record.FullyQualifiedErrorId
        message = $record.Exception.Message
    }
}

function ConvertTo-Plain($secret) {
    $given = 'key', $secret
    $credential = New-Object -TypeName System.Management.Automation.PSCredential -ArgumentList $given
    $credential.GetNetworkCredential().Password
}

function Get-Subscription($answer) {
    # A session of JEA does not load modules by itself, and has a Get-Command of its own.
    Import-Module -Name AzureStackHCI -ErrorAction SilentlyContinue
    $find = @{ Name = 'Get-AzureStackHCISubscriptionStatus'; ErrorAction = 'SilentlyContinue' }
    if (-not (Microsoft.PowerShell.Core\Get-Command @find)) { return }
    try { $answer.subscriptions = @(ConvertTo-Rows (Get-AzureStackHCISubscriptionStatus -ErrorAction Stop)) }
    catch { $answer.subscriptionError = ConvertTo-Trouble $_ }
}

if ('get', 'set' -notcontains $Action) { throw 'The parameters are not those of this script.' }

$answer = @{}
try {
    Import-Module -Name ServerAVMAManager -ErrorAction Stop
    $answer.moduleVersion = "$(@(Get-Module -Name ServerAVMAManager)[0].Version)"
    if ($Action -eq 'set') {
        $shown = Set-VMAutomaticActivation -ProductKey (ConvertTo-Plain $ProductKey) -ErrorAction Stop
        $answer.applied = $true
    }
    else { $shown = Get-VMAutomaticActivation -ErrorAction Stop }
    $answer.result = @(ConvertTo-Rows $shown)
}
catch {
    $answer.error = ConvertTo-Trouble $_
}
if ($Action -eq 'get') { Get-Subscription $answer }
ConvertTo-Json -InputObject $answer -Depth 4 -Compress
