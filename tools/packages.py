"""Builds all packages into a folder: Python packages, the npm package, and the plugin archive.

The plugin archive is for the current platform. It contains its own Python (PyInstaller), so users need none. It has no
Kerberos, because Kerberos needs libraries of the system. The wheel has Kerberos as an extra.

The build uses only the virtual environment of the checkout. Times in archives are those of the last commit, so
unchanged sources produce identical files, as far as the builders allow.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from workspace import ROOT, version

PLUGIN = "pulumi-resource-avma"
_OF_PULUMI = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
"""Pulumi's names of processors, by their Python names."""
_NOT_IN_THE_PLUGIN = (
    "avma_cli",
    "avma_conformance",
    "avma_simulator",
    "gssapi",
    "krb5",
    "sspilib",
    "tkinter",
    "readline",
)
_TYPESCRIPT = ROOT / ".cache" / "typescript" / "node_modules"


def main(arguments: list[str]) -> int:
    """Build all packages into the given folder and list them."""
    folder = Path(arguments[0]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["SOURCE_DATE_EPOCH"] = str(_time())
    with tempfile.TemporaryDirectory() as scratch:
        python_packages(folder)
        python_sdk(folder, Path(scratch))
        nodejs_sdk(folder, Path(scratch))
        plugin(folder, Path(scratch))
    checksums(folder)
    for file in sorted(folder.iterdir()):
        print(f"{file.stat().st_size / 1_000_000:8.2f} MB  {file.name}")
    return 0


def python_packages(folder: Path) -> None:
    """Build the wheel and the source distribution of the provider."""
    _run(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=ROOT)


def python_sdk(folder: Path, scratch: Path) -> None:
    """Build the wheel and the source distribution of the SDK in a copy, as setuptools writes next to the sources."""
    sources = scratch / "python"
    shutil.copytree(ROOT / "sdk" / "python", sources)
    shutil.copy(sources / "pulumi_avma" / "README.md", sources)
    for kind in ("sdist", "wheel"):
        build = f"import setuptools.build_meta as builder; builder.build_{kind}({str(folder)!r})"
        _run(sys.executable, "-c", build, cwd=sources)


def nodejs_sdk(folder: Path, scratch: Path) -> None:
    """Compile and pack the SDK for Node.js. Without TypeScript, print a line to stderr and skip it."""
    if not _TYPESCRIPT.exists():
        sys.stderr.write("TypeScript is not installed: skipping the npm package\n")
        return
    sources = scratch / "nodejs"
    shutil.copytree(ROOT / "sdk" / "nodejs", sources)
    (sources / "node_modules").symlink_to(_TYPESCRIPT)
    _run(_TYPESCRIPT / ".bin" / "tsc", cwd=sources)
    shutil.copy(sources / "package.json", sources / "bin")
    _run("npm", "pack", "--silent", "--pack-destination", folder, cwd=sources / "bin")


def plugin(folder: Path, scratch: Path) -> None:
    """Freeze the plugin, and pack it with the file name that Pulumi expects on this platform."""
    _run(
        *(sys.executable, "-m", "PyInstaller", "--onedir", "--name", PLUGIN, "--noconfirm", "--log-level", "WARN"),
        *("--distpath", scratch, "--workpath", scratch / "work", "--specpath", scratch),
        *("--paths", ROOT / "provider", "--add-data", f"{ROOT / 'schema.json'}{os.pathsep}pulumi_resource_avma"),
        *("--collect-data", "avma", "--collect-submodules", "pulumi.runtime.proto"),
        *(argument for module in _NOT_IN_THE_PLUGIN for argument in ("--exclude-module", module)),
        ROOT / "provider" / "pulumi_resource_avma" / "__main__.py",
        cwd=scratch,
    )
    system = platform.system().lower()
    name = f"{PLUGIN}-v{version()}-{system}-{_OF_PULUMI[platform.machine()]}.tar.gz"
    shutil.copy(ROOT / "LICENSE", scratch / PLUGIN)
    _pack(scratch / PLUGIN, folder / name)


def checksums(folder: Path) -> None:
    """Write the SHA-256 of every file, in the format of `sha256sum --check`."""
    lines = (f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(folder.iterdir()))
    (folder / "SHA256SUMS").write_text("".join(lines))


def _pack(folder: Path, archive: Path) -> None:
    with (
        archive.open("wb") as file,
        gzip.GzipFile("", "wb", 6, file, _time()) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for path in sorted(folder.rglob("*")):
            tar.add(path, str(path.relative_to(folder)), recursive=False, filter=_anonymous)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = _time()
    return entry


def _time() -> int:
    """Return the time of the last commit, in seconds since the epoch."""
    said = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True)
    return int(said.stdout)


def _run(*command: str | Path, cwd: Path) -> None:
    """Run a builder. Show its output if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command[:4]))} ... failed:\n{done.stdout}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
