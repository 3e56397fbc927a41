# avma-script: server-avma-manager 1
# Gets or sets what a machine of Azure Stack HCI (Azure Local) activates its guests with: the module ServerAVMAManager,
# and the subscriptions as the module AzureStackHCI tells them. Cmdlets and core types only. Input: one line of JSON on
# stdin, {"action": "get"} or {"action": "set", "productKey": "..."}. Output: one line of JSON.

# The error preference stays as it is: modules would take it over, and end on errors that they know how to bear.
$ConfirmPreference = 'None'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
# Without this, Windows PowerShell writes some arrays as {"value": [], "Count": 0}.
Remove-TypeData -TypeName System.Array -ErrorAction SilentlyContinue

# The cmdlets' output is not documented, so all of it is passed on, as text.
function ConvertTo-Table($object) {
    $table = @{}
    if ($object -is [string] -or $object -is [ValueType]) { $table['Value'] = "$object" }
    else { foreach ($property in $object.psobject.Properties) { $table[$property.Name] = "$($property.Value)" } }
    $table
}

function ConvertTo-Rows($objects) {
    @($objects | Where-Object { $null -ne $_ } | ForEach-Object { ConvertTo-Table $_ })
}

function ConvertTo-Trouble($record) {
    @{
        hresult = $record.Exception.HResult
        errorId = $record.FullyQualifiedErrorId
        message = $record.Exception.Message
    }
}

function Get-Subscription($answer) {
    if (-not (Get-Command -Name Get-AzureStackHCISubscriptionStatus -ErrorAction SilentlyContinue)) { return }
    try { $answer.subscriptions = @(ConvertTo-Rows (Get-AzureStackHCISubscriptionStatus -ErrorAction Stop)) }
    catch { $answer.subscriptionError = ConvertTo-Trouble $_ }
}

try { $document = @($input) -join "`n" | ConvertFrom-Json -ErrorAction Stop }
catch { throw 'The input is not that of this script.' }
if ('get', 'set' -notcontains $document.action) { throw 'The input is not that of this script.' }

$answer = @{}
try {
    Import-Module -Name ServerAVMAManager -ErrorAction Stop
    $answer.moduleVersion = "$(@(Get-Module -Name ServerAVMAManager)[0].Version)"
    if ($document.action -eq 'set') {
        $shown = Set-VMAutomaticActivation -ProductKey $document.productKey -ErrorAction Stop
        $answer.applied = $true
    }
    else { $shown = Get-VMAutomaticActivation -ErrorAction Stop }
    $answer.result = @(ConvertTo-Rows $shown)
}
catch {
    $answer.error = ConvertTo-Trouble $_
}
if ($document.action -eq 'get') { Get-Subscription $answer }
ConvertTo-Json -InputObject $answer -Depth 4 -Compress
exit 0
