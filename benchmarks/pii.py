"""How well personal data is found: `python benchmarks/pii.py [--json] [--missed]`.

Scored as the data's own page says, and not scored where it is not beside the checkout: a span counts as found when
predictions of its type cover half of it, a prediction as right when half of it lies in spans of its type. Firings are
counted on this Python's standard library, which holds nobody's data.
"""

from __future__ import annotations

import argparse
import json
import sys
import sysconfig
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from jackline_pii.catalogue import DEFAULT
from jackline_pii.loading import detectors, scanner

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "pii" / "synth_dataset_v2.json"
TYPES = {
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "CREDIT_CARD": "CREDIT_CARD",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "US_SSN": "SSN",
    "DOMAIN_NAME": "URL",
}
OURS = {"IP_ADDRESS": "IP", "US_SSN": "SSN"}
Place = tuple[int, int]


def covered(place: Place, others: list[Place]) -> int:
    """How many characters of a place the others cover together."""
    return len({at for start, end in others for at in range(max(start, place[0]), min(end, place[1]))})


def half(place: Place, others: list[Place]) -> bool:
    return 2 * covered(place, others) >= place[1] - place[0]


def scored(samples: list[dict[str, Any]], *, missed: bool = False) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 of each of the seven types, and over all of them."""
    found = scanner((*DEFAULT, "URL"))
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sample in samples:
        text = sample["full_text"]
        gold: dict[str, list[Place]] = defaultdict(list)
        for span in sample["spans"]:
            gold[TYPES.get(span["entity_type"], "")].append((span["start_position"], span["end_position"]))
        ours: dict[str, list[Place]] = defaultdict(list)
        for span in found.scan(text):
            ours[OURS.get(span.kind, span.kind)].append((span.start, span.end))
        for kind in TYPES.values():
            count(kind, gold, ours, counts[kind], text if missed else "")
    total: Counter[str] = sum(counts.values(), Counter())
    return {kind: rates(counted) for kind, counted in [*counts.items(), ("micro", total)]}


def count(
    kind: str, gold: dict[str, list[Place]], ours: dict[str, list[Place]], counts: Counter[str], text: str
) -> None:
    for place in gold[kind]:
        hit = half(place, ours[kind])
        counts["found" if hit else "missed"] += 1
        counts["exact"] += place in ours[kind]
        if text and not hit:
            print(f"missed {kind}: {text[place[0] : place[1]]!r} in {text[max(0, place[0] - 60) : place[1] + 20]!r}")
    for place in dict.fromkeys(ours[kind]):
        if kind == "URL" and half(place, gold["EMAIL"]):
            continue
        right = half(place, gold[kind])
        counts["right" if right else "wrong"] += 1
        if text and not right:
            print(f"wrong {kind}: {text[place[0] : place[1]]!r} in {text[max(0, place[0] - 60) : place[1] + 20]!r}")


def rates(counts: Counter[str]) -> dict[str, float]:
    gold, predicted = counts["found"] + counts["missed"], counts["right"] + counts["wrong"]
    recall = counts["found"] / gold if gold else 0.0
    precision = counts["right"] / predicted if predicted else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    exact = counts["exact"] / gold if gold else 0.0
    return {"n": gold, "precision": precision, "recall": recall, "f1": f1, "exact": exact}


def firings(entities: tuple[str, ...], *, limit: int = 6_000_000, missed: bool = False) -> tuple[float, Counter[str]]:
    """How often something is found in 100 kB of the standard library's sources, and of which kinds."""
    found, kinds, size = scanner(entities), Counter[str](), 0
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        if {"site-packages", "test", "tests"} & set(path.relative_to(root).parts):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        size += len(text)
        for span in found.scan(text):
            kinds[span.kind] += 1
            if missed:
                print(f"{path.name} {span.kind} {span.note}: {text[span.start : span.end][:60]!r}")
        if size > limit:
            break
    return 100_000 * sum(kinds.values()) / size, kinds


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="one JSON object")
    options.add_argument("--missed", action="store_true", help="print what was missed and what was wrong")
    chosen = options.parse_args()
    result: dict[str, Any] = {"entities": len(detectors(DEFAULT))}
    if DATA.is_file():
        result["scores"] = scored(json.loads(DATA.read_text(encoding="utf-8")), missed=chosen.missed)
    else:
        print("the sentences are not beside this checkout: not scored", file=sys.stderr)
    for name, entities in (("default", DEFAULT), ("default and URL", (*DEFAULT, "URL"))):
        rate, kinds = firings(entities, missed=chosen.missed and name == "default")
        result[f"firings per 100 kB, {name}"] = {"all": round(rate, 1), **kinds}
    if chosen.json:
        print(json.dumps(result, indent=1))
        return 0
    for kind, row in result.pop("scores", {}).items():
        told = "  ".join(f"{name} {row[name]:.3f}" for name in ("precision", "recall", "f1", "exact"))
        print(f"{kind:12} n {row['n']:4}  {told}")
    for name, value in result.items():
        print(f"{name}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
