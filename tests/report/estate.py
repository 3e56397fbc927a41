"""An estate file with a cluster, single hosts, and VMs in every state, for `avma report`."""

from __future__ import annotations

from avma import keys
from avma.keys import KeyKind
from loopback import address, relocated

KEY = "BCDFG-HJKMN-PQRTV-WXY23-46789"
ADMINISTRATOR = "Oberon"
PASSWORD = "Correct-Horse-7"
GUEST_PASSWORD = "Battery-Staple-8"
SECRETS = (KEY, PASSWORD, GUEST_PASSWORD, *(published.key for published in keys.AVMA_KEYS))

_HOST = f"username: {ADMINISTRATOR}, password: {PASSWORD}, http: {{port: 5985}}"
_GUEST = f"username: {ADMINISTRATOR}, password: {GUEST_PASSWORD}"


def _license(version: str, edition: str) -> str:
    published = keys.find(KeyKind.AVMA, version, edition)
    assert published is not None
    return f"license: {{key: {published.key}}}"


ESTATE = f"""
keys:
  - {{key: {KEY}, channel: MAK, version: "2025", edition: Datacenter, activations: 50}}
clusters:
  - {{name: athens, nodes: [n1, n2, n3], address: {address(100)}, http: {{port: 5985}}}}
hosts:
  - name: n1
    version: "2025"
    edition: Datacenter
    license: {{key: {KEY}}}
    address: {address(1)}
    {_HOST.replace(", ", chr(10) + "    ")}
    vms:
      - {{name: payroll, version: "2022", edition: Standard, {_license("2022", "Standard")}, {_GUEST}}}
      - {{name: web10, version: "2025", edition: Datacenter, {_license("2025", "Datacenter")}, {_GUEST}}}
      - {{name: web9, version: "2019", edition: Standard, {_GUEST}}}
  - name: n2
    version: "2025"
    edition: Datacenter
    license: {{key: {KEY}}}
    address: {address(2)}
    {_HOST.replace(", ", chr(10) + "    ")}
    vms:
      - {{name: mail, version: "2016", edition: Datacenter, {_license("2016", "Datacenter")}, {_GUEST}}}
      - {{name: stranger, version: "2022", edition: Standard, username: Puck, password: Another-1}}
      - {{name: sleeper, version: "2022", edition: Standard, state: "off"}}
  - {{name: n3, version: "2025", edition: Datacenter, address: {address(3)}, {_HOST}}}
  - name: lone
    version: "2022"
    edition: Datacenter
    address: {address(4)}
    {_HOST.replace(", ", chr(10) + "    ")}
    vms:
      - {{name: "<b>odd & 'named'</b>", version: "2012 R2", edition: Standard, {_GUEST}}}
"""

CLUSTER, N1, N2, N3, LONE, NOBODY = (address(number) for number in (100, 1, 2, 3, 4, 99))

LIST = f"""
settings:
  https: false
  username: {ADMINISTRATOR}
  connectTimeout: 5s
  guest: {{username: {ADMINISTRATOR}}}
clusters:
  - {CLUSTER}
hosts:
  - {{host: lone.example.com, connection: {{address: {LONE}}}}}
"""


def elsewhere(text: str) -> str:
    """Return an estate or a list with other addresses, for a test that changes its machines."""
    return relocated(text, by=100)
