"""What stands where a secret will stand: examples in documentation, masks, variables."""

from __future__ import annotations

import math
import re
from collections import Counter

_STOP = re.compile(
    r"example|sample|placeholder|changeme|change[-_]me|replace|your[-_]?|dummy|fake|redacted|insert|goes[-_]?here"
    r"|todo|foobar|lorem|xxxx|\*\*\*|\.\.\.|1234567|abcdefg|qwerty|0{7}|aaaaaaa|not[-_]?a[-_]?real"
    r"|test[-_]?(?:key|token|secret)|<|>|\$\{|\{\{|\$\(|%\(|%s|\bnull\b|\bnone\b|undefined",
    re.IGNORECASE,
)
_LEAST_KINDS = 5


def is_placeholder(value: str) -> bool:
    """Whether a value only shows what a secret looks like; takes time linear in its length."""
    return _STOP.search(value) is not None or value.startswith("$") or len(set(value)) < min(_LEAST_KINDS, len(value))


def entropy(value: str) -> float:
    """Give the bits a sign, from how often each occurs."""
    size = len(value)
    return -sum(count / size * math.log2(count / size) for count in Counter(value).values()) if size else 0.0
