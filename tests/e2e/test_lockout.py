"""A wrong password and many hosts with the real engine: no account is locked."""

from __future__ import annotations

from e2e.estate import HOST_KEY, PASSWORD, host_license, machine
from loopback import address

ACCOUNT = "LAB\\svc-avma"
ADDRESSES = [address(number) for number in range(1, 7)]
WRONG = "Wrong-Horse-9"


def test_one_wrong_password_on_six_hosts_locks_no_account(serve, workspace):
    hosts = [
        machine(f"hv{n}", "2022", "Datacenter", address, username=ACCOUNT, license={"key": HOST_KEY})
        for n, address in enumerate(ADDRESSES)
    ]
    keys = [{"key": HOST_KEY, "channel": "MAK", "version": "2022", "edition": "Datacenter", "activations": 6}]
    server = serve({"lockoutThreshold": 3, "keys": keys, "hosts": hosts})
    stack = workspace({f"hv{n}": host_license(host=address) for n, address in enumerate(ADDRESSES)})
    stack.run("config", "set", "avma:username", ACCOUNT)
    stack.run("config", "set", "--secret", "avma:password", text=WRONG)
    refused = stack.run("up", "--yes", "--skip-preview", "--parallel", "16", check=False)
    assert refused.returncode != 0
    assert "does not try it again in this run" in refused.stdout
    assert server.failed_sign_ins() == {"LAB\\svc-avma": {"failed": 2, "locked": False}}
    stack.run("config", "set", "--secret", "avma:password", text=PASSWORD)
    stack.run("up", "--yes", "--skip-preview", "--parallel", "16")
