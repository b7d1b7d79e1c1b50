"""Names written to look like other names: a tool called `refund` with a Cyrillic letter in it is not `refund`.

Covered: what NFKC folds together, case, invisible and direction-changing characters, white space, dashes, and the
Cyrillic, Greek, Armenian and Latin letters that common fonts draw like an ASCII letter (the part of the table of
Unicode Technical Standard 39 that matters for tool names). ASCII characters that resemble each other (`l`, `1`) differ.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

# Code points, since the characters themselves could not be told apart here.
_DRAWN_LIKE = {
    "a": "0430 0251 03b1 0410 0391",
    "b": "042c 044c 0184 0412 0392 0253",
    "c": "0441 03f2 1d04 0421 03f9",
    "d": "0501 0257 0256",
    "e": "0435 04bd 0415 0395 212e",
    "f": "0192 03dc 03dd 0584",
    "g": "0261 050d 0581 0260",
    "h": "04bb 0570 041d 0397",
    "i": "0456 0131 0269 03b9 0406 0399 0268",
    "j": "0458 03f3 0575 0408",
    "k": "043a 03ba 1d0b 041a 039a",
    "l": "04cf 026d 04c0 01c0 0142",
    "m": "043c 041c 039c",
    "n": "0578 057c 03b7 039d 0272",
    "o": "043e 03bf 0585 03c3 1d0f 041e 039f 0555 00f8",
    "p": "0440 03c1 01bf 0420 03a1",
    "q": "051b 0563 0566 051a",
    "r": "0433 1d26 0280",
    "s": "0455 a731 0405 054f 0282",
    "t": "0442 03c4 1d1b 0422 03a4",
    "u": "057d 028b 03c5 1d1c 054d",
    "v": "0475 03bd 1d20 0474",
    "w": "051d 03c9 1d21 0561 051c 026f",
    "x": "0445 03c7 0425 03a7",
    "y": "0443 04af 03b3 028f 0423 04ae 03a5",
    "z": "1d22 0396 0290",
    "-": "2010 2011 2012 2013 2014 2015 2212 fe63",
    "_": "02cd 2017 203f",
}
_TABLE = {int(code, 16): plain for plain, codes in _DRAWN_LIKE.items() for code in codes.split()}

# Letters and marks that are drawn as nothing, though Unicode does not call them format characters.
_BLANK = frozenset(map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10))))


def _invisible(char: str) -> bool:
    """Whether nothing, or only space, is drawn: control, format, surrogate and separator characters, and blanks."""
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"} or char in _BLANK


@lru_cache(maxsize=64)
def skeleton(name: str) -> str:
    """What a reader may take `name` for: names with equal skeletons are confusable."""
    shown = "".join(char for char in unicodedata.normalize("NFKC", name) if not _invisible(char))
    return unicodedata.normalize("NFKC", shown.translate(_TABLE).casefold()).translate(_TABLE)


@lru_cache(maxsize=64)
def disguised(name: str) -> bool:
    """Whether a name is written so that it is taken for another.

    True for invisible or compatibility characters, and where ASCII letters are mixed with letters drawn like them;
    a name wholly in another script is not disguised.
    """
    if name.isascii():
        return any(_invisible(char) and char != " " for char in name)
    if unicodedata.normalize("NFKC", name) != name or any(_invisible(char) for char in name):
        return True
    mixed = any(char.isascii() and char.isalpha() for char in name)
    return mixed and any(ord(char) in _TABLE for char in name)
