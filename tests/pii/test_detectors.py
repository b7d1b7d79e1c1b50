"""Every detector against valid and invalid values from the public specification of its scheme."""

from __future__ import annotations

import pytest

from jackline.detector import Detector
from jackline.plugins import installed_plugins
from jackline_pii.catalogue import DEFAULT, TARGETS
from jackline_pii.loading import scanner

BESIDE = scanner(DEFAULT)

# Entity, a word that tells it ("" where none is needed), valid values, values that only look like one.
VECTORS: list[tuple[str, str, list[str], list[str]]] = [
    (
        "EMAIL",
        "",
        [
            "simple@example.com",
            "first.last+tag@sub.example.co.uk",
            "o'brien@example.org",
            "a [at] b.com",
            "jane (at) example (dot) org",
            "m@xn--mnchen-3ya.de",
            "müller@bücher.de",
        ],
        [
            "a..b@example.com",
            "a" * 65 + "@example.com",
            "me@localhost",
            "x@-bad-.com",
            "x@" + "b" * 64 + ".com",
            "@decorator",
            "a @ b",
        ],
    ),
    (
        "PHONE",
        "",
        ["+1 650-253-0000", "+44 20 7946 0958", "(650) 253-0000", "+49 30 901820", "020 7946 0958", "001-650-253-0000"],
        [
            "2024-01-15",
            "15.01.2024",
            "1990-1995",
            "192.168.10.24",
            "3.1415926535",
            "650-253-00001111111111",
            "12:34:56",
            "$1 234 567",
        ],
    ),
    (
        "PHONE",
        "phone",
        ["6502530000", "467 3395", "78 651 450", "650.253.0000x459"],
        ["123456", "1234567890123456789", "2024-01-15", "15.01.2024"],
    ),
    (
        "CREDIT_CARD",
        "",
        [
            "4111 1111 1111 1111",
            "378282246310005",
            "3782 822463 10005",
            "5555-5555-5555-4444",
            "6011111111111117",
            "30569309025904",
            "3530111333300000",
            "6759649826438453",
            "2223000048400011",
            "6205500000000000004",
        ],
        ["4111 1111 1111 1112", "0000 0000 0000 0000", "9999999999999995", "1234567812345670"],
    ),
    (
        "CREDIT_CARD",
        "card",
        ["4111 11 1111 111111", "3598899323053410"],
        ["4111 11 1111 111112", "0000 0000 0000 0000"],
    ),
    (
        "IBAN",
        "",
        [
            "DE89 3704 0044 0532 0130 00",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
            "fr1420041010050500013m02606",
            "GB82 WEST 1234 5698 7654 32",
        ],
        ["GB82 WEST 1234 5698 7654 33", "DE8937040044053201300", "ZZ89370400440532013000"],
    ),
    ("BIC", "BIC", ["DEUTDEFF", "DEUTDEFF500", "NEDSZAJJXXX"], ["DEUTXXFF", "ABSOLUTE9"]),
    (
        "CRYPTO_WALLET",
        "",
        [
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        ],
        [
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
            "0x" + "0" * 40,
        ],
    ),
    (
        "US_SSN",
        "",
        ["460-89-9847", "219 09 9998"],
        ["000-12-3456", "666-12-3456", "912-12-3456", "123-00-4567", "123-45-0000", "078-05-1120", "123-456-789"],
    ),
    ("US_SSN", "SSN", ["123456789", "460899847"], ["000123456", "078051120"]),
    ("US_ITIN", "", ["912-70-1234", "900-50-0001", "999-99-9999"], ["912-93-1234", "912-49-1234", "812-70-1234"]),
    ("US_EIN", "EIN", ["12-3456789", "94-1687665"], ["07-3456789", "12-345678"]),
    ("US_ABA", "routing number", ["021000021", "011401533", "091000019"], ["021000022", "130000000", "000000000"]),
    ("US_PASSPORT", "passport", ["C03005988", "340020013"], ["C0300598", "34002001"]),
    ("US_DRIVER_LICENSE", "driver's license", ["F255-921-50-094-0", "A1234567", "D400-7836-0001"], ["AB", "12-34"]),
    ("US_NPI", "NPI", ["1234567893", "1245319599"], ["1234567890", "3234567893"]),
    ("US_MBI", "", ["1EG4-TE5-MK73", "1EG4TE5MK73"], ["0EG4-TE5-MK73", "1SG4-TE5-MK73", "1EG4-TE5-MKA3"]),
    ("US_DEA", "DEA", ["AB1234563", "F91234563"], ["AB1234564", "IB1234563"]),
    ("UK_NHS", "NHS", ["943 476 5919", "9434765919"], ["943 476 5918", "0000000000"]),
    ("UK_NINO", "", ["AB123456C", "AB 12 34 56 C"], ["QQ123456C", "BG123456A", "AB123456E", "AO123456C"]),
    ("CA_SIN", "social insurance", ["130 692 544", "130692544"], ["130 692 545", "046 454 286", "812 345 676"]),
    ("AU_TFN", "TFN", ["123 456 782", "123456782", "37118629", "85655734"], ["123 456 783", "37118628", "85655735"]),
    ("AU_ABN", "", ["51 824 753 556", "53 004 085 616"], ["51 824 753 557", "01 824 753 556"]),
    ("AU_MEDICARE", "", ["2123 45670 1"], ["2123 45671 1", "7123 45670 1", "2123 45670 0"]),
    ("IN_AADHAAR", "", ["2341 2341 2346", "4991 1866 5246"], ["2341 2341 2347", "0341 2341 2007", "2000 0990 0002"]),
    ("IN_PAN", "", ["ABCPE1234F"], ["ABCXE1234F", "ABCPE0000F", "ABCP12345F"]),
    ("DE_STEUER_ID", "", ["86 095 742 719", "47 036 892 816"], ["86 095 742 718", "12 345 678 903", "06 095 742 719"]),
    ("DE_STEUER_ID", "Steuer-ID", ["86095742719"], ["86095742710"]),
    ("ES_DNI", "", ["12345678Z", "00000000T"], ["12345678A", "12345678I"]),
    ("ES_NIE", "", ["X1234567L", "Y1234567X", "Z1234567R"], ["X1234567A", "W1234567L"]),
    ("IT_CODICE_FISCALE", "", ["RSSMRA85T10A562S", "MRTMTT91D08F205J"], ["RSSMRA85T10A562T", "RSSMRA85Z10A562S"]),
    (
        "FR_NIR",
        "",
        ["2 55 08 14 168 025 38", "255081416802538", "1 85 05 2A 004 012 70", "1 85 05 2B 004 012 97"],
        ["255081416802539", "355081416802538", "1 85 05 2A 004 012 97"],
    ),
    ("BR_CPF", "", ["529.982.247-25", "111.444.777-35"], ["529.982.247-26", "529.982.247-09", "111.111.111-11"]),
    ("BR_CNPJ", "", ["11.222.333/0001-81", "12.ABC.345/01DE-35"], ["11.222.333/0001-82", "12.ABC.345/01DE-36"]),
    ("NL_BSN", "BSN", ["111222333", "123456782"], ["111222334", "000000000"]),
    ("PL_PESEL", "PESEL", ["44051401359", "02070803628", "00222901239"], ["44051401358", "44134401359"]),
    (
        "SE_PERSONNUMMER",
        "",
        ["811218-9876", "19811218-9876", "701063-2391"],
        ["811218-9875", "811318-9876", "29811218-9876"],
    ),
    (
        "IP_ADDRESS",
        "",
        ["8.8.8.8", "2606:4700:4700::1111", "6e40:4041:c617:e898:c11:40d2:c669:2eb4"],
        [
            "192.168.1.1",
            "127.0.0.1",
            "192.0.2.1",
            "03.93.92.16",
            "256.1.1.1",
            "1.2.3.4.5",
            "::1",
            "12:34:56",
            "a::b",
            "224.0.0.251",
            "ff02::1:ff00:1",
        ],
    ),
    (
        "MAC_ADDRESS",
        "",
        ["00:1A:2B:3C:4D:5E", "00-1a-2b-3c-4d-5e", "001a.2b3c.4d5e"],
        ["00:00:00:00:00:00", "00:1A:2B:3C:4D", "00:1A:2B:3C:4D:5E:6F:70"],
    ),
    ("IMEI", "", ["49-015420-323751-8"], ["49-015420-323751-7"]),
    ("IMEI", "IMEI", ["490154203237518"], ["490154203237517"]),
    (
        "VIN",
        "",
        ["1M8GDM9AXKP042788", "1HGCM82633A004352"],
        ["1M8GDM9AYKP042788", "11111111111111111", "1M8GDM9AXKP04278I"],
    ),
    (
        "URL",
        "",
        ["https://www.example.com/a?b=1", "http://Example.com.br/", "www.example.org"],
        ["foo.py", "http://localhost", "example"],
    ),
    (
        "URL_CREDENTIALS",
        "",
        ["https://bob:Tr0ub4dor@db.internal", "postgres://svc:9f$kQ@10.0.0.5:5432"],
        ["https://user:password@host", "https://host/path", "http://a:${PASS}@b"],
    ),
    (
        "DATE_OF_BIRTH",
        "born on",
        ["1984-03-17", "17/03/1984", "17 March 1984", "March 17th, 1984"],
        ["1984-13-17", "32/03/1984", "March 1984"],
    ),
    ("GEO_COORDINATES", "GPS", ["48.8584, 2.2945", "-33.8568,151.2153"], ["98.8584, 2.2945", "48.8, 2.2"]),
]


@pytest.mark.parametrize(
    ("entity", "word", "values", "others"), VECTORS, ids=lambda part: part if isinstance(part, str) else ""
)
def test_valid_values_are_found_and_others_are_not(
    entity: str, word: str, values: list[str], others: list[str]
) -> None:
    """P19: card numbers after any word, social security numbers without dashes, addresses with [at], passports."""
    found = scanner([entity])
    for value in values:
        text = f"Please note {word} {value} for later"
        spans = [text[span.start : span.end] for span in found.scan(text)]
        assert spans == [value], f"{value!r} gives {spans}"
    for value in others:
        text = f"Please note {word} {value} for later"
        assert [text[span.start : span.end] for span in found.scan(text)] == [], f"{value!r} is none"


IBANS = """AD1200012030200359100100 AE070331234567890123456 AL47212110090000000235698741 AT611904300234573201
AZ21NABZ00000000137010001944 BA391290079401028494 BE68539007547034 BG80BNBG96611020345678 BH67BMAG00001299123456
BR1800360305000010009795493C1 CH9300762011623852957 CR05015202001026284066 CY17002001280000001200527600
CZ6508000000192000145399 DE89370400440532013000 DK5000400440116243 DO28BAGR00000001212453611324 EE382200221020145685
ES9121000418450200051332 FI2112345600000785 FO6264600001631634 FR1420041010050500013M02606 GB29NWBK60161331926819
GE29NB0000000101904917 GI75NWBK000000007099453 GL8964710001000206 GR1601101250000000012300695
GT82TRAJ01020000001210029690 HR1210010051863000160 HU42117730161111101800000000 IE29AIBK93115212345678
IL620108000000099999999 IS140159260076545510730339 IT60X0542811101000000123456 JO94CBJO0010000000000131000302
KW81CBKU0000000000001234560101 KZ86125KZT5004100100 LB62099900000001001901229114 LI21088100002324013AA
LT121000011101001000 LU280019400644750000 LV80BANK0000435195001 MC5811222000010123456789030 MD24AG000225100013104168
ME25505000012345678951 MK07250120000058984 MR1300020001010000123456753 MT84MALT011000012345MTLCAST001S
MU17BOMM0101101030300200000MUR NL91ABNA0417164300 NO9386011117947 PK36SCBL0000001123456702 PL61109010140000071219812874
PS92PALS000000000400123456702 PT50000201231234567890154 QA58DOHB00001234567890ABCDEFG RO49AAAA1B31007593840000
RS35260005601001611379 SA0380000000608010167519 SE4550000000058398257466 SI56263300012039086 SK3112000000198742637541
SM86U0322509800000000270100 TN5910006035183598478831 TR330006100519786457841326 VG96VPVG0000012345678901
XK051212012345678906"""
"""The example of each country in the IBAN registry (ISO 13616)."""


@pytest.mark.parametrize("value", IBANS.split())
def test_the_registrys_example_of_each_country_is_found(value: str) -> None:
    found = scanner(["IBAN"])
    for written in (value, " ".join(value[at : at + 4] for at in range(0, len(value), 4))):
        text = f"pay to {written}, please"
        assert [text[span.start : span.end] for span in found.scan(text)] == [written]
    assert found.scan(f"pay to {value[:-1]}, please") == [], "too short"


def test_a_number_behind_a_word_of_something_else_is_no_telephone_number() -> None:
    found = scanner(["PHONE"])
    assert found.scan("invoice 650-253-0000 is open") == []
    assert len(found.scan("the invoice says: phone 650-253-0000")) == 1


def test_every_entity_has_vectors() -> None:
    assert {row[0] for row in VECTORS} | {"SECRET", "PERSON", "LOCATION"} == {name.upper() for name in TARGETS}


@pytest.mark.parametrize("name", TARGETS)
def test_every_detector_is_registered_and_keeps_to_the_protocol(name: str) -> None:
    found = installed_plugins().registrations.detector(name)
    assert found.kind == name.upper()
    made = found()
    assert isinstance(made, Detector)
    assert list(made.find("12 34")) == []


def test_what_needs_a_word_is_left_alone_without_one() -> None:
    found = scanner(DEFAULT)
    for text in ("it has 123456789 parts", "ABSOLUTE NONSENSE", "2024-03-01 was a Friday", "in 1234567893 steps"):
        assert found.scan(text) == [], text


@pytest.mark.parametrize("word", ["order", "message", "transaction", "invoice 12", "id:", "x"])
def test_a_card_is_found_after_any_word(word: str) -> None:
    """P19: nothing that stands before a card hides it."""
    text = f"my {word} 4111 1111 1111 1111 and 5 more"
    assert [text[s.start : s.end] for s in scanner(DEFAULT).scan(text)] == ["4111 1111 1111 1111"]


def test_a_number_that_is_something_else_is_no_telephone_number() -> None:
    found = scanner(["PHONE"])
    for text in ("call me, my card is 4111 1111 1111 1111", "call about SSN 460-89-9847"):
        assert found.scan(text) == [], text


@pytest.mark.parametrize("before", ["", "(", "/", "order 12 ", "x,", "\n", "a=", '"', "2024-01-15 ", "é "])
@pytest.mark.parametrize("after", ["", " 7x", " ok", ".", ",", '"', "\n", ";", "?", "]", " 100 units"])
@pytest.mark.parametrize("value", ["4111 1111 1111 1111", "460-89-9847", "+44 20 7946 0958", "529.982.247-25"])
def test_what_stands_beside_a_value_does_not_hide_it(before: str, after: str, value: str) -> None:
    """P19: other numbers, signs and words before it and after it."""
    text = before + value + after
    at = len(before)
    assert any(s.start <= at and at + len(value) <= s.end for s in BESIDE.scan(text)), text


CHECKED = (
    "CREDIT_CARD IBAN CRYPTO_WALLET US_ABA US_NPI UK_NHS CA_SIN AU_TFN AU_ABN IN_AADHAAR DE_STEUER_ID ES_DNI ES_NIE "
    "IT_CODICE_FISCALE FR_NIR BR_CPF NL_BSN PL_PESEL IMEI"
)


@pytest.mark.parametrize("entity", CHECKED.split())
def test_no_single_wrong_digit_passes_a_checksum(entity: str) -> None:
    """What these schemes were made for: one digit that is mistyped, at any place, is seen."""
    found = scanner([entity])
    passed = []
    for _, word, values, _ in (row for row in VECTORS if row[0] == entity):
        for value in values:
            for place, sign in enumerate(value):
                for digit in "0123456789" if sign.isdigit() else "":
                    wrong = f"{value[:place]}{digit}{value[place + 1 :]}"
                    text = f"note {word} {wrong} ok"
                    if digit != sign and wrong in [text[span.start : span.end] for span in found.scan(text)]:
                        passed.append(wrong)
    assert passed == []
