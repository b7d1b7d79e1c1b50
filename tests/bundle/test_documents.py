"""Every YAML example of the pages about bundles is loaded or run as written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jackline.bundle import load_bundle
from jackline.bundle_model import BundleFile, PolicyEntry
from jackline.plugins import installed_plugins
from jackline.policy_cases import run
from jackline.rule import RuleOptions

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```yaml(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page):
    return BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))


BUNDLES = [text for page in ("bundles.md", "testing-policies.md") for _, text in blocks(page) if "\ncases:" not in text]


def test_the_pages_have_examples():
    assert len(BUNDLES) >= 5


@pytest.mark.parametrize("text", BUNDLES, ids=range(len(BUNDLES)))
def test_every_example_of_a_bundle_loads(text):
    bundle = load_bundle(text)
    assert bundle.engine().revision == bundle.revision


def test_p48_every_example_of_a_policy_case_passes(tmp_path):
    """Peers P48: published policy fixtures failed with the published command."""
    for title, text in blocks("testing-policies.md"):
        (tmp_path / title).write_text(text)
    if "budget" not in installed_plugins().registrations.names("policy"):
        (tmp_path / "budget.yaml").unlink()
    results = run(tmp_path)
    assert results.passed, [str(case) for case in results.failed]
    assert len(results.cases) >= 4


def test_every_key_of_the_file_is_documented():
    text = (DOCS / "policies.md").read_text(encoding="utf-8") + (DOCS / "bundles.md").read_text(encoding="utf-8")
    for model in (BundleFile, PolicyEntry, RuleOptions):
        for name, field in model.model_fields.items():
            assert f"`{field.alias or name}" in text or f"{name}: ..." in text, name
