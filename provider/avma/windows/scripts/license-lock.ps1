# avma-script: license-lock 2
# Holds a named mutex of Windows while its caller changes the license of the machine, so that two callers do not change
# it at once. The output is one JSON object for each state: waiting, then busy or held. It stays held until the caller
# ends the script, and at most for the Lifetime. A thread owns a mutex, so one pipeline must acquire it and hold it.
# It uses types that Constrained Language Mode does not permit, so it first checks the mode.
param([double] $Patience, [double] $Lifetime)

$ProgressPreference = 'SilentlyContinue'

function Write-State($state) { ConvertTo-Json -InputObject @{ state = $state } -Compress }

if ("$($ExecutionContext.SessionState.LanguageMode)" -ne 'FullLanguage') {
    Write-State 'unsupported'
    return
}

# The object exists as long as a process has it open. Administrators, the system and its owner may open it. To any other
# account, access is denied, which means that someone holds it.
$name = 'Global\avma-license'
$sddl = 'D:P(A;;0x1f0001;;;BA)(A;;0x1f0001;;;SY)(A;;0x1f0001;;;OW)'
$security = New-Object -TypeName System.Security.AccessControl.MutexSecurity
$security.SetSecurityDescriptorSddlForm($sddl, 'Access')

# The clock of the machine can jump, for example when it synchronizes. A stopwatch does not.
$watch = New-Object -TypeName System.Diagnostics.Stopwatch
$watch.Start()
$mutex = $null
$created = $false
$held = $false
$waiting = $false
try {
    while (-not $held) {
        try {
            if ($null -eq $mutex) {
                $given = $false, $name, ([ref] $created), $security
                $mutex = New-Object -TypeName System.Threading.Mutex -ArgumentList $given
            }
            # Windows PowerShell cannot stop a script in a call of .NET, so the waits are short.
            $held = $mutex.WaitOne(200)
        }
        catch {
            $cause = $_.Exception.GetBaseException().GetType().Name
            if ($cause -eq 'AbandonedMutexException') { $held = $true }
            elseif ($cause -eq 'UnauthorizedAccessException') { Start-Sleep -Milliseconds 200 }
            else { throw }
        }
        if ($held) { break }
        if (-not $waiting) { Write-State 'waiting' }
        $waiting = $true
        if ($watch.Elapsed.TotalSeconds -ge $Patience) {
            Write-State 'busy'
            return
        }
    }
    Write-State 'held'
    while ($watch.Elapsed.TotalSeconds -lt $Lifetime) { Start-Sleep -Seconds 1 }
}
finally {
    if ($held) { $mutex.ReleaseMutex() }
    if ($null -ne $mutex) { $mutex.Dispose() }
}
