# The settings of PSScriptAnalyzer for this project. Each excluded rule has its reason.
@{
    Severity = @('Error', 'Warning')
    ExcludeRules = @(
        # Start-Guest in cim-in-guest.ps1 starts a job of the script. The scripts have no user to ask for confirmation.
        'PSUseShouldProcessForStateChangingFunctions'
        # ConvertTo-Rows and Write-HostFacts are functions inside a script. Nobody finds them by their noun.
        'PSUseSingularNouns'
    )
}
