import pytest

from avma import compatibility, keys
from avma.keys import KeyKind

PUBLISHED = keys.AVMA_KEYS + keys.KMS_CLIENT_KEYS


def test_published_keys_are_well_formed_and_told_apart_by_their_last_five():
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
        ("", "five groups"),
        ("YQB4H-NKHHJ-Q6K4R-4VMY6", "five groups"),
        ("YQB4H-NKHHJ-Q6K4R-4VMY6-VCH6O", "five groups"),
        ("YQB4HNKHHJQ6K4R4VMY6VCH67", "five groups"),
        ("NNB4H-NKHHJ-Q6K4R-4VMY6-VCH67", "letter N"),
    ],
)
def test_a_malformed_key_is_named_without_being_repeated(key, complaint):
    error = keys.syntax_error(key)
    assert complaint in error
    assert not key or key not in error


def test_a_key_is_shown_by_its_last_five_only():
    assert keys.masked("YQB4H-NKHHJ-Q6K4R-4VMY6-VCH67") == "…VCH67"
