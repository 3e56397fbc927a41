"""Which parts of a sentence a recording keeps, on invented sentences in the forms of Windows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avma.recording.sentences import Sentences
from avma.recording.standins import Standins


@pytest.fixture
def sentences() -> Sentences:
    standins = Standins()
    for name in (
        "hv01.lab.example",
        "Payroll DB",
        "hv",
        "2019",
        "10.0.1",
        "\u0130stanbul",
        "stra\u00dfe",
        "web(1)",
        "支店",
    ):
        standins.of(name)
    standins.name("averyveryverylongname")
    standins.account("LAB\\Oberon")
    return Sentences(standins)


@pytest.mark.parametrize(
    "sentence",
    [
        "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.",
        "Access is denied.",
        "The Software Licensing Service reported that the product key is invalid (HRESULT: 0xC004F050).",
        "Windows Server 2022 Datacenter, build 20348.1; 90 days, 12 minutes and 5% are left since 2026-01-02 03:04:05.",
        "The class Win32_OperatingSystem is not in the namespace root\\cimv2 or root/virtualization/v2.",
        "The key …46789 is blocked, and [secret] is the password.",
        "The user's rights don't suffice for S-1-5-32-544 and S-1-5-18.",
        "See http://go.microsoft.com/fwlink/?LinkId=123456, or http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd.",
        "Der Zugriff wurde verweigert, während Windows den Schlüssel prüfte.",
        "アクセスが拒否されました。",
        "OS: 10.0.26100 SP: 0.0 Stack: 3.0",
        "HRESULT 0xc004f050,Microsoft.Management.Infrastructure.CimCmdlets",
        "SL_E_OOB_GRACE_PERIOD and ERROR_ACCESS_DENIED",
        'The class "Win32_Service" is not found.',
    ],
)  # fmt: skip
def test_harmless_values_stay(sentences: Sentences, sentence: str) -> None:
    assert sentences.clear(sentence) == sentence


@pytest.mark.parametrize(
    ("sentence", "cleared"),
    [
        ("for HV01.lab.example at HV01:", "for name1.domain1.invalid at name1:"),
        ("of hv and HV", "of name4 and name4"),
        ("start Payroll DB (PAYROLL DB).", "start name3 (name3)."),
        ("the VM 2019, not 20190 or 12019", "the VM 1001, not 20190 or 12019"),
        ("LAB\\Oberon, oberon@lab.example", "name2\\user1, user1@domain1"),
    ],
)
def test_what_is_known_is_replaced_by_the_same(sentences: Sentences, sentence: str, cleared: str) -> None:
    assert sentences.clear(sentence) == cleared


@pytest.mark.parametrize(
    ("sentence", "secrets"),
    [
        # security identifiers
        ("the SID S-1-5-21-3623811015-3361044348-30300820-1013.", ["3623811015", "30300820", "1013"]),
        ("(s-1-12-1-1111-2222-3333-4444)", ["1111", "4444"]),
        # accounts
        ("mail to titania.queen@woods.example now", ["titania", "queen", "woods"]),
        ("UPN=titania@woods", ["titania", "woods"]),
        ("user WOODS\\titania or .\\titania, woods/titania", ["woods", "titania"]),
        ("for NT-WOODS\\svc_titania$ and TITANIA$", ["woods", "titania"]),
        # adapters
        ("MAC 00-15-5D-0A-0B-0C", ["15-5D", "0A-0B"]),
        ("MAC 00:15:5d:0a:0b:0c, 0015.5d0a.0b0c, 00155D0A0B0C; aabbccddeeff", ["5d", "0a0b", "aabb"]),
        ("MAC AA-BB-CC-DD-EE-FF and 001555010203", ["BB-CC", "1555"]),
        # shares and paths
        ("open \\\\titania\\share$\\sales", ["titania", "share", "sales"]),
        ("in C:\\Users\\titania\\AppData\\x.log", ["titania", "appdata"]),
        ("file:///C:/Users/titania and \\\\?\\UNC\\titania\\x", ["titania"]),
        ("HOST/titania and WSMAN/titania.woods.example:5985", ["titania", "woods"]),
        # directory
        ("CN=Titania Queen,OU=Night Wood,DC=woods,DC=example", ["titania", "queen", "night", "woods"]),
        ('cn = "Queen, Titania" ; dc = woods. It failed.', ["titania", "queen", "woods"]),
        ("LDAP://titania/CN=Titania Queen,OU=Night Wood,DC=woods", ["titania", "wood"]),
        ("issuer OU=Night Wood", ["night", "wood"]),
        # addresses
        ("at 010.001.002.003, 10.1.2.3:5985 and 10.1.2.0/24", ["010.", "10.1"]),
        ("at fe80::1, [FE80::1]:5985, fe80::1%12 and ::1", ["fe80", " ::1"]),
        ("at 2001:0db8:0000:0000:0000:0000:1428:57ab/64, ::ffff:10.1.2.3", ["57ab", "10.1.2"]),
        ("at fe80--1s4.ipv6-literal.net", ["fe80"]),
        ("at https://titania:5986/wsman?x=oberon and http://[fe80::1]/", ["titania", "oberon", "fe80"]),
        # conspicuous names
        ("Machine='titania' Machine=titania Node: \"titania\"", ["titania"]),
        ("the VM 'Night Wood' and \u201eNight Wood\u201c or \u00abNight Wood\u00bb", ["night", "wood"]),
        ("TITANIA does not answer; web-titania and titania_01 neither", ["titania"]),
        ("host titania01", ["titania"]),
        ("Serial 3XK-99-B7 and 1234-5678-9012-3456", ["3XK", "B7", "5678"]),
        ("thumbprint A9F1C3D4E5B60718293A4B5C6D7E8F9012345678", ["A9F1"]),
        ("id {8A1F0C52-6A0E-4B3C-9F61-0C2D4C1F0A11}", ["8A1F", "0A11"]),
        # known names whose letters change with their case, in other surroundings
        ("of \u0130STANBUL, \u0130stanbul and i\u0307stanbul", ["stanbul"]),
        ("at STRASSE and Stra\u00dfe and strasse", ["stra"]),
        ("at Payroll\tDB or payroll DB's disk", ["payroll DB"]),
        ("サーバーHV01に接続、支店は", ["hv01", "支店"]),
        ("computer AVERYVERYVERYLO", ["averyvery"]),
        ("the VM web(1), hv01-backup and backup/hv01$", ["web", "hv01"]),
        ("build 10.0.1 of it", ["10.0.1"]),
        ("Error (hv01) [hv01] {hv01} <hv01> hv01; 'hv01", ["hv01"]),
    ],
)
def test_identifying_values_are_replaced(sentences: Sentences, sentence: str, secrets: list[str]) -> None:
    cleared = sentences.clear(sentence).lower()
    assert not [secret for secret in secrets if secret.lower() in cleared], cleared


NAMES = st.builds("{}zqxj{}".format, *[st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=6)] * 2)
"""Names of VMs with four unique letters inside. No sentence contains them."""


@given(name=NAMES, words=st.sampled_from(["{}", "the VM {} failed", "'{}' failed", '"{}".', "({})", "of {}, on {}:"]))
@settings(max_examples=500, deadline=None)
def test_no_name_that_is_known_is_left_in_a_sentence(name: str, words: str) -> None:
    standins = Standins()
    standins.of(name)
    for spelling in (name, name.lower(), name.upper(), name.casefold()):
        assert "zqxj" not in Sentences(standins).clear(words.format(*[spelling] * 2)).casefold()
