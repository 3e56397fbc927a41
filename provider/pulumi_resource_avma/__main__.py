"""The plugin process: arguments in, port line out, then serve.

It knows the engine's rules for a plugin's process: the first line on standard output is the port, and nothing else
may be printed there.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TextIO

_FLAGS_WITH_VALUE = ("--tracing", "-tracing")


def engine_address(arguments: Sequence[str]) -> str:
    """Return the engine's address, empty when there is none: the last argument that belongs to no flag."""
    address, skip = "", False
    for argument in arguments:
        if not skip and not argument.startswith("-"):
            address = argument
        skip = not skip and argument in _FLAGS_WITH_VALUE
    return address


def main() -> int:
    """Serve one engine, or with no address any number of them, until a signal comes.

    The engine passes flags and an address. The argument `explain` prints an explanation instead, for users who have the
    archive of the plugin and no `avma` command.
    """
    if sys.argv[1:2] == ["explain"]:
        return _explain(sys.argv[2:])
    port_line = _private_stdout()
    _serve(port_line, engine_address(sys.argv[1:]))
    return 0


def _explain(words: Sequence[str]) -> int:
    """Print what `avma explain` prints, with its exit code."""
    from avma.explaining import Outcome, explain

    answer = explain(words)
    print(answer.text, file=sys.stderr if answer.outcome is Outcome.UNKNOWN_NAME else sys.stdout)
    return {Outcome.FOUND: 0, Outcome.UNKNOWN_NUMBER: 1, Outcome.UNKNOWN_NAME: 2}[answer.outcome]


def _private_stdout() -> TextIO:
    """Keep standard output for the port line; whatever else is printed goes to standard error."""
    private = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return private


def _serve(port_line: TextIO, address: str) -> None:
    # The engine shows standard error when a plugin dies; gRPC's notes on connections would bury what matters.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

    # Only now: an import that prints must not come before the port line.
    import asyncio

    from avma import logs
    from avma.redaction import Redactor
    from pulumi_resource_avma.engine import EngineHandler
    from pulumi_resource_avma.server import serve
    from pulumi_resource_avma.servicer import Servicer
    from pulumi_resource_avma.session import Session

    def announce(port: int) -> None:
        print(port, file=port_line, flush=True)

    redact = Redactor()
    session = Session(redact)
    logs.to_stderr(redact)
    logs.to_handler(EngineHandler(session.log))
    # Where an event loop takes no signal handlers, Ctrl-C arrives as an exception.
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(Servicer(session), announce, address))
    _leave()


def _leave() -> None:
    """End without waiting for operations that hang in a machine's silence; the engine would kill them next."""
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
