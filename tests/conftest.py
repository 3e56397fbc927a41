"""Settings for all tests: no access to package registries, and no time limits for property tests.

`make test` downloads all packages before the tests run.
"""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.update(GOPROXY="off", PIP_NO_INDEX="1", NPM_CONFIG_OFFLINE="true")
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
