"""The programs of a remote shell: `powershell.exe` and `hostname`."""

from __future__ import annotations

from avma_simulator.shells import powershell_exe
from avma_simulator.shells.process import Console, Program
from avma_simulator.state.machine import Machine

_OK, _FAILED = 0, 1


def find(machine: Machine, line: str) -> Program | None:
    """Return the program of a command line, or None if it does not exist."""
    name = _name(line).lower().rpartition("\\")[2].removesuffix(".exe")
    if name == "powershell":
        return powershell_exe.program(machine, line)
    if name == "hostname":
        return lambda console: _hostname(machine, console)
    return None


def unknown(line: str) -> Program:
    """Return a program that fails like cmd.exe for an unknown command."""

    async def run(console: Console) -> int:
        text = "is not recognized as an internal or external command,\r\noperable program or batch file.\r\n"
        console.write(f"'{_name(line)}' {text}", "stderr")
        return _FAILED

    return run


async def too_long(console: Console) -> int:
    """Fail like cmd.exe for a command line of more than 8,191 characters."""
    console.write("The command line is too long.\r\n", "stderr")
    return _FAILED


async def _hostname(machine: Machine, console: Console) -> int:
    console.write(f"{machine.spec.dns_host_name}\r\n")
    return _OK


def _name(line: str) -> str:
    return next(iter(line.replace('"', "").split()), "")
