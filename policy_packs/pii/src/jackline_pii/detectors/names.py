"""Names of people and places, by a language model of Presidio or GLiNER: extras, slow, and never certain."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any, ClassVar

from jackline.detector import Match

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Recognise = Callable[[str], Iterator[Match]]

MODELS = {"presidio": "en_core_web_sm", "gliner": "urchade/gliner_small-v2.1"}
"""What each engine reads with unless a policy says."""
PACKAGES = {"presidio": "presidio_analyzer", "gliner": "gliner"}
_LONGEST = 100_000
"""Characters that a model is given at once; longer texts are read in parts that overlap."""
_OVERLAP = 200


class Named:
    """What a language model calls by one of its labels."""

    kind: ClassVar[str] = ""
    label: ClassVar[str] = ""
    """Presidio's word for it; GLiNER is asked for the same in small letters."""

    def __init__(self, engine: str = "presidio", model: str | None = None, threshold: float = 0.5) -> None:
        self._engine = engine
        self._model = model or MODELS[engine]
        self._threshold = threshold
        self._recognise: Recognise | None = None

    def find(self, text: str) -> Iterator[Match]:
        """Find every name; the model is loaded when it is first asked. Raises ImportError where it is not installed."""
        if not any(map(str.isalpha, text)):
            return
        recognise = self._recognise
        if recognise is None:
            recognise = self._recognise = _ENGINES[self._engine](self._model, self.label, self._threshold)
        for start in range(0, len(text), _LONGEST - _OVERLAP):
            for match in recognise(text[start : start + _LONGEST]):
                yield match._replace(start=match.start + start, end=match.end + start)


class Person(Named):
    """People."""

    kind = "PERSON"
    label = "PERSON"


class Location(Named):
    """Places, and what addresses consist of."""

    kind = "LOCATION"
    label = "LOCATION"


@functools.cache
def _presidio_engine(model: str) -> Any:
    """Load Presidio with one spaCy model for English, once a process."""
    provider = importlib.import_module("presidio_analyzer.nlp_engine").NlpEngineProvider
    models = [{"lang_code": "en", "model_name": model}]
    made = provider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
    return importlib.import_module("presidio_analyzer").AnalyzerEngine(nlp_engine=made, supported_languages=["en"])


def _presidio(model: str, label: str, threshold: float) -> Recognise:
    engine = _presidio_engine(model)

    def recognise(text: str) -> Iterator[Match]:
        for result in engine.analyze(text=text, language="en", entities=[label], score_threshold=threshold):
            yield Match(result.start, result.end, result.score)

    return recognise


@functools.cache
def _gliner_engine(model: str) -> Any:
    """Load a GLiNER model from a folder or from what was fetched before: nothing is fetched on the agent's path."""
    return importlib.import_module("gliner").GLiNER.from_pretrained(model, local_files_only=True)


def _gliner(model: str, label: str, threshold: float) -> Recognise:
    engine = _gliner_engine(model)

    def recognise(text: str) -> Iterator[Match]:
        for result in engine.predict_entities(text, [label.lower()], threshold=threshold):
            yield Match(result["start"], result["end"], result["score"])

    return recognise


_ENGINES = {"presidio": _presidio, "gliner": _gliner}
