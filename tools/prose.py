"""Measure how plain the prose of the Markdown pages and of the docstrings is, and print the worst sentences.

`python tools/prose.py [--worst N] [PATH ...]` prints one row for the pages and one for the docstrings. It exits with
code 1 if a target is missed. Without a path, it measures the whole project.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent
DEFAULT = (
    "README.md",
    "DESIGN.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "benchmarks",
    "docs",
    "examples",
    "provider",
    "tools",
)
GENERATED = ("docs/programs",)

_IRREGULAR = (
    "begun broken built chosen done drawn found given gone held kept known left lost made meant met put read run said "
    "seen sent set shown spent taken thought told understood written"
)
_PASSIVE = re.compile(
    rf"\b(?:am|is|are|was|were|be|been|being)(?:\s+(?:not|never|also|already|\w+ly))*\s+"
    rf"(?:\w+ed|{'|'.join(_IRREGULAR.split())})\b",
    re.IGNORECASE,
)
_RELATIVE = re.compile(r"\b(?:that|which|who|whom|whose|what|whatever|whoever)\b", re.IGNORECASE)
_END_OF_SENTENCE = re.compile(r"(?<=[.!?:])\s+(?=[A-Z`\"'(])")
_ODD = re.compile(
    r"\b(?:anew|is none|are none|unless said|unless set|for good|of ours|of yours|beside each other|"
    r"(?:is|are) told to|told apart|in place of|has not(?! been)|needs not|all the same|shall)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sentence:
    """One sentence, and the file that contains it."""

    file: Path
    text: str

    @property
    def words(self) -> int:
        """The number of words."""
        return len(self.text.split())

    @property
    def faults(self) -> int:
        """A score of how hard the sentence is to read. 0 is plain."""
        found = _PASSIVE.findall(self.text) + _RELATIVE.findall(self.text)
        return len(found) + 3 * (";" in self.text) + 3 * len(_ODD.findall(self.text)) + max(0, self.words - 20) // 4


@dataclass(frozen=True)
class Measure:
    """A property of prose with its maximum for plain text."""

    name: str
    target: float
    value: float

    def __str__(self) -> str:
        return f"{self.name} {self.value:.1f} ({self.target:g})"


def measures(sentences: Sequence[Sentence]) -> tuple[Measure, ...]:
    """Return the measures of one or more sentences."""
    text = "\n".join(sentence.text for sentence in sentences)
    count, words = len(sentences), len(text.split())
    return (
        Measure("sentences with `;` in %", 2, 100 * sum(";" in sentence.text for sentence in sentences) / count),
        Measure("words per sentence", 17, words / count),
        Measure("passives per 100 sentences", 27, 100 * len(_PASSIVE.findall(text)) / count),
        Measure("relatives per 100 words", 2.5, 100 * len(_RELATIVE.findall(text)) / words),
        Measure("odd phrases", 0, len(_ODD.findall(text))),
    )


def of_markdown(text: str) -> Iterator[str]:
    """Yield the sentences of a page's paragraphs and list items, without code and tables."""
    depth = 0
    for token in MarkdownIt().enable("table").parse(re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)):
        depth += {"table_open": 1, "heading_open": 1, "table_close": -1, "heading_close": -1}.get(token.type, 0)
        if token.type == "inline" and depth == 0:
            words = [_plain(child.type, child.content) for child in token.children or ()]
            yield from _sentences("".join(words))


def of_python(source: str) -> Iterator[str]:
    """Yield the sentences of the docstrings, including those of attributes."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            text = getattr(getattr(statement, "value", None), "value", None)
            if isinstance(statement, ast.Expr) and isinstance(text, str):
                for paragraph in re.split(r"\n\s*\n", text):
                    yield from _sentences(re.sub(r"`[^`]*`", "X", paragraph))


def _plain(kind: str, content: str) -> str:
    return {"code_inline": "X", "softbreak": " ", "hardbreak": " ", "html_inline": ""}.get(kind, content)


def _sentences(paragraph: str) -> Iterator[str]:
    flat = " ".join(paragraph.split())
    if flat.startswith(("Raises:", "Args:", "Returns:", "Attributes:", ">>>", "::")):
        return
    yield from (text for text in _END_OF_SENTENCE.split(flat) if len(text.split()) > 2)


def files(paths: Sequence[str]) -> Iterator[Path]:
    """Yield the Markdown and Python files in files and folders, without generated ones."""
    for path in map(ROOT.joinpath, paths):
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in found:
            generated = file.is_relative_to(ROOT) and str(file.relative_to(ROOT)).startswith(GENERATED)
            if file.suffix in (".md", ".py") and not generated:
                yield file


def main(arguments: Sequence[str]) -> int:
    """Print the measures of each kind of text. Return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worst", type=int, default=10, metavar="N", help="how many sentences to print of each kind")
    parser.add_argument("paths", nargs="*", default=DEFAULT)
    options = parser.parse_args(arguments)
    kinds: dict[str, list[Sentence]] = {"pages": [], "docstrings": []}
    for file in files(options.paths):
        text = file.read_text("utf-8")
        if file.suffix == ".md":
            kinds["pages"] += [Sentence(file, sentence) for sentence in of_markdown(text)]
        else:
            kinds["docstrings"] += [Sentence(file, sentence) for sentence in of_python(text)]
    return max(_report(kind, sentences, options.worst) for kind, sentences in kinds.items())


def _report(kind: str, sentences: Sequence[Sentence], worst: int) -> int:
    if not sentences:
        return 0
    found = measures(sentences)
    missed = [measure for measure in found if measure.value > measure.target]
    print(f"{kind}: {', '.join(map(str, found))}")
    if not missed:
        return 0
    print(f"{kind}: missed: {', '.join(measure.name for measure in missed)}. The worst sentences:")
    for sentence in sorted(sentences, key=lambda each: each.faults, reverse=True)[:worst]:
        print(f"  {sentence.file.relative_to(ROOT)}: {sentence.text}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
