"""An inventory as one self-contained page. It needs no network. Without JavaScript, it shows plain tables.

Every text is escaped. The Content-Security-Policy of the page allows only its own script and style.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from html import escape
from importlib import resources
from itertools import groupby
from string import Template

from avma import compatibility
from avma.inventory.inventory import Answer, Inventory, Seen, SeenCluster, SeenHost, SeenVm
from avma_cli.report import rows

_HOST_HEADS = ("Host", "Cluster", "System", "License", "Key", "Managed since")
_VM_HEADS = ("VM", "Host", "System", "License", "Key", "Activated by", "Last activated (UTC)")
_ALONE = "Hosts without a cluster"
_CODE = re.compile(r"`([^`]+)`")


def page(inventory: Inventory, source: str) -> str:
    """Return the page. `source` names the host list."""
    style, script = _file("page.css"), _file("page.js")
    return Template(_file("page.html")).substitute(
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        taken=escape(rows.time(inventory.taken_at)),
        source=escape(source),
        tiles="".join(_tiles(inventory)),
        attention=_attention(inventory),
        kinds="".join(_kinds(inventory)),
        host_heads=_heads(_HOST_HEADS),
        host_rows="\n".join(map(_host_row, inventory.hosts)),
        vm_heads=_heads(_VM_HEADS),
        vm_rows="\n".join(_vm_row(host, vm) for host, vm in inventory.vms),
        map="\n".join(_map(inventory)),
        matrix_heads="".join(f'<th scope="col">Guest {version}</th>' for version in compatibility.VERSIONS),
        matrix_rows="\n".join(_matrix(inventory)),
    )


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the source expression of a text for a Content-Security-Policy (W3C CSP Level 3, "hash-source")."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _tiles(inventory: Inventory) -> Iterator[str]:
    found = rows.summary(inventory)
    tiles = (
        ("Hosts licensed", f"{found.hosts_licensed} of {found.hosts}", "good"),
        ("Hosts not read", found.hosts - found.hosts_answered, "bad"),
        ("VMs licensed", f"{found.vms_licensed} of {found.vms}", "good"),
        ("VMs not licensed", found.vms_unlicensed, "bad"),
        ("VMs not read", found.vms_unread, "open"),
        ("VMs off", found.vms_off, "idle"),
    )
    for label, number, kind in tiles:
        yield f'<div class="{kind if number else "idle"}"><dt>{label}</dt><dd>{number}</dd></div>'


def _attention(inventory: Inventory) -> str:
    """Return the section with the problems, empty without problems."""
    items = [
        *(_item(f"cluster {each.cluster}", "Not read", each.problem, each.remedy) for each in _unread(inventory)),
        *(
            _item(f"host {host.host}", rows.verdict(host).word, rows.note(host), host.remedy)
            for host in inventory.hosts
            if host.problem or not host.covered
        ),
        *(
            _item(f"{vm.vm_name} on {host.host}", rows.verdict(vm).word, rows.note(vm), vm.remedy)
            for host, vm in inventory.vms
            if vm.answer in (Answer.DOWN, Answer.FAILED) or (vm.license_status is not None and not vm.licensed)
        ),
    ]
    if not items:
        return ""
    lines = "\n".join(items)
    title = '<h2 id="attention-title">Needs attention</h2>'
    return f'<section class="attention" aria-labelledby="attention-title">{title}\n<ul>{lines}</ul></section>'


def _unread(inventory: Inventory) -> Iterator[SeenCluster]:
    return (cluster for cluster in inventory.clusters if cluster.problem)


def _item(name: str, word: str, problem: str | None, remedy: str | None) -> str:
    reason = f": {rows.sentences(problem, remedy)}" if problem else ""
    return f"<li><strong>{escape(name)}</strong> — {escape(word)}{_prose(reason)}</li>"


def _kinds(inventory: Inventory) -> Iterator[str]:
    words = {rows.verdict(seen).word for seen in (*inventory.hosts, *(vm for _, vm in inventory.vms))}
    return (f"<option>{escape(word)}</option>" for word in sorted(words))


def _heads(names: Iterable[str]) -> str:
    return "".join(f'<th scope="col">{escape(name)}</th>' for name in names)


def _host_row(host: SeenHost) -> str:
    found = rows.verdict(host)
    cluster = f"{host.cluster}, {host.cluster_state}" if host.cluster and host.cluster_state else host.cluster or ""
    cells = (
        escape(cluster),
        escape(rows.system(host.os_version, host.edition)),
        _badge(found, rows.note(host)),
        _key(host),
        _time(host.recorded_since),
    )
    name = _named(host.host, host.address)
    return f'<tr data-word="{escape(found.word)}"><th scope="row">{name}</th>{_cells(cells)}</tr>'


def _vm_row(host: SeenHost, vm: SeenVm) -> str:
    found = rows.verdict(vm)
    cells = (
        escape(host.host),
        escape(rows.guest_system(vm)),
        _badge(found, rows.note(vm)),
        _key(vm),
        escape(vm.activated_by_host or ""),
        _time(vm.last_activation_time),
    )
    name = _named(vm.vm_name, vm.guest_name or "")
    return f'<tr data-word="{escape(found.word)}"><th scope="row">{name}</th>{_cells(cells)}</tr>'


def _cells(cells: Iterable[str]) -> str:
    return "".join(f"<td>{cell}</td>" for cell in cells)


def _named(name: str, also: str) -> str:
    other = f" <small>{escape(also)}</small>" if also and also.lower() != name.lower() else ""
    return f"{escape(name)}{other}"


def _badge(found: rows.Verdict, note: str = "") -> str:
    reason = f" <small>{_prose(note)}</small>" if note else ""
    return f'<span class="badge {found.kind}"><span aria-hidden="true">{found.sign}</span> {found.word}</span>{reason}'


def _key(seen: Seen) -> str:
    channel = f" <small>{escape(rows.channel(seen))}</small>" if seen.license_channel else ""
    return f"<code>{escape(rows.key(seen))}</code>{channel}" if seen.partial_product_key else ""


def _prose(text: str) -> str:
    """Return a text of this project, with code elements for its backquotes."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _time(text: str | None) -> str:
    return f'<time datetime="{escape(text)}">{escape(rows.time(text))}</time>' if text else ""


def _map(inventory: Inventory) -> Iterator[str]:
    """Yield a box for each cluster with its nodes and their VMs, and one box for hosts without a cluster."""
    for cluster in _unread(inventory):
        yield f'<div class="cluster"><h3>{escape(cluster.cluster)}</h3><p>{escape(cluster.problem or "")}</p></div>'
    for name, hosts in groupby(inventory.hosts, key=lambda host: host.cluster):
        nodes = "\n".join(map(_node, hosts))
        title = f"Cluster {name}" if name else _ALONE
        yield f'<div class="cluster"><h3>{escape(title)}</h3>\n<ul class="nodes">{nodes}</ul></div>'


def _node(host: SeenHost) -> str:
    about = escape(rows.system(host.os_version, host.edition) or host.problem or "")
    chips = "".join(map(_chip, host.vms))
    vms = (
        f'<ul class="chips" aria-label="VMs on {escape(host.host)}">{chips}</ul>'
        if chips
        else "<small>No VMs listed</small>"
    )
    name = f"<strong>{escape(host.host)}</strong> {_badge(rows.verdict(host))}"
    return f"<li><p>{name}<small>{about}</small></p>{vms}</li>"


def _chip(vm: SeenVm) -> str:
    found = rows.verdict(vm)
    sign = f'<span aria-hidden="true">{found.sign}</span>'
    word = f'<span class="quiet">{escape(found.word)}</span>'
    return f'<li class="chip {found.kind}">{sign} {escape(vm.vm_name)} {word}</li>'


def _matrix(inventory: Inventory) -> Iterator[str]:
    counted = rows.matrix(inventory)
    for host in compatibility.VERSIONS:
        cells = "".join(_pair(host, guest, counted.get((host, guest), 0)) for guest in compatibility.VERSIONS)
        yield f'<tr><th scope="row">Host {host}</th>{cells}</tr>'


def _pair(host: str, guest: str, count: int) -> str:
    fits = compatibility.activates(host, guest)
    found = f" · {count} {'VM' if count == 1 else 'VMs'}" if count else ""
    return f'<td class="{"fits" if fits else "fails"}">{"✓ yes" if fits else "✗ no"}{found}</td>'
