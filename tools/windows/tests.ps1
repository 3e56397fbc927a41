# Runs the tests that work on Windows: units, the protocol of the plugin, the simulator, and the facts on it.
$ErrorActionPreference = 'Stop'
# The simulator listens on the ports of WinRM. The service takes them on all addresses, also on those of loopback.
Stop-Service -Name WinRM -Force
& python -m pytest -q -n auto --dist loadgroup -m 'not engine' tests/unit tests/contract tests/simulator tests/conformance
exit $LASTEXITCODE
