"""The programs of a remote shell: `powershell.exe`, `hostname`, `sort`, and `echo` and `exit` of cmd.exe."""

from __future__ import annotations

from avma_simulator.shells import powershell_exe
from avma_simulator.shells.process import Console, Program
from avma_simulator.state.machine import Machine

_OK, _FAILED = 0, 1
_OPERATORS = frozenset("<>|&")
"""Redirections and lists of commands. Simplified: a command with one of them is unknown."""


def find(machine: Machine, line: str) -> Program | None:
    """Return the program of a command line, or None if it does not exist."""
    name = _name(line).lower().rpartition("\\")[2].removesuffix(".exe")
    if name == "powershell":
        return powershell_exe.program(machine, line)
    if name == "hostname":
        return lambda console: _hostname(machine, console)
    if _OPERATORS.intersection(line):
        return None
    return {"echo": _echo(line), "exit": _exit(line), "sort": _sort}.get(name)


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


def _echo(line: str) -> Program:
    async def run(console: Console) -> int:
        console.write(f"{line.partition(' ')[2]}\r\n")
        return _OK

    return run


def _exit(line: str) -> Program:
    async def run(console: Console) -> int:
        code = line.partition(" ")[2].strip()
        return int(code) if code.isdecimal() else _OK

    return run


async def _sort(console: Console) -> int:
    """Wait for input, and write its lines in order. Simplified: the input consists of one message."""
    lines = (await console.read()).splitlines()
    console.write("".join(f"{line}\r\n" for line in sorted(lines, key=str.lower)))
    return _OK


def _name(line: str) -> str:
    return next(iter(line.replace('"', "").split()), "")
