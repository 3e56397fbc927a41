"""A simulated Windows environment that speaks WinRM: Hyper-V hosts, VMs and the Software Protection Platform.

It serves real HTTP and TLS, NTLM and Basic authentication, message encryption, WS-Management and WMI over a model of
activation. Its behavior comes from Microsoft's documentation and from recordings of real servers. The source marks
every other assumption, and names the fact that tests it (`avma_conformance`). The simulator shares
facts with the core, such as published keys, but no behavior. This way the two can disagree, and tests can find mistakes
in either.
"""

from avma_simulator.estate import Estate
from avma_simulator.estate_file.reader import load_estate
from avma_simulator.estate_file.yaml_source import FileError
from avma_simulator.replay import running_recording, serve_recording
from avma_simulator.server import EstateServer, Ready, running, serve
from avma_simulator.winrm.network import CannotListen

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
