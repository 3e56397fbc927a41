"""The SDKs in `sdk/` match the generators, and programs that use them compile."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_c_sharp

from sdk import go_program, nodejs_package, python_package

ROOT = Path(__file__).parents[2]
SDK = ROOT / "sdk"
PROGRAMS = Path(__file__).parent / "programs"
_LONGEST = 600

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> str:
    return python_package.prepare(tmp_path_factory.mktemp("package"))


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_LONGEST,
        check=False,
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder, except Python's cache files."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.skipif(not go_program.GO, reason="no go here")
def test_committed_is_what_is_generated(tmp_path: Path) -> None:
    generated = run(ROOT / "tools" / "codegen", "sdks", tmp_path, cwd=ROOT)
    assert generated.returncode == 0, generated.stdout
    written = contents(tmp_path)
    # The generator for .NET needs an icon. The repository contains no image.
    del written["dotnet/logo.png"]
    committed = {name: content for name, content in contents(SDK).items() if name != "dotnet/logo.png"}
    assert committed == written, "run `make sdk`"


@pytest.mark.parametrize("file", sorted((SDK / "dotnet").rglob("*.cs")), ids=lambda file: file.name)
def test_the_sdk_for_dotnet_is_csharp(file: Path) -> None:
    assert is_csharp(file.read_bytes())


def test_the_program_in_csharp_is_csharp_and_knows_the_schema() -> None:
    page = (ROOT / "docs" / "sdk.md").read_text("utf-8")
    (program,) = re.findall(r"^```csharp\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert is_csharp(program.encode())
    assert not is_csharp(program.replace("{", "(", 1).encode())
    sources = "".join(file.read_text("utf-8") for file in (SDK / "dotnet").glob("*.cs"))
    for name in ("HostLicense", "VmActivation", "Host", "VmName", "ActivatedByHost"):
        assert name in program
        assert re.search(rf"public .*\b{name}\b", sources)


def is_csharp(text: bytes) -> bool:
    """Return True if a text is C#, according to a grammar."""
    language = tree_sitter.Language(tree_sitter_c_sharp.language())
    return not tree_sitter.Parser(language).parse(text).root_node.has_error


def test_the_python_package_has_all_that_the_schema_has(package: str, tmp_path: Path) -> None:
    schema = json.loads((ROOT / "schema.json").read_text("utf-8"))
    names = {section: [token.rpartition(":")[2] for token in schema[section]] for section in ("resources", "functions")}
    functions = [re.sub("(?=[A-Z])", "_", name).lower() for name in names["functions"]]
    objects = [token.rpartition(":")[2] for token, kind in schema["types"].items() if "enum" not in kind]
    enums = [token.rpartition(":")[2] for token, kind in schema["types"].items() if "enum" in kind]
    program = "import json, pulumi_avma; print(json.dumps(dir(pulumi_avma) + dir(pulumi_avma.outputs)))"
    listed = run(sys.executable, "-B", "-c", program, cwd=tmp_path, PYTHONPATH=package)
    assert listed.returncode == 0, listed.stdout
    assert {"Provider", *names["resources"], *functions, *objects, *enums} <= set(json.loads(listed.stdout))


def test_a_python_program_is_type_checked(package: str, tmp_path: Path) -> None:
    program = (PROGRAMS / "python" / "program.py").read_text("utf-8")
    assert "Success: no issues found in 1 source file" in mypy(program, package, tmp_path)
    misspelt = mypy(program.replace("vm_name", "vm_nam"), package, tmp_path)
    assert 'Unexpected keyword argument "vm_nam" for overloaded function "VmActivation"' in misspelt
    mistyped = mypy(program.replace('vm_name="web01"', "vm_name=1"), package, tmp_path)
    assert 'No overload variant of "VmActivation" matches argument types "str", "Output[str]", "int"' in mistyped


def mypy(program: str, package: str, folder: Path) -> str:
    """Check a program like its author, for whom the SDK is an installed package."""
    (folder / "program.py").write_text(program, "utf-8")
    options = ["--config-file=", "--strict", "--follow-imports=silent", "--cache-dir=cache"]
    return run(sys.executable, "-m", "mypy", *options, "program.py", cwd=folder, MYPYPATH=package).stdout


def test_a_typescript_program_is_compiled(tmp_path: Path) -> None:
    nodejs_package.prepare(tmp_path)
    nodejs_package.build(tmp_path)
    program = tmp_path / "index.ts"
    program.write_text(program.read_text("utf-8").replace("vmName:", "vmNam:"), "utf-8")
    failed = nodejs_package.tsc(tmp_path)
    assert "'vmNam' does not exist in type 'VmActivationArgs'. Did you mean to write 'vmName'?" in failed.stdout
    program.write_text(program.read_text("utf-8").replace("vmNam:", 'guest: { port: "5985" }, vmName:'), "utf-8")
    assert "Type 'string' is not assignable to type 'Input<number" in nodejs_package.tsc(tmp_path).stdout


def test_a_go_program_is_compiled(tmp_path: Path) -> None:
    go_program.prepare(tmp_path)
    passed = go_program.vet(tmp_path)
    assert passed.returncode == 0, passed.stdout
    program = tmp_path / "program.go"
    program.write_text(program.read_text("utf-8").replace("VmName:", "VmNam:"), "utf-8")
    assert "unknown field VmNam in struct literal of type avma.VmActivationArgs" in go_program.vet(tmp_path).stdout
    mistyped = program.read_text("utf-8").replace(
        "VmNam:", 'Guest: &avma.GuestArgs{Port: pulumi.String("5985")}, VmName:'
    )
    program.write_text(mistyped, "utf-8")
    assert 'cannot use pulumi.String("5985")' in go_program.vet(tmp_path).stdout
