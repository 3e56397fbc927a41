"""A program that makes so many pairs of Check and Diff in its own process, for a count of instructions."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any, cast

from avma.redaction import Redactor
from benchmarks.resources import configure, some_vm
from pulumi_resource_avma.servicer import Servicer
from pulumi_resource_avma.session import Session
from pulumi_resource_avma.wording import PULUMI


async def main(count: int) -> None:
    """Configure the plugin, and make the pairs."""
    servicer, no_context = Servicer(Session(Redactor(PULUMI))), cast(Any, None)
    await servicer.Configure(configure(), no_context)
    for number in range(count):
        vm = some_vm(number)
        await servicer.Check(vm.check(), no_context)
        await servicer.Diff(vm.diff(), no_context)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
    os._exit(0)
