"""Anonymous SOAP messages for a recording. Every value becomes a stand-in unless it is known to identify nobody.

A message is parsed and written again, with its own prefixes and order. So the result contains only elements, their
attributes and their text, and this module checks each of them. Comments, processing instructions and document types are
lost.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any
from xml.etree.ElementTree import ParseError
from xml.sax import SAXException
from xml.sax.handler import ContentHandler
from xml.sax.saxutils import XMLGenerator, escape
from xml.sax.xmlreader import AttributesImpl

from defusedxml import DefusedXmlException
from defusedxml import sax as defusedsax
from defusedxml.ElementTree import fromstring

from avma.recording import fragments, properties, shapes
from avma.recording.queries import with_literals
from avma.recording.sentences import Sentences
from avma.recording.standins import Standins
from avma.recording.vocabulary import Vocabulary
from avma.redaction import Redactor

NOT_XML = "[not XML]"
"""The replacement for an answer that is not XML."""
NOT_A_SCRIPT = "[not a script of this project]"
"""The replacement for the input or output of a program, and for every script that is not part of this project."""

_INSTALLATION_ID = re.compile(r"(?<!\d)(?:\d{48,}|\d{5,9}(?:[- ]\d{5,9}){6,})(?!\d)")
_OWN_SCRIPT = "# avma-script: "
_GUID = re.compile(shapes.GUID, re.IGNORECASE)
_CARRIED = ("stream", "arguments", "creationxml")
"""Elements with the input and output of remote shells."""
_NO_VOCABULARY = Vocabulary()
_NO_XML = (SAXException, ParseError, DefusedXmlException, ValueError, LookupError)


class Rewriter:
    """Rewrites the messages of one recording, and texts of this project about them.

    Args:
        standins: the stand-ins of the recording.
        secrets: the secrets to remove.
        vocabulary: the words that stay in texts of this project.
    """

    def __init__(self, standins: Standins, secrets: Iterable[str], vocabulary: Vocabulary = _NO_VOCABULARY) -> None:
        self._standins = standins
        self._vocabulary = vocabulary
        self._sentences = Sentences(standins)
        self._redact = Redactor()
        self._redact.learn(secrets)

    def learn(self, message: bytes) -> None:
        """Register the names in a message, for removal from the sentences of all messages."""
        self.message(message)

    def message(self, message: bytes) -> str:
        """Return a message without identifying values."""
        written = StringIO()
        try:
            fromstring(message, forbid_dtd=True)  # this parser checks namespaces, the other keeps prefixes
            defusedsax.parseString(message, _Rewriting(self, written), forbid_dtd=True)
        except _NO_XML:
            return NOT_XML
        return written.getvalue()

    def text(self, text: str) -> str:
        """Return a sentence without identifying words."""
        return self._sentences.clear(self._without_secrets(text))

    def own_text(self, text: str) -> str:
        """Return a text of this project without secrets and without the names of machines."""
        return self._sentences.without_names(self._without_secrets(text), self._vocabulary)

    def value(self, name: str, value: str) -> str:
        """Return the value of a property, an element or an attribute without identifying parts."""
        kind, cleared = name.lower(), self._without_secrets(value)
        if properties.stays(kind, value) or (kind == "lang" and self._vocabulary.covers(value)):
            return value
        if value.lstrip().startswith("<INSTANCE"):
            return self._embedded(value)
        if kind in properties.URLS:
            return self._sentences.url(value.strip())
        if kind in properties.QUERIES and value.lstrip()[:6].upper() in ("SELECT", "ASSOCI", "REFERE"):
            return with_literals(cleared, self.value)
        if kind in properties.SENTENCES or kind in properties.QUERIES:
            return self._sentences.clear(cleared)
        if kind in properties.ACCOUNTS:
            return self._standins.account(value)
        if cleared != value:
            return self._sentences.clear(cleared)
        return self._standins.of(value)

    def stream(self, value: str) -> str:
        """Return the input or output of a remote PowerShell, rewritten. It contains messages in Base64."""
        try:
            kept = fragments.rewritten(b64decode(value, validate=True), self._remote_text)
        except (ValueError, RecursionError):
            kept = NOT_A_SCRIPT.encode()
        return b64encode(kept).decode()

    def _remote_text(self, text: str) -> str:
        """Rewrite a text of PowerShell: a script, its answer in JSON, or a sentence."""
        if text.startswith(_OWN_SCRIPT):
            return text.partition("\n")[0]
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, dict):
            return json.dumps(self._spoken("", answer))
        return NOT_A_SCRIPT if "\n" in text else self._spoken("id" if _GUID.fullmatch(text) else "message", text)

    def _spoken(self, name: str, value: Any) -> Any:
        """Rewrite each text in a JSON value. Property names stay readable, apart from identifying words."""
        if isinstance(value, Mapping):
            return {self._sentences.clear(each): self._spoken(each, of_it) for each, of_it in value.items()}
        if isinstance(value, list):
            return [self._spoken(name, each) for each in value]
        if not isinstance(value, str):
            return value
        if name == "id":  # of a VM
            return self._standins.of(value)
        if properties.script_tells(name, value):
            return self.text(value)
        return self.value(name, value)

    def _embedded(self, instance: str) -> str:
        """Rewrite an item of Data Exchange: CIM-XML (DMTF DSP0201) with a Name and Data."""
        try:
            found = {p.get("NAME"): p.findtext("VALUE") or "" for p in fromstring(instance).iter("PROPERTY")}
        except _NO_XML:
            return NOT_XML
        name, data = found.get("Name", ""), found.get("Data", "")
        if not properties.is_guest_item(name):
            name = self._standins.name(name)
        if not properties.guest_tells(name):
            data = ";".join(self._standins.of(part) for part in data.split(";"))
        shown = (
            f'<PROPERTY NAME="{key}" TYPE="string"><VALUE>{escape(value)}</VALUE></PROPERTY>'
            for key, value in (("Data", data), ("Name", name))
        )
        return f'<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem">{"".join(shown)}</INSTANCE>'

    def _without_secrets(self, text: str) -> str:
        return _INSTALLATION_ID.sub("[installation ID]", self._redact(text))


class _Rewriting(ContentHandler):
    """A parser's handler that writes each element again, with the rewritten values of a `Rewriter`."""

    def __init__(self, rewriter: Rewriter, written: StringIO) -> None:
        super().__init__()
        self._rewriter = rewriter
        self._xml = XMLGenerator(written, "utf-8", short_empty_elements=True)
        self._names: list[str] = []
        self._text = ""
        self._is_leaf = False

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - the name is SAX's
        """Write the text before an element, and its start tag. Called by the parser."""
        self._between()
        local = _local(name).lower()
        given = {_local(key).lower(): value for key, value in attrs.items()}
        of_name = given.get("name", "")
        named = local in properties.NAMED and re.fullmatch(r"\w+", of_name) is not None
        kept = {key: self._attribute(key, value, named) for key, value in attrs.items()}
        self._xml.startElement(name, AttributesImpl(kept))
        self._names.append(of_name if named and local != "stream" else local)
        self._is_leaf = True

    def characters(self, content: str) -> None:
        """Collect text. Called by the parser."""
        self._text += content

    def endElement(self, name: str) -> None:  # noqa: N802 - the name is SAX's
        """Write an element's value if it has no child elements, and its end tag. Called by the parser."""
        local = self._names.pop()
        if self._is_leaf and self._text:
            rewrite = (
                self._rewriter.stream(self._text) if local in _CARRIED else self._rewriter.value(local, self._text)
            )
            self._xml.characters(rewrite)
            self._text = ""
        self._between()
        self._xml.endElement(name)
        self._is_leaf = False

    def _between(self) -> None:
        """Write the text between elements as a sentence."""
        text, self._text = self._text, ""
        self._xml.characters(self._rewriter.text(text) if text.strip() else text)

    def _attribute(self, name: str, value: str, named: bool) -> str:
        local = "xmlns" if name.startswith("xmlns") else _local(name).lower()
        return value if local == "name" and named else self._rewriter.value(local, value)


def _local(name: str) -> str:
    return name.rpartition(":")[2]
