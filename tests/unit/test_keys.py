import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from avma import characters, compatibility, keys
from avma.keys import KeyKind

PUBLISHED = keys.AVMA_KEYS + keys.KMS_CLIENT_KEYS


def test_published_keys_are_valid_and_distinct_in_their_last_five_characters():
    assert all(keys.syntax_error(published.key) is None for published in PUBLISHED)
    assert len({keys.partial(published.key) for published in PUBLISHED}) == len(PUBLISHED) == 36


@pytest.mark.parametrize("version", compatibility.VERSIONS)
def test_each_version_has_avma_keys_for_datacenter_and_standard(version):
    for edition in (compatibility.DATACENTER, compatibility.STANDARD):
        assert keys.find(KeyKind.AVMA, version, edition)


def test_a_pasted_key_is_recognised():
    pasted = " yqb4h\u2013nkhhj\u2014q6k4r-4vmy6-vch67\n"
    assert keys.published(pasted) == keys.find(KeyKind.AVMA, "2025", "Datacenter")


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("", "is empty"),
        (" \u200b\n", "contains no key"),
        ('""', "contains no key"),
        ("Product Key: ", "contains no key"),
        (
            "YQB4H-NKHHJ-Q6K4R-4VMY6-V\u0421H67",
            "the character at position 26 (U+0421 CYRILLIC CAPITAL LETTER ES, looks like C)",
        ),
        (
            "YQB4H-NKHHJ-Q6K4R-4VMY6-V\u0441h67",
            "the character at position 26 (U+0421 CYRILLIC CAPITAL LETTER ES, looks like C)",
        ),
        ("YQB4H-NKHHJ-Q6K4R-4VMY6-VCH6O", "the character at position 29 (U+004F LATIN CAPITAL LETTER O)"),
        ("YQB4H-NKHHJ-Q6K4R-4VMY6", "the groups have 5, 5, 5, 5 characters"),
        ("YQB4H-NKHHJ-Q6K4R-4VMY6", "five groups"),
        ("YQB4H-NKHHJ-Q6K4R-4VMY6-VCH6O", "five groups"),
        ("YQB4HNKHHJQ6K4R4VMY6VCH67", "five groups"),
        ("NNB4H-NKHHJ-Q6K4R-4VMY6-VCH67", "letter N"),
    ],
)
def test_a_malformed_key_is_named_without_being_repeated(key, complaint):
    error = keys.syntax_error(key)
    assert error is not None
    assert complaint in error
    normalized = keys.normalize(key)
    assert not normalized or normalized not in error


KEY = "YQB4H-NKHHJ-Q6K4R-4VMY6-VCH67"
FULL_WIDTH = "".join(chr(ord(each) + 0xFEE0) for each in KEY)
ONLY_FORMAT = st.text(alphabet="\ufeff\u200b\u00ad\u200e\u200f\u202a\u2060 \t\n\u00a0", max_size=3)
AROUND = st.text(alphabet="\"'`\u201c\u201d\u00ab\u00bb\ufeff\u200b \t\n", max_size=4)


@pytest.mark.parametrize(
    "pasted",
    [
        f"\ufeff{KEY}",
        f"{KEY}\u200b",
        KEY.replace("-", "\u00ad-"),
        f"\u202a{KEY}\u202c",
        FULL_WIDTH,
        f'"{KEY}"',
        f"\u201c{KEY}\u201d",
        f"\u00ab {KEY} \u00bb",
        f"Product Key: {KEY}",
        f"product key:\n'{KEY}'",
        f"Windows Server 2025 Datacenter key = {KEY}",
        KEY.replace("-", "\u2011"),
        KEY.replace("-", "\ufe58"),
        KEY.replace("-", "\u2212"),
        KEY.replace("-", " - "),
        KEY.replace("K", "\u212a"),
    ],
)
def test_what_is_pasted_along_with_a_key_does_not_count(pasted):
    assert keys.syntax_error(pasted) is None
    assert keys.normalize(pasted) == KEY


@given(st.lists(ONLY_FORMAT, min_size=len(KEY) + 1, max_size=len(KEY) + 1), AROUND, AROUND)
def test_no_invisible_character_changes_a_key(between, before, after):
    pasted = before + "".join(f"{hidden}{each}" for hidden, each in zip(between, KEY, strict=False)) + after
    assert keys.normalize(pasted) == KEY


@example("letter")
@example("u+0055")
@given(st.one_of(st.text(max_size=60), st.text(alphabet=f"{KEY}\u0421\u200b\ufeffO0 ", min_size=20, max_size=40)))
def test_any_text_is_a_key_or_has_a_reason_that_does_not_show_it(text):
    reason, cleaned = keys.syntax_error(text), keys.normalize(text)
    if reason is None:
        assert keys.normalize(cleaned) == cleaned
        assert set(cleaned) <= {*keys.ALPHABET, "-"}
    else:
        assert reason.isprintable()
        # The name of a character contains words and digits of its own, which can equal the whole text.
        for character in cleaned:
            reason = reason.replace(characters.describe(character), "")
        assert len(cleaned) <= 5 or cleaned not in reason


def test_a_key_is_shown_by_its_last_five_only():
    assert keys.masked("YQB4H-NKHHJ-Q6K4R-4VMY6-VCH67") == "…VCH67"
