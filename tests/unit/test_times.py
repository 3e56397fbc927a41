from __future__ import annotations

from datetime import datetime, timezone

import pytest

from avma.wsman.instance import parse_time

NOON = datetime(2026, 1, 2, 12, 0, 5, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T12:00:05Z", NOON),
        ("2026-01-02T12:00:05", NOON),
        ("2026-01-02T14:00:05+02:00", NOON),
        ("2026-01-02T08:30:05-03:30", NOON),
        ("2026-01-02T12:00:05.5Z", NOON.replace(microsecond=500000)),
        ("2026-01-02T12:00:05.1234567Z", NOON.replace(microsecond=123456)),
        ("20260102120005.000000+000", NOON),
        ("20260102140005.000000+120", NOON),
        ("20260102083005.000000-210", NOON),
        (" 2026-01-02T12:00:05Z\n", NOON),
        ("1601-01-01T00:00:00Z", None),
        ("1601-01-01T09:00:00+09:00", None),
        ("1600-12-31T16:00:00-08:00", None),
        ("16010101000000.000000-000", None),
        ("", None),
        ("P0DT0H1M40S", None),
        ("2026-13-02T12:00:05Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("soon", None),
    ],
)
def test_times_are_moments_and_never_is_none(text: str, expected: datetime | None) -> None:
    assert parse_time(text) == expected
