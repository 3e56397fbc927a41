# Prepares this computer as a machine for the conformance suite: it opens WinRM on http, and creates two local accounts.
# The passwords are random. Later steps of a GitHub workflow get them as masked environment variables. Run it as an
# administrator, on a computer that nobody else uses.
[Diagnostics.CodeAnalysis.SuppressMessageAttribute(
    'PSAvoidUsingConvertToSecureStringWithPlainText', '', Justification = 'The password is random and lives for one run')]
param()

$ErrorActionPreference = 'Stop'

# Returns a random password of 28 characters that satisfies the password policy.
function New-Password {
    $bytes = New-Object -TypeName byte[] -ArgumentList 18
    $random = [System.Security.Cryptography.RandomNumberGenerator]::Create()
    $random.GetBytes($bytes)
    $random.Dispose()
    'aA1-' + [Convert]::ToBase64String($bytes).Replace('+', '-').Replace('/', '_')
}

# Creates a local account in a group, and passes its password on to the later steps.
function Add-Account($name, $groupSid, $variable) {
    $password = New-Password
    Write-Output "::add-mask::$password"
    $secret = ConvertTo-SecureString -String $password -AsPlainText -Force
    New-LocalUser -Name $name -Password $secret -AccountNeverExpires -Description 'pulumi-avma conformance' | Out-Null
    Add-LocalGroupMember -SID $groupSid -Member $name
    "$variable=$password" | Out-File -FilePath $env:GITHUB_ENV -Encoding utf8 -Append
}

Enable-PSRemoting -SkipNetworkProfileCheck -Force | Out-Null
# Without this, Windows removes the administrator rights of a local account that signs in over the network.
$policy = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
Set-ItemProperty -Path $policy -Name LocalAccountTokenFilterPolicy -Value 1 -Type DWord
Restart-Service -Name WinRM

Add-Account 'avma-admin' 'S-1-5-32-544' 'AVMA_PASSWORD'
Add-Account 'avma-user' 'S-1-5-32-580' 'AVMA_USER_PASSWORD'
