"""Detectors by name, made ready to scan."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from jackline_pii.catalogue import TARGETS
from jackline_pii.detectors.america import CaSin, UsItin, UsSsn
from jackline_pii.detectors.devices import Imei
from jackline_pii.detectors.finance import CreditCard
from jackline_pii.scanning import Scanner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jackline.detector import Detector


def own(entity: str) -> Any:
    """Import the class of one of this pack's entities. Raises KeyError."""
    module, _, name = TARGETS[entity.lower()].partition(":")
    return getattr(importlib.import_module(module), name)


def detectors(entities: Iterable[str]) -> dict[str, Detector]:
    """Make a detector of each of this pack's entities. Raises KeyError for one that it does not have."""
    return {entity: own(entity)() for entity in entities}


def scanner(entities: Iterable[str], *, threshold: float = 0.5) -> Scanner:
    """Make a scanner of this pack's entities alone, as a policy without further options has."""
    return Scanner(detectors(entities), threshold=threshold, shadows=shadows())


def shadows() -> list[Any]:
    """The numbers that are told from telephone numbers also where nobody looks for them."""
    return [CreditCard(), UsSsn(), UsItin(), CaSin(), Imei()]
