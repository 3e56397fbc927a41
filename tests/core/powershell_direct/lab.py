"""Simulated guests behind their hosts, and helpers for their tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from avma import errors
from avma.connection import Connection, resolve
from avma.settings import Settings
from avma_simulator import EstateServer
from core.runner import ADMINISTRATOR, OTHER_KEY, PASSWORD
from loopback import address

GUEST_PASSWORD = "Battery-Staple-8"
HOST = address(11)
OLD_HOST = address(12)
LIMITED_HOST = address(13)
SLOW_HOST = address(14)
HANGING_HOST = address(15)
GUEST = f'version: "2022", edition: Standard, network: false, username: {ADMINISTRATOR}, password: {GUEST_PASSWORD}'
LICENSED = f"edition: Datacenter, license: {{key: {OTHER_KEY}}}, username: {ADMINISTRATOR}, password: {PASSWORD}"
MANY = [f"app{number:02}" for number in range(12)]
ESTATE = f"""
keys:
  - {{key: {OTHER_KEY}, channel: Retail, version: "2022", edition: Datacenter}}
hosts:
  - {{name: hv01, version: "2022", address: {HOST}, http: {{port: 5985}}, {LICENSED}, vms: [
      {{name: web01, {GUEST}}}, {{name: mute01, dataExchange: false, {GUEST}}},
      {{name: old01, {GUEST.replace("2022", "2012 R2")}}},
      {{name: oldmute01, dataExchange: false, {GUEST.replace("2022", "2012 R2")}}},
      {", ".join(f"{{name: {name}, {GUEST}}}" for name in MANY)}]}}
  - {{name: old, version: "2012 R2", address: {OLD_HOST}, http: {{port: 5985}}, edition: Datacenter,
      username: {ADMINISTRATOR}, password: {PASSWORD}, vms: [{{name: on-old, {GUEST.replace("2022", "2012 R2")}}}]}}
  - {{name: limited, version: "2022", address: {LIMITED_HOST}, http: {{port: 5985}}, {LICENSED}, rights: wmi,
      vms: [{{name: on-limited, {GUEST}}}]}}
  - {{name: slow, version: "2022", address: {SLOW_HOST}, http: {{port: 5985}}, {LICENSED}, delays: {{powershell: 60}},
      vms: [{{name: on-slow, {GUEST}}}]}}
  - {{name: hanging, version: "2022", address: {HANGING_HOST}, http: {{port: 5985}}, {LICENSED},
      vms: [{{name: on-hanging, {GUEST}, delays: {{powershell: 60}}}}]}}
"""
INSTALL = "SoftwareLicensingService/InstallProductKey"


def at_once(calls: Sequence[Callable[[], object]]) -> list[Any]:
    """Make the calls in parallel and return their results or errors."""
    answers: list[object] = [None] * len(calls)

    def call(index: int) -> None:
        try:
            answers[index] = calls[index]()
        except errors.AvmaError as error:
            answers[index] = error

    threads = [threading.Thread(target=call, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def invoked(estate: EstateServer) -> list[str]:
    return [op for machine in estate.counts().values() for op in machine["operations"] if op.startswith("Invoke")]


def resolved() -> Connection:
    return resolve(HOST, Settings(https=False, username=ADMINISTRATOR, password=PASSWORD))
