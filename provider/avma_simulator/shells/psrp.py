"""psrpcore's server with the behavior of Windows: first messages, byte order marks, and accepted fragments."""

from __future__ import annotations

import struct
import uuid
from typing import Any

from psrpcore import PSRPEvent, ServerRunspacePool, StreamType
from psrpcore.types import PSObject, PSRPMessageType, PSVersion, SessionCapability

from avma_simulator.state.windows import Windows

_FRAGMENT = struct.Struct(">QQBI")
_MESSAGE_HEADER = 40
"""Bytes of destination, type, pool and pipeline before the data of a message ([MS-PSRP] 2.2.1)."""
_BOM = b"\xef\xbb\xbf"
_CALLS = (
    PSRPMessageType.SetMaxRunspaces,
    PSRPMessageType.SetMinRunspaces,
    PSRPMessageType.ResetRunspaceState,
    PSRPMessageType.GetAvailableRunspaces,
)


class Pool(ServerRunspacePool):
    """The server's side of one runspace pool."""

    def __init__(self, windows: Windows) -> None:
        table = _versions(windows)
        super().__init__({"PSVersionTable": table})
        self.our_capability = SessionCapability(
            PSVersion=PSVersion("2.0"),
            protocolversion=table["PSRemotingProtocolVersion"],
            SerializationVersion=table["SerializationVersion"],
        )

    def prepare_message(
        self,
        message: PSObject | None,
        message_type: PSRPMessageType | None = None,
        pipeline_id: uuid.UUID | None = None,
        stream_type: StreamType = StreamType.default,
    ) -> None:
        """Queue a message.

        Recorded: Windows starts the data with a byte order mark and writes null as `<Nil />`.
        """
        super().prepare_message(message, message_type, pipeline_id, stream_type)
        data = self._send_buffer[-1]._data
        if message is None:
            data += b"<Nil />"
        data[_MESSAGE_HEADER:_MESSAGE_HEADER] = _BOM

    def _process_message(self, message: Any) -> PSRPEvent[Any, Any]:
        # [MS-PSRP] 2.2.2.6 writes CI, PowerShell ci. PowerShell ignores the case of property names, psrpcore does not.
        if message.message_type in _CALLS:
            message._data = message._data.replace(b'N="CI"', b'N="ci"')
        return super()._process_message(message)


def are_whole_fragments(data: bytes) -> bool:
    """Return True if the bytes are complete fragments."""
    position = 0
    while position + _FRAGMENT.size <= len(data):
        position += _FRAGMENT.size + int(_FRAGMENT.unpack_from(data, position)[3])
    return position == len(data)


def _versions(windows: Windows) -> dict[str, Any]:
    """Return `$PSVersionTable` as Windows PowerShell sends it.

    Recorded: 5.1. Inferred (pool-runs-windows-powershell-5-1): 4.0, the version of 2012 R2.
    """
    build = PSVersion(f"{windows.release}.1")
    texts = ["1.0", "2.0", "3.0"]
    if windows.version == "2012 R2":
        version, protocol, edition = PSVersion("4.0"), "2.2", {}
    else:
        version, protocol, edition = PSVersion(f"5.1.{windows.build}.1"), "2.3", {"PSEdition": "Desktop"}
        texts += ["4.0", "5.0"]
    return {
        "PSVersion": version,
        **edition,
        "PSCompatibleVersions": [*map(PSVersion, texts), version],
        "CLRVersion": PSVersion("4.0.30319.42000"),
        "BuildVersion": build,
        "WSManStackVersion": PSVersion("3.0"),
        "PSRemotingProtocolVersion": PSVersion(protocol),
        "SerializationVersion": PSVersion("1.1.0.1"),
    }
