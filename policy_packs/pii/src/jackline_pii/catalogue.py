"""The detectors that this pack brings: the name that each registers under, and where its class is."""

from __future__ import annotations

_MODULES = {
    "contact": "Email Url UrlCredentials DateOfBirth",
    "phone": "Phone",
    "finance": "CreditCard Iban Bic CryptoWallet",
    "america": "UsSsn UsItin UsEin UsAba UsPassport UsDriverLicense UsNpi UsMbi UsDea CaSin BrCpf BrCnpj",
    "europe": "UkNhs UkNino DeSteuerId EsDni EsNie ItCodiceFiscale FrNir NlBsn PlPesel SePersonnummer",
    "asia_pacific": "AuTfn AuAbn AuMedicare InAadhaar InPan",
    "devices": "IpAddress MacAddress Imei Vin Geo",
    "secrets": "Secret",
    "names": "Person Location",
}
_OTHERWISE = {"Geo": "geo_coordinates"}


def _name(kind: str) -> str:
    """Write `UsSsn` as `us_ssn`."""
    return _OTHERWISE.get(kind) or "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in kind).lstrip("_")


TARGETS: dict[str, str] = {
    _name(kind): f"jackline_pii.detectors.{module}:{kind}"
    for module, kinds in _MODULES.items()
    for kind in kinds.split()
}
"""Name -> where its class is. In a bundle each is written in upper case: `us_ssn` is `US_SSN`."""

NOT_BY_DEFAULT = frozenset({"URL", "PERSON", "LOCATION"})
"""Looked for only when a policy names it: a web address alone is nobody's, and names need a language model."""

DEFAULT: tuple[str, ...] = tuple(sorted(name.upper() for name in TARGETS if name.upper() not in NOT_BY_DEFAULT))
"""What a policy looks for unless it says."""
