"""Runs awinrm against a machine and prints the results as one line of JSON. Argument: the URL.

The program runs in its own environment.
"""

import asyncio
import json
import sys

from awinrm import Session


async def main() -> None:
    told = {}
    async with Session(sys.argv[1], authtype="spnego") as session:
        for name, command in (("hostname", "hostname"), ("unknown", "sing"), ("script", None)):
            run = session.run_ps("Get-Date") if command is None else session.run_cmd(command)
            out, err, code = await run
            told[name] = (out.decode(), err.decode(), code)
    print(json.dumps(told))


asyncio.run(main())
