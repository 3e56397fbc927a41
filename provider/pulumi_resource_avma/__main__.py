"""The plugin process: read arguments, print the port line, then serve.

The engine reads the port from the first line of standard output. The process must print nothing else there.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from typing import TextIO

_FLAGS_WITH_VALUE = ("--tracing", "-tracing")


def engine_address(arguments: Sequence[str]) -> str:
    """Return the address of the engine: the last argument that is not part of a flag, or ""."""
    address, skip = "", False
    for argument in arguments:
        if not skip and not argument.startswith("-"):
            address = argument
        skip = not skip and argument in _FLAGS_WITH_VALUE
    return address


def main() -> int:
    """Serve one engine until a signal arrives. Without an address, serve any number of engines.

    The engine passes flags and an address. The argument `explain` prints an explanation instead. It is for users with
    the plugin archive but without the `avma` command.
    """
    if sys.argv[1:2] == ["explain"]:
        return _explain(sys.argv[2:])
    port_line = _private_stdout()
    _serve(port_line, engine_address(sys.argv[1:]))
    return 0


def _explain(words: Sequence[str]) -> int:
    """Print the output of `avma explain` and return its exit code."""
    from avma.explaining import Outcome, explain
    from pulumi_resource_avma.wording import PULUMI

    answer = explain(words, PULUMI)
    print(answer.text, file=sys.stderr if answer.outcome is Outcome.UNKNOWN_NAME else sys.stdout)
    return {Outcome.FOUND: 0, Outcome.UNKNOWN_NUMBER: 1, Outcome.UNKNOWN_NAME: 2}[answer.outcome]


def _private_stdout() -> TextIO:
    """Reserve standard output for the port line. All other output goes to standard error."""
    private = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return private


def _serve(port_line: TextIO, address: str) -> None:
    # The engine shows standard error when a plugin dies. gRPC's notes on connections would hide the real error.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

    # Modules stay until the process ends, so the garbage collector would find nothing. It takes a tenth of the start.
    gc.disable()

    # Import only here, as output during an import must not precede the port line.
    import asyncio

    from avma import logs
    from avma.redaction import Redactor
    from pulumi_resource_avma.engine import EngineHandler
    from pulumi_resource_avma.server import serve
    from pulumi_resource_avma.servicer import Servicer
    from pulumi_resource_avma.session import Session
    from pulumi_resource_avma.wording import PULUMI

    def announce(port: int) -> None:
        print(port, file=port_line, flush=True)

    redact = Redactor(PULUMI)
    session = Session(redact)
    logs.hide_texts_of_bugs()
    logs.to_stderr(redact)
    logs.to_handler(EngineHandler(session.log))
    gc.freeze()
    gc.enable()
    # If the event loop does not support signal handlers, Ctrl-C arrives as an exception.
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(Servicer(session), announce, address))
    _leave()


def _leave() -> None:
    """Exit without waiting for blocked operations. The engine would kill the process next anyway."""
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
