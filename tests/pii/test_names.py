"""Names by language models: what is asked of each library, and what is said where it is missing."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from jackline.policy import State
from jackline.testing.policies import Context, request
from jackline_pii import Pii
from jackline_pii.detectors import names
from jackline_pii.detectors.names import Person
from jackline_pii.options import PiiOptions

TEXT = "please ask Anna Schmidt about it"


def places(text: str) -> list[tuple[int, int]]:
    at = text.find("Anna Schmidt")
    return [] if at < 0 else [(at, at + 12)]


class Presidio:
    """As much of presidio-analyzer 2.2 as is used."""

    def __init__(self, nlp_engine: Any, supported_languages: list[str]) -> None:
        assert nlp_engine == {
            "nlp_engine_name": "spacy",
            "models": [{"lang_code": "en", "model_name": "en_core_web_sm"}],
        }

    def analyze(self, text: str, language: str, entities: list[str], score_threshold: float) -> list[Any]:
        assert (language, entities, score_threshold) == ("en", ["PERSON"], 0.5)
        return [types.SimpleNamespace(start=start, end=end, score=0.85) for start, end in places(text)]


class Provider:
    def __init__(self, nlp_configuration: Any) -> None:
        self.configuration = nlp_configuration

    def create_engine(self) -> Any:
        return self.configuration


class GLiNER:
    """As much of gliner 0.2 as is used."""

    @classmethod
    def from_pretrained(cls, model: str, *, local_files_only: bool) -> GLiNER:
        assert (model, local_files_only) == ("./small", True)
        return cls()

    def predict_entities(self, text: str, labels: list[str], threshold: float) -> list[dict[str, Any]]:
        assert (labels, threshold) == (["person"], 0.5)
        return [{"start": start, "end": end, "score": 0.9, "label": "person"} for start, end in places(text)]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, members in (
        ("presidio_analyzer", {"AnalyzerEngine": Presidio}),
        ("presidio_analyzer.nlp_engine", {"NlpEngineProvider": Provider}),
        ("gliner", {"GLiNER": GLiNER}),
    ):
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    for cached in (names._presidio_engine, names._gliner_engine):
        cached.cache_clear()


def made(**options: Any) -> Pii:
    return Pii.build("names", PiiOptions.model_validate(options), Context())  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [None, {"engine": "presidio"}, {"engine": "gliner", "model": "./small"}])
def test_names_are_found_by_either_library(given: Any, installed: None) -> None:
    policy = made(entities=["PERSON"], names=given)
    verdict = policy.evaluate(request("tool.call", args={"text": TEXT, "n": 5}), State())
    assert verdict is not None
    assert verdict.args == {"text": "please ask [PERSON] about it", "n": 5}


def test_long_texts_are_read_in_parts(installed: None) -> None:
    text = "x " * 49_945 + TEXT + " y" * 60_000
    assert {(match.start, match.end) for match in Person().find(text)} == {
        (text.index("Anna"), text.index("Anna") + 12)
    }


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError) as raised:
        made(entities=["PERSON"], names={"engine": "gliner"})
    assert str(raised.value) == (
        "entities.0: PERSON needs a language model, and gliner is not installed; "
        "pip install 'jackline-pii[gliner]' and a model, or list the entities without it"
    )


def test_a_model_is_never_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if name == "presidio_analyzer" else None)
    with pytest.raises(ValueError) as raised:
        made(entities=["LOCATION"])
    assert str(raised.value) == (
        "entities.0: LOCATION needs the spaCy model 'en_core_web_sm', which is not installed; "
        "install it, or name one that is: names: {model: ...}"
    )


def test_a_model_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError) as raised:
        made(entities=["EMAIL"], names={})
    assert str(raised.value) == (
        "names: neither PERSON nor LOCATION is looked for; leave it out, or name one under entities"
    )
