"""The commands in docs/how-to/hardening.md that deny an account all sessions except those of JEA.

No PowerShell runs here. The test applies their pattern to the security descriptors in PowerShell's source.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "hardening.md"
REMOTE = "O:NSG:BAD:P(A;;GA;;;BA)(A;;GA;;;RM)(A;;GA;;;IU)S:P(AU;FA;GA;;;WD)(AU;SA;GXGW;;;WD)"
LOCAL = REMOTE.replace("D:P", "D:P(D;;GA;;;NU)")
DENY = "(D;;GXGR;;;S-1-5-21-1-2-3-1104)"


@pytest.mark.parametrize(
    "descriptor",
    [REMOTE, LOCAL, REMOTE.replace("D:P", "D:PAI"), REMOTE.replace("D:P", "D:"), REMOTE.partition("S:")[0]],
)
def test_the_denial_stands_in_front_of_all_entries(descriptor: str) -> None:
    (pattern,) = re.findall(r"SecurityDescriptorSddl -replace '(.+?)'", PAGE.read_text("utf-8"))
    denied = re.sub(pattern, lambda match: match[1] + DENY, descriptor)
    assert denied.replace(DENY, "") == descriptor
    assert denied.index(DENY) == denied.index("(")
