"""How well it does on data that others made: the scores that the pack promises. Skipped where the data is absent."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import phonenumbers
import pytest

from jackline_pii.catalogue import DEFAULT
from jackline_pii.loading import scanner

if TYPE_CHECKING:
    from types import ModuleType

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "pii.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("jackline_benchmark_pii", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_scores_on_the_synthetic_sentences(benchmark: Any, shared_data: Path) -> None:
    samples = json.loads((shared_data / "pii" / "synth_dataset_v2.json").read_text("utf-8"))
    scores = benchmark.scored(samples)
    assert scores["micro"]["n"] == 365
    assert scores["micro"]["f1"] >= 0.97, scores
    assert scores["PHONE"]["f1"] >= 0.88, scores


def test_firings_on_sources_without_anyones_data(benchmark: Any) -> None:
    for entities in (DEFAULT, (*DEFAULT, "URL")):
        rate, kinds = benchmark.firings(entities, limit=1_000_000)
        assert rate <= 15, kinds


def test_the_score_counts_as_the_data_page_says(benchmark: Any) -> None:
    gold = {
        "full_text": "mail a@b.org now",
        "spans": [{"entity_type": "EMAIL_ADDRESS", "start_position": 5, "end_position": 12}],
    }
    other = {
        "full_text": "mail a@b.org now",
        "spans": [{"entity_type": "PERSON", "start_position": 5, "end_position": 12}],
    }
    scores = benchmark.scored([gold, other])
    assert (scores["EMAIL"]["precision"], scores["EMAIL"]["recall"], scores["EMAIL"]["exact"]) == (0.5, 1.0, 1.0)
    assert benchmark.half((0, 4), [(2, 9)])
    assert not benchmark.half((0, 5), [(3, 9)])


def test_example_numbers_of_every_country_are_found() -> None:
    """Other data: the example numbers that the numbering plans publish for each country."""
    found = scanner(["PHONE"])
    kinds = phonenumbers.PhoneNumberType
    missed, total = [], 0
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in (kinds.FIXED_LINE, kinds.MOBILE):
            number = phonenumbers.example_number_for_type(region, kind)
            if number is None:
                continue
            styles = [
                (phonenumbers.PhoneNumberFormat.INTERNATIONAL, "reach us: {}, thanks"),
                (phonenumbers.PhoneNumberFormat.E164, "{}"),
            ]
            styles.append((phonenumbers.PhoneNumberFormat.NATIONAL, "my phone is {} now"))
            for style, around in styles:
                written = phonenumbers.format_number(number, style)
                if sum(map(str.isdigit, written)) < 7:
                    continue
                total += 1
                text = around.format(written)
                if written not in [text[span.start : span.end] for span in found.scan(text)]:
                    missed.append((region, text))
    assert total > 1000
    assert len(missed) <= 0.03 * total, (len(missed), total, missed[:40])
