"""Run a script with pywinrm, as a user does for one VM. As a program, it takes the address of the host."""

from __future__ import annotations

import sys

import winrm

USER = "Administrator"
PASSWORD = "Only-For-This-Estate"


def run_ps(address: str, script: str = "hostname") -> None:
    """Run a script in a PowerShell of its own.

    Raises:
        RuntimeError: the script failed.
    """
    session = winrm.Session(f"http://{address}:5985/wsman", auth=(USER, PASSWORD), transport="ntlm")
    answer = session.run_ps(script)
    if answer.status_code != 0:
        raise RuntimeError(answer.std_err.decode())


if __name__ == "__main__":
    run_ps(sys.argv[1])
