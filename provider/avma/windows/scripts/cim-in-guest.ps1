# avma-script: cim-in-guest 4
# Runs CIM operations inside VMs of this host through PowerShell Direct. It uses only cmdlets and types that Constrained
# Language Mode permits (about_Language_Modes). Each guest is a table: id, credential, operations as JSON, secrets, and
# the seconds in which a change may begin. After them, its operation has ended, so the script begins no change: it checks
# them before it connects to a guest, and again in the guest before each change.
# Output: one JSON object for each guest. Without guests, it is one object: whether this host has what the script needs.
# The script reports when it starts and ends the connection to a guest, because a guest that does not answer stops it:
# PowerShell exchanges the credentials in the thread that calls Invoke-Command, without a time limit
# (RemoteSessionHyperVSocket.cs).
# Secrets stay in PSCredential and SecureString until the guest needs their text. Module logging records only the names
# of these types, and script-block logging records only the text of this script.
param([object[]] $Guests, [int] $ThrottleLimit, [double] $Timeout)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
# Without this, Windows PowerShell writes some arrays as {"value": [], "Count": 0}.
Remove-TypeData -TypeName System.Array -ErrorAction SilentlyContinue

# Runs inside a VM: performs the operations in order, until one fails, and returns their results as JSON.
# The arguments of methods are numbers: the indexes of their values in the secrets.
# The seconds are those that were left before the host began to connect. The clocks of host and guest can differ, so the
# guest measures with its own clock alone. PowerShell Direct starts a process for each session, and its age is the part
# of the connection that the guest can see. The exchange of credentials before it is not: the reserve of the caller
# covers it.
$inGuest = {
    param([string] $operations, [object[]] $secrets, [double] $seconds)
    $ErrorActionPreference = 'Stop'
    $ProgressPreference = 'SilentlyContinue'
    $WarningPreference = 'SilentlyContinue'
    Remove-TypeData -TypeName System.Array -ErrorAction SilentlyContinue
    $end = (Get-Process -Id $PID).StartTime.ToUniversalTime().AddSeconds($seconds)

    function ConvertTo-Table($object) {
        $table = @{}
        if ($null -ne $object) {
            foreach ($property in $object.psobject.Properties) { $table[$property.Name] = $property.Value }
        }
        $table
    }

    function ConvertTo-Plain($secret) {
        $given = 'key', $secret
        $credential = New-Object -TypeName System.Management.Automation.PSCredential -ArgumentList $given
        $credential.GetNetworkCredential().Password
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
            $arguments = @{}
            $places = ConvertTo-Table $operation.arguments
            foreach ($name in @($places.Keys)) { $arguments[$name] = ConvertTo-Plain $secrets[$places[$name]] }
            if ($arguments.Count -gt 0) { $call.Arguments = $arguments }
            if ((Get-Date).ToUniversalTime() -ge $end) {
                $message = 'The session started too late for a change.'
                $results += @{ error = @{ hresult = $null; errorId = 'AvmaNotAsked'; message = $message } }
                break
            }
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

function Write-Trouble($id, $errorId, $message, $exceptions) {
    $trouble = @{ hresult = $null; errorId = "$errorId"; message = "$message"; exceptions = @($exceptions) }
    ConvertTo-Json -InputObject @{ id = $id; error = $trouble } -Depth 4 -Compress
}

function Write-NotAsked($id) {
    Write-Trouble $id 'AvmaNotAsked' 'The virtual machine was not asked before the time was over.'
}

function Write-Failure($id, $record) {
    # The types of exceptions do not depend on the language. A PSDirectException, alone or inside another exception,
    # distinguishes PowerShell Direct from other broken sessions.
    $message = $record.Exception.Message
    $types = @()
    for ($exception = $record.Exception; $null -ne $exception; $exception = $exception.InnerException) {
        $types += @($exception.psobject.TypeNames)[0]
        if ($types.Count -gt 1) { $message = "$message $($exception.Message)" }
    }
    Write-Trouble $id $record.FullyQualifiedErrorId $message $types
}

function Start-Guest($guest, $seconds) {
    $given = @{ VMId = [guid] $guest.id; Credential = $guest.credential; ScriptBlock = $inGuest }
    Invoke-Command @given -ArgumentList $guest.operations, @($guest.secrets), $seconds -AsJob
}

function Write-Starting($id) {
    ConvertTo-Json -InputObject @{ starting = $id } -Compress
}

# Returns what a session has sent: the text of its answer, and the first error. A text that has arrived counts, even if
# the session broke afterwards. The answers of all guests share one limit, so each answer has a limit of its own.
function Receive-Answer($run) {
    $came = @()
    $problems = @()
    try { $null = Receive-Job -Job $run.job -OutVariable came -ErrorVariable problems -ErrorAction SilentlyContinue }
    catch { $problems += $_ }
    $text = @($came) -join ''
    if ($text.Length -gt 500000) { return @{ error = 'The virtual machine sent more than an answer.' } }
    $id = ConvertTo-Json -InputObject $run.id -Compress
    if ($text) { return @{ text = '{"id":' + $id + ',"results":' + $text + '}' } }
    @{ record = @($problems)[0]; error = 'The session in the virtual machine ended without an answer.' }
}

function Complete-Guest($run) {
    $answer = Receive-Answer $run
    if ($answer.text) { $answer.text }
    elseif ($answer.record) { Write-Failure $run.id $answer.record }
    else { Write-Trouble $run.id '' $answer.error }
    # This PowerShell process also serves the next run, and would keep each job.
    Remove-Job -Job $run.job -Force -ErrorAction SilentlyContinue
}

function Write-HostFacts {
    # Name the modules. VMware's PowerCLI has a Get-VM too, and a session of JEA has a Get-Command of its own, which
    # finds only what the session permits (learn.microsoft.com, "JEA role capabilities").
    $getVm = @(Microsoft.PowerShell.Core\Get-Command -Name Hyper-V\Get-VM -ErrorAction SilentlyContinue)[0]
    $facts = @{
        hyperV = if ($getVm) { "$($getVm.ModuleName)" } else { $null }
        direct = @((Microsoft.PowerShell.Core\Get-Command -Name Invoke-Command).Parameters.Keys) -contains 'VMId'
        languageMode = "$($ExecutionContext.SessionState.LanguageMode)"
        version = "$($PSVersionTable.PSVersion)"
    }
    ConvertTo-Json -InputObject @{ host = $facts } -Depth 4 -Compress
}

# Local time jumps where daylight saving time begins or ends.
function Get-UtcNow { (Get-Date).ToUniversalTime() }

$begin = Get-UtcNow
$end = $begin.AddSeconds($Timeout)
$waiting = @($Guests)
if ($waiting.Count -eq 0) { Write-HostFacts }
$next = 0
$running = @()
while (($next -lt $waiting.Count -or $running.Count -gt 0) -and (Get-UtcNow) -lt $end) {
    while ($next -lt $waiting.Count -and $running.Count -lt $ThrottleLimit) {
        $guest = $waiting[$next]
        $next += 1
        $left = ($begin.AddSeconds($guest.seconds) - (Get-UtcNow)).TotalSeconds
        if ($left -le 0) {
            Write-NotAsked $guest.id
            continue
        }
        Write-Starting $guest.id
        try {
            $running += @{ id = $guest.id; job = Start-Guest $guest $left }
        }
        catch {
            Write-Failure $guest.id $_
        }
        Write-Starting $null
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
# Stopping the job of a guest that hangs could hang as well. The reader of this answer ends this PowerShell process.
foreach ($run in $running) {
    $answer = Receive-Answer $run
    if ($answer.text) { $answer.text }
    else { Write-Trouble $run.id 'AvmaNoAnswer' 'The virtual machine did not answer in time.' }
}
for (; $next -lt $waiting.Count; $next += 1) { Write-NotAsked $waiting[$next].id }
