"""An estate file with healthy and broken hosts."""

from __future__ import annotations

from loopback import address

KEY = "BCDFG-HJKMN-PQRTV-WXY23-46789"
KEY_2012 = "BCDFG-HJKMP-PQRTV-WXY23-4678N"
ADMINISTRATOR = "Oberon"
PASSWORD = "Correct-Horse-7"
HEALTHY = address(1)
PLAIN = "--no-https"
_ACCOUNT = f"username: {ADMINISTRATOR}, password: {PASSWORD}"
_LICENSED = f'version: "2022", edition: Datacenter, license: {{key: {KEY}}}, {_ACCOUNT}, http: {{port: 5985}}'

ESTATE = f"""
keys:
  - {{key: {KEY}, channel: MAK, version: "2022", edition: Datacenter, activations: 50}}
  - {{key: {KEY_2012}, channel: MAK, version: "2012 R2", edition: Datacenter, activations: 5}}
hosts:
  - name: titania
    version: "2022"
    edition: Datacenter
    license: {{key: {KEY}}}
    address: {address(1)}
    http: {{port: 5985}}
    https: {{port: 5986}}
    logons: [ntlm, basic]
    {_ACCOUNT.replace(", ", chr(10) + "    ")}
    vms:
      - {{name: Payroll DB, version: "2022", edition: Standard, address: {address(41)}, {_ACCOUNT}}}
      - {{name: sleeper, version: "2019", edition: Standard, state: "off"}}
      - {{name: moth, version: "2022", edition: Datacenter, license: {{key: {KEY}}}, address: {address(42)},
          http: {{port: 5985}}, {_ACCOUNT}}}
  - {{name: selfsigned, version: "2022", edition: Datacenter, address: {address(2)}, {_ACCOUNT},
      https: {{port: 5986, certificate: selfSigned}}}}
  - {{name: expired, version: "2022", edition: Datacenter, address: {address(3)}, {_ACCOUNT},
      https: {{port: 5986, certificate: expired}}}}
  - {{name: wrongname, version: "2022", edition: Datacenter, address: {address(4)}, {_ACCOUNT},
      https: {{port: 5986, certificate: wrongName}}}}
  - {{name: norights, address: {address(5)}, rights: none, {_LICENSED}}}
  - {{name: noshells, address: {address(6)}, rights: wmi, {_LICENSED}}}
  - {{name: closed, address: {address(7)}, remotePowerShell: false, {_LICENSED}}}
  - {{name: standard, version: "2022", edition: Standard, address: {address(8)}, {_ACCOUNT}, http: {{port: 5985}}}}
  - {{name: evaluation, version: "2022", edition: Datacenter, evaluation: true, address: {address(9)}, {_ACCOUNT},
      http: {{port: 5985}}}}
  - {{name: unlicensed, version: "2022", edition: Datacenter, address: {address(10)}, {_ACCOUNT}, http: {{port: 5985}}}}
  - {{name: keyless, version: "2022", edition: Datacenter, license: none, address: {address(11)}, {_ACCOUNT},
      http: {{port: 5985}}}}
  - {{name: silent, address: {address(12)}, {_LICENSED}, vms: [
      {{name: mute01, version: "2022", edition: Standard, dataExchange: false}}]}}
  - {{name: newer, address: {address(13)}, {_LICENSED}, vms: [{{name: new01, version: "2025", edition: Standard}}]}}
  - {{name: trial, address: {address(14)}, {_LICENSED}, vms: [
      {{name: trial01, version: "2022", edition: Standard, evaluation: true}}]}}
  - {{name: old, version: "2012 R2", edition: Datacenter, license: {{key: {KEY_2012}}}, address: {address(15)},
      {_ACCOUNT}, http: {{port: 5985}}, vms: [{{name: old01, version: "2012 R2", edition: Standard}}]}}
  - {{name: node1, address: {address(16)}, {_LICENSED}}}
  - {{name: node2, address: {address(17)}, {_LICENSED}}}
  - {{name: node3, version: "2022", edition: Datacenter, address: {address(18)}, {_ACCOUNT}, http: {{port: 5985}}}}
  - {{name: node4, address: {address(19)}, {_LICENSED}}}
  - {{name: node5, address: {address(20)}, {_LICENSED}}}
  - {{name: garbled, address: {address(21)}, {_LICENSED}, faults: [{{operation: Enumerate, answer: garbage}}]}}
  - {{name: node6, address: {address(22)}, {_LICENSED}}}
  - {{name: local, version: 23H2, edition: Azure Stack HCI, address: {address(23)}, {_ACCOUNT}, http: {{port: 5985}}}}
  - {{name: blind, address: {address(24)}, rights: user, {_LICENSED}}}
  - {{name: vmmsless, address: {address(25)}, stoppedServices: [vmms], {_LICENSED}}}
clusters:
  - {{name: athens, nodes: [node1, node2], address: {address(31)}, http: {{port: 5985}}}}
  - {{name: sparta, nodes: [node6, node3], address: {address(32)}, http: {{port: 5985}}}}
  - {{name: thebes, nodes: [node4, node5], address: {address(33)}, http: {{port: 5985}}}}
"""
