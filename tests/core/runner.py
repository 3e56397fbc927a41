"""The simulated machines of the core tests, and a lifecycle runner that acts as a front end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from avma import keys
from avma.cancellation import Cancellation
from avma.configuration import Configuration
from avma.deadline import Deadline
from avma.keys import KeyKind
from avma.properties import dump, promises
from avma.resources.claims import Claims
from avma.resources.host_license.host_resource import HostLicenseResource
from avma.resources.resource import Operation, Resource, Result, Stored
from avma.resources.vm_activation.vm_resource import VmActivationResource
from avma.windows.machines import Machines
from avma.wording import NEUTRAL
from avma_simulator import EstateServer
from loopback import address
from waiting import SkippedPauses

HOST_KEY = "BCDFG-HJKMN-PQRTV-WXY23-46789"
OTHER_KEY = "GFDCB-NMKJH-VTRQP-32YXW-98764"
WRONG_VERSION_KEY = "BCDFG-HJKMP-PQRTV-WXY23-4678N"
WRONG_EDITION_KEY = "BCDFG-HJKMP-PQRTN-WXY23-46787"
ADMINISTRATOR = "Administrator"
PASSWORD = "Correct-Horse-7"

ESTATE = f"""
keys:
  - {{key: {HOST_KEY}, channel: MAK, version: "2022", edition: Datacenter, activations: 2}}
  - {{key: {OTHER_KEY}, channel: Retail, version: "2022", edition: Datacenter}}
  - {{key: {WRONG_VERSION_KEY}, channel: MAK, version: "2019", edition: Datacenter}}
  - {{key: {WRONG_EDITION_KEY}, channel: MAK, version: "2022", edition: Standard}}
hosts:
  - name: hv01
    version: "2022"
    edition: Datacenter
    address: {address(11)}
    http: {{port: 5985}}
    username: {ADMINISTRATOR}
    password: {PASSWORD}
    vms:
      - {{name: web01, version: "2022", edition: Standard, address: {address(21)}, http: {{port: 5985}},
          username: {ADMINISTRATOR}, password: {PASSWORD}}}
      - {{name: new01, version: "2025", edition: Standard, address: {address(22)}, http: {{port: 5985}},
          username: {ADMINISTRATOR}, password: {PASSWORD}}}
      - {{name: eval01, version: "2019", edition: Standard, evaluation: true, address: {address(23)},
          http: {{port: 5985}}, username: {ADMINISTRATOR}, password: {PASSWORD}}}
      - {{name: twin, id: 8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a11, version: "2019", edition: Standard,
          address: {address(24)}, http: {{port: 5985}}, username: {ADMINISTRATOR}, password: {PASSWORD}}}
      - {{name: twin, id: 8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a12, version: "2019", edition: Standard}}
      - {{name: azure01, version: "2022", edition: Datacenter Azure Edition, address: {address(25)},
          http: {{port: 5985}}, username: {ADMINISTRATOR}, password: {PASSWORD}}}
  - {{name: standard, version: "2022", edition: Standard, address: {address(12)}, http: {{port: 5985}},
      username: {ADMINISTRATOR}, password: {PASSWORD}}}
  - {{name: evaluation, version: "2022", edition: Datacenter, evaluation: true, address: {address(13)},
      http: {{port: 5985}}, username: {ADMINISTRATOR}, password: {PASSWORD}}}
  - {{name: licensed, version: "2022", edition: Datacenter, license: {{key: {OTHER_KEY}}}, address: {address(14)},
      http: {{port: 5985}}, username: {ADMINISTRATOR}, password: {PASSWORD}}}
  - {{name: keyless, version: "2022", edition: Datacenter, license: none, address: {address(15)},
      http: {{port: 5985}}, username: {ADMINISTRATOR}, password: {PASSWORD}}}
"""
HV01, STANDARD, EVALUATION, LICENSED, KEYLESS = (address(n) for n in range(11, 16))


class Waiting(list[str]):
    """The messages to the user. The first messages about the wait for the guest call a function each."""

    def __init__(self, *then: Callable[[], object]) -> None:
        super().__init__()
        self._then = list(then)

    def append(self, line: str) -> None:
        super().append(line)
        if "waiting for its guest (" in line and self._then:
            self._then.pop(0)()


@dataclass
class Runner:
    """A runner of the lifecycle of both resources, as a front end. It keeps the messages to the user."""

    configuration: Configuration
    machines: Machines
    cancellation: Cancellation = field(default_factory=Cancellation)
    told: list[str] = field(default_factory=list)
    claims: Claims | None = None
    """The claims of a run with several operations. Without them, each operation is its own run."""
    host = HostLicenseResource()
    vm = VmActivationResource()

    seconds: float = 120
    clock: Callable[[], float] = field(default=time.monotonic)

    def skip_pauses(self, estate: EstateServer | None = None) -> None:
        """Let pauses end at once, and count them as if they had lasted, also in a simulator.

        Then no test depends on real time.
        """
        pauses = SkippedPauses(estate)
        self.cancellation, self.clock = pauses, pauses.clock

    def operation(self, resource: str = "") -> Operation:
        deadline = Deadline(self.seconds, self.cancellation, self.clock)
        claims = self.claims or Claims()
        return Operation(
            self.configuration,
            self.machines,
            deadline,
            self._tell,
            self._tell,
            claims,
            resource,
            show_information=self._tell,
        )

    def _tell(self, text: str) -> None:
        self.told.append(NEUTRAL.render(text))

    def license(self, host: str = HV01, key: str | None = HOST_KEY, **inputs: object) -> Result:
        wanted = {"host": host, **({"product_key": key} if key else {}), **inputs}
        assert self.host.check(wanted) == []
        return require_promises(self.host, self.host.create(wanted, self.operation()))

    def activate(self, vm: str = "web01", host: str = HV01, **inputs: object) -> Result:
        wanted = {"host": host, "vm_name": vm, **inputs}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        assert self.vm.check(wanted) == []
        return require_promises(self.vm, self.vm.create(wanted, self.operation()))


def require_promises(resource: Resource, result: Result) -> Result:
    """Return a result of `create`, after a check of the promised outputs."""
    outputs = dump(result.outputs)
    for name, value in promises(resource.outputs, result.inputs).items():
        assert outputs[name] == value
    return result


def methods(estate: EstateServer, name: str) -> dict[str, int]:
    """Return the number of calls of each WMI method of a machine."""
    operations = estate.counts()[name]["operations"]
    return {op.rpartition("/")[2]: count for op, count in operations.items() if op.startswith("Invoke")}


def stored(result: Result, **inputs: object) -> Stored:
    """Return the stored state of a resource, with changed inputs."""
    wanted = {**result.inputs, **inputs}
    return Stored(wanted, {**wanted, **dump(result.outputs)})


def published_key(kind: KeyKind, version: str, edition: str) -> str:
    """Return a key that Microsoft publishes."""
    found = keys.find(kind, version, edition)
    assert found is not None
    return found.key
