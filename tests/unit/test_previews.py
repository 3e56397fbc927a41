"""The warnings of a preview about machines that it could not read."""

from __future__ import annotations

from avma import errors
from avma.wording import ALLOW_MORE_TIME
from pulumi_resource_avma.grpc_errors import text_of_preview

CONTINUES = "The preview continues without the state of this machine."


def test_a_preview_does_not_advise_a_time_limit_that_it_does_not_have() -> None:
    late = errors.TimedOut("read the license", "hv01", "the time limit of 60 s expired", ALLOW_MORE_TIME)
    text = text_of_preview(late, 60)
    assert ALLOW_MORE_TIME not in text
    assert f"A preview waits at most 60 s for a machine, and `pulumi up` waits longer. {CONTINUES}" in text
    assert text.endswith("avma explain timed-out")


def test_a_preview_keeps_the_remedy_of_another_error() -> None:
    closed = errors.Unreachable("connect", "hv01", "nothing listens on that port", "open the port")
    assert f"Open the port. {CONTINUES}" in text_of_preview(closed, 60)
