# Runs the tests that work on Windows: units, the protocol of the plugin, and the simulator.
$ErrorActionPreference = 'Stop'
& python -m pytest -q -n auto --dist loadgroup -m 'not engine' tests/unit tests/contract tests/simulator tests/conformance
exit $LASTEXITCODE
