"""Every name that is written or read is one that somebody published, and none is written beside the table."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from jackline import conventions

HERE = Path(__file__).parent
OWN = re.compile(r"jackline\.[a-z_.]+")
NEW = {
    line for line in (HERE / "published/genai-1.42.0.txt").read_text().splitlines() if line and not line.startswith("#")
}
NAMES = {**conventions.ATTRIBUTES, **conventions.METRICS}


def texts(name, *prefixes):
    """Every text in a module's source that has one of these beginnings: constants of classes and enums among them."""
    source = Path(pytest.importorskip(name).__file__).read_text(encoding="utf-8")
    return {found for found in re.findall(r'"([a-z_]+\.[a-z_.]+)"', source) if found.startswith(prefixes)}


def constants(package, modules, *prefixes):
    return set().union(*(texts(f"{package}.{module}", *prefixes) for module in modules))


@pytest.fixture(scope="module")
def semconv():
    """The conventions' own package: the generation before they moved, and the names that are common to all."""
    modules = ("gen_ai_attributes", "error_attributes", "exception_attributes", "user_attributes", "enduser_attributes")
    found = constants("opentelemetry.semconv._incubating.attributes", modules, "")
    found |= constants("opentelemetry.semconv.attributes", ("error_attributes", "exception_attributes"), "")
    return found | texts("opentelemetry.semconv._incubating.metrics.gen_ai_metrics", "gen_ai")


def test_the_published_lists_have_every_current_name(semconv):
    ours = {name.current for name in NAMES.values() if not OWN.fullmatch(name.current)}
    assert ours - NEW - semconv == set()
    assert {name for name in ours if name.startswith("gen_ai.")} <= NEW


def test_the_older_names_are_of_an_older_generation(semconv):
    traceloop = texts("opentelemetry.semconv_ai", "gen_ai.", "llm.")
    older = {older for name in NAMES.values() for older in name.older}
    assert older - semconv - traceloop == set()
    assert older & NEW == set()


def test_openinference_s_names_are_openinference_s(semconv):
    trace = pytest.importorskip("openinference.semconv.trace")
    published = {found for kind in (trace.SpanAttributes, trace.ToolCallAttributes) for found in vars(kind).values()}
    ours = {other for name in NAMES.values() for other in name.openinference}
    assert ours - published - semconv == set()


def test_traceloop_s_names_are_traceloop_s(semconv):
    published = texts("opentelemetry.semconv_ai", "")
    ours = {other for name in NAMES.values() for other in name.traceloop}
    of_users = {name for name in ours if name.startswith("traceloop.association.properties.")}
    assert "traceloop.association.properties" in published  # what follows is the application's own word
    assert ours - of_users - published - semconv == set()


def test_kinds_and_operations_are_published():
    trace = importlib.import_module("openinference.semconv.trace")
    kinds = {kind.value for kind in trace.OpenInferenceSpanKindValues}
    assert {kind for kind in conventions.KINDS if kind.isupper()} <= kinds
    attributes = importlib.import_module("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    operations = {value.value for value in attributes.GenAiOperationNameValues}
    ours = {conventions.CHAT, conventions.COMPLETION, conventions.CONTENT, conventions.EMBEDDINGS}
    ours |= {conventions.RETRIEVAL, conventions.INVOKE_AGENT, conventions.CREATE_AGENT, conventions.EXECUTE_TOOL}
    assert ours <= operations


@pytest.mark.parametrize("folder", ["adapters/otel/src", "console/src/jackline_console/otlp"])
def test_no_name_stands_beside_the_table(folder):
    root = HERE.parents[1] / folder
    found = [
        f"{path.name}: {name}"
        for path in root.rglob("*.py")
        for name in re.findall(r'"((?:gen_ai|llm|traceloop)\.[a-z_.]+)"', path.read_text(encoding="utf-8"))
    ]
    assert found == []
