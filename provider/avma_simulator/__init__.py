"""A simulated Windows estate that speaks WinRM: Hyper-V hosts, VMs and the Software Protection Platform.

It serves real HTTP and TLS, NTLM and Basic logon, sealed messages, WS-Management and WMI over a model of activation.
What it does is taken from Microsoft's documentation and from recordings of real servers; what is inferred is marked
so in its source. It shares facts with the core, such as published keys, and no behaviour, so that the two can
disagree.
"""

from avma_simulator.estate import Estate
from avma_simulator.estate_file import load_estate
from avma_simulator.network import CannotListen
from avma_simulator.replay import running_recording, serve_recording
from avma_simulator.server import EstateServer, Ready, running, serve
from avma_simulator.source import FileError

__all__ = [
    "CannotListen",
    "Estate",
    "EstateServer",
    "FileError",
    "Ready",
    "load_estate",
    "running",
    "running_recording",
    "serve",
    "serve_recording",
]
