# avma-script: cim-in-guest 1
# Runs CIM operations inside VMs of this host through PowerShell Direct. Cmdlets and core types only, so that it runs in
# Constrained Language Mode too. Input: one line of JSON on stdin. Output: one line of JSON for each VM.

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
# Without this, Windows PowerShell writes some arrays as {"value": [], "Count": 0}.
Remove-TypeData -TypeName System.Array -ErrorAction SilentlyContinue

# What runs inside a VM: the operations, in their order, until one fails. Its output is one text, their results as JSON.
$inGuest = {
    param([string] $operations)
    $ErrorActionPreference = 'Stop'
    $ProgressPreference = 'SilentlyContinue'
    $WarningPreference = 'SilentlyContinue'
    Remove-TypeData -TypeName System.Array -ErrorAction SilentlyContinue

    function ConvertTo-Table($object) {
        $table = @{}
        if ($null -ne $object) {
            foreach ($property in $object.psobject.Properties) { $table[$property.Name] = $property.Value }
        }
        $table
    }

    function ConvertTo-Row($instance) {
        $row = @{}
        foreach ($property in $instance.CimInstanceProperties) {
            $value = $property.Value
            if ($value -is [datetime]) {
                $format = 'yyyyMMddHHmmss.ffffff'
                $value = $value.ToUniversalTime().ToString($format, [cultureinfo]::InvariantCulture) + '+000'
            }
            if ($null -ne $value) { $row[$property.Name] = $value }
        }
        $row
    }

    function Get-Hresult($exception) {
        if ($null -ne $exception.ErrorData -and $null -ne $exception.ErrorData.error_Code) {
            return $exception.ErrorData.error_Code
        }
        return $exception.HResult
    }

    $results = @()
    foreach ($operation in @($operations | ConvertFrom-Json | ForEach-Object { $_ })) {
        try {
            if ($operation.query) {
                $found = @(Get-CimInstance -Namespace $operation.namespace -Query $operation.query)
                $results += @{ rows = @($found | ForEach-Object { ConvertTo-Row $_ }) }
                continue
            }
            $keys = ConvertTo-Table $operation.keys
            $given = @{ Namespace = $operation.namespace; ClassName = $operation.class; Property = $keys }
            $target = New-CimInstance @given -Key @($keys.Keys) -ClientOnly
            $call = @{ InputObject = $target; MethodName = $operation.method }
            $arguments = ConvertTo-Table $operation.arguments
            if ($arguments.Count -gt 0) { $call.Arguments = $arguments }
            $answer = Invoke-CimMethod @call
            $results += @{ returnValue = $answer.ReturnValue }
        }
        catch {
            $results += @{
                error = @{
                    hresult = Get-Hresult $_.Exception
                    errorId = $_.FullyQualifiedErrorId
                    message = $_.Exception.Message
                }
            }
            break
        }
    }
    ConvertTo-Json -InputObject @($results) -Depth 6 -Compress
}

function Write-Trouble($id, $errorId, $message) {
    $trouble = @{ hresult = $null; errorId = "$errorId"; message = "$message" }
    ConvertTo-Json -InputObject @{ id = $id; error = $trouble } -Depth 4 -Compress
}

function Write-Failure($id, $record) {
    # A logon that fails is a PSDirectException, alone or inside another, which tells it from other broken sessions
    # in every language.
    $errorId = $record.FullyQualifiedErrorId
    $message = $record.Exception.Message
    $inner = $record.Exception.InnerException
    if ($inner) { $message = "$message $($inner.Message)" }
    foreach ($exception in @($record.Exception, $inner)) {
        $direct = 'System.Management.Automation.Remoting.PSDirectException'
        if (@($exception.psobject.TypeNames) -contains $direct) { $errorId += ',PSDirectException' }
    }
    Write-Trouble $id $errorId $message
}

function Get-Account($vm) {
    # Letter by letter, so that no cmdlet gets the password as a parameter, which module logging would write down.
    $secret = New-Object -TypeName System.Security.SecureString
    foreach ($letter in ([string] $vm.password).ToCharArray()) { $secret.AppendChar($letter) }
    New-Object -TypeName System.Management.Automation.PSCredential -ArgumentList $vm.username, $secret
}

function Start-Guest($vm) {
    $given = @{ VMId = [guid] $vm.id; Credential = Get-Account $vm; ScriptBlock = $inGuest }
    Invoke-Command @given -ArgumentList (ConvertTo-Json -InputObject @($vm.operations) -Depth 6 -Compress) -AsJob
}

function Complete-Guest($run) {
    try {
        $text = @(Receive-Job -Job $run.job -ErrorAction Stop) -join ''
        if (-not $text) { throw 'The session in the virtual machine ended without an answer.' }
        '{"id":' + (ConvertTo-Json -InputObject $run.id -Compress) + ',"results":' + $text + '}'
    }
    catch {
        Write-Failure $run.id $_
    }
}

try { $document = @($input) -join "`n" | ConvertFrom-Json }
catch { throw 'The input is not that of this script.' }

$end = (Get-Date).AddSeconds($document.timeout)
$waiting = @($document.vms)
$next = 0
$running = @()
while (($next -lt $waiting.Count -or $running.Count -gt 0) -and (Get-Date) -lt $end) {
    while ($next -lt $waiting.Count -and $running.Count -lt $document.throttleLimit) {
        $vm = $waiting[$next]
        $next += 1
        try {
            $running += @{ id = $vm.id; job = Start-Guest $vm }
        }
        catch {
            Write-Failure $vm.id $_
        }
    }
    if ($running.Count -eq 0) { continue }
    $null = Wait-Job -Job @($running | ForEach-Object { $_.job }) -Any -Timeout 1
    $open = @()
    foreach ($run in $running) {
        if ('Completed', 'Failed', 'Stopped', 'Disconnected' -contains "$($run.job.State)") { Complete-Guest $run }
        else { $open += $run }
    }
    $running = $open
}
foreach ($run in $running) { Write-Trouble $run.id 'AvmaNoAnswer' 'The virtual machine did not answer in time.' }
for (; $next -lt $waiting.Count; $next += 1) {
    Write-Trouble $waiting[$next].id 'AvmaNotAsked' 'The virtual machine was not asked before the time was over.'
}
exit 0
