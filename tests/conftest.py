"""What holds for all tests: package registries are cut off, and no property test fails because the machine is busy.

`make test` downloads beforehand everything that the tests need.
"""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.update(GOPROXY="off", PIP_NO_INDEX="1", NPM_CONFIG_OFFLINE="true")
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
