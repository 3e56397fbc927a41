"""The reader of estate files. It checks fields, then their agreement, and reports each mistake with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from avma_simulator.estate import Estate
from avma_simulator.estate_file import consistency, yaml_source


def load_estate(path: Path | str) -> Estate:
    """Read and check an estate file.

    Raises:
        FileError: the file has mistakes. The error lists each with its line.
    """
    read = yaml_source.read(Path(path))
    try:
        estate = Estate.model_validate(read.data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise yaml_source.FileError(read.path, [_mistake(read, dict(problem)) for problem in problems]) from None
    mistakes = [read.mistake(location, text) for location, text in consistency.mistakes(estate)]
    if mistakes:
        raise yaml_source.FileError(read.path, mistakes)
    return estate


_WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not a valid field here",
    "string_type": "must be text. Put it in quotes",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "tuple_type": "must be a list",
    "model_type": "must be an object with fields",
}


def wording(problem: dict[str, Any]) -> str:
    """Return the message for a problem that pydantic found."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "literal_error":
        return f"must be {context['expected']}"
    if kind == "value_error":
        return str(context["error"])
    return _WORDS.get(kind, str(problem["msg"]).replace("Input should", "must"))


def _mistake(read: yaml_source.YamlSource, problem: dict[str, Any]) -> yaml_source.Mistake:
    return read.mistake(problem["loc"], wording(problem))
