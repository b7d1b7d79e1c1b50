"""`check`, `test` and `schema`: what is wrong is said with its place, on one screen, and nothing is loaded."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from jackline.registrations import PACKS

BAD = {
    "malformed": ("jackline: 1\npolicies: [\n", ":3:1: "),
    "tab": ("jackline: 1\npolicies:\n\t- name: a\n", ":3:1: a tab indents this line; YAML indents with spaces"),
    "empty": ("", ":1:1: the file is empty; a bundle starts with `jackline: 1`"),
    "list": ("- a\n", ":1:1: a bundle is a map"),
    "unknown-policy": (
        "jackline: 1\npolicies:\n  - name: a\n    use: rul\n",
        ":4:10: unknown policy 'rul'; did you mean 'rule'?",
    ),
    "misspelt-field": (
        "jackline: 1\npolicies:\n  - name: a\n    use: rule\n    efect: deny\n    when: depth > 1\n",
        ":5:5: unknown key `efect`; did you mean 'effect'?",
    ),
    "wrong-type": ("jackline: 1\nmode: 7\npolicies: []\n", ":2:7: `mode` is 7; known: enforce, observe"),
    "condition": (
        "jackline: 1\npolicies:\n  - name: a\n    use: rule\n    when: tool.nam == 'x'\n    effect: deny\n",
        ":5:16: ",
    ),
    "agents-query": (
        "jackline: 1\npolicies:\n  - name: a\n    use: rule\n    agents: agent.teem == 'crm'\n    when: depth > 1\n    effect: deny\n",
        ":5:19: ",
    ),
    "agents-type": (
        "jackline: 1\npolicies:\n  - name: a\n    use: rule\n    agents: agent.name\n    when: depth > 1\n    effect: deny\n",
        ":5:13: this condition gives string, expected bool; compare it with a value",
    ),
    "duplicate-names": (
        "jackline: 1\npolicies:\n" + "  - name: a\n    use: rule\n    when: depth > 1\n    effect: deny\n" * 2,
        ":7:11: the name 'a' is used twice; the first is on line 3",
    ),
    "duplicate-keys": ("jackline: 1\nmode: enforce\nmode: observe\npolicies: []\n", ":3:1: `mode` is given twice"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_said_with_its_place(name, run, ask, tmp_path):
    text, told = BAD[name]
    path = tmp_path / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    result = run("check", path, code=1)
    assert f"{path}{told}" in result.stdout
    assert len(result.stdout.splitlines()) <= 24
    answer = ask("check", path, code=1)
    assert answer["ok"] is False
    first = answer["problems"][0]
    assert f"{first['file']}:{first['line']}:{first['column']}: {first['message']}" in result.stdout


def test_a_pack_that_is_missing_comes_with_its_pip_command(run, tmp_path, monkeypatch):
    monkeypatch.setitem(PACKS, "toll", "jackline-toll")
    path = tmp_path / "missing.yaml"
    path.write_text("jackline: 1\npolicies:\n  - name: a\n    use: toll\n", encoding="utf-8")
    told = f"{path}:4:10: the policy 'toll' is not installed; install it: pip install jackline-toll"
    assert told in run("check", path, code=1).stdout


def test_a_file_of_10_mb_is_refused_unread(run, tmp_path):
    path = tmp_path / "large.yaml"
    path.write_bytes(b"jackline: 1\n" + b"#" * 10_000_000)
    assert f"{path}:1:1: the file has 10,000,012 bytes" in run("check", path, code=1).stdout


def test_no_file_and_no_bundle_here(run, tmp_path):
    assert "nowhere.yaml:1:1: there is no such file" in run("check", "nowhere.yaml", code=1).stdout
    assert "jackline.yaml:1:1: there is no such file" in run("check", code=1).stdout


def test_many_problems_fit_on_one_screen_and_json_has_them_all(run, ask, tmp_path):
    path = tmp_path / "many.yaml"
    path.write_text("jackline: 1\npolicies:\n" + "  - name: a b\n    use: rule\n" * 40, encoding="utf-8")
    lines = run("check", path, code=1).stdout.splitlines()
    assert len(lines) <= 24
    assert lines[-1].startswith("and ")
    assert len(ask("check", path, code=1)["problems"]) >= 40


def test_a_sound_bundle_is_shown_with_mode_and_revision(run, ask, bundle):
    answer = ask("check", bundle)
    shown = run("check").stdout
    assert f"jackline.yaml: ok, mode enforce, revision {answer['revision'][:12]}" in shown
    assert "agents that nobody registered: allow; those that only report: deny; payloads: redacted" in shown
    assert [policy["name"] for policy in answer["policies"]] == ["small-refunds", "crm-lock", "no-wires"]
    assert answer["policies"][1]["agents"] == "agent.team == 'crm'"
    assert "`args.amount` is not verified" in shown
    assert answer["unverified"][0]["message"] == "`args.amount` is not verified"


def test_a_bundle_without_open_questions_has_no_warning(run, tmp_path):
    path = tmp_path / "quiet.yaml"
    path.write_text("jackline: 1\npolicies: []\nmode: observe\n", encoding="utf-8")
    shown = run("check", path).stdout
    assert "ok, mode observe" in shown
    assert "verified" not in shown


def test_the_schema_of_bundles_is_json(run):
    told = run("schema").stdout
    assert run("schema", "--json").stdout == told
    assert '"$schema": "https://json-schema.org/draft/2020-12/schema"' in told
    assert '"policy_rule"' in told


CASES = """\
bundle: jackline.yaml
cases:
  - name: a small refund is paid
    request: {tool: {name: refund}, args: {amount: 20}}
    expect: allow
  - name: a large one is not
    request: {tool: {name: refund}, args: {amount: 900}}
    expect: {effect: deny, policy: small-refunds}
"""


def test_cases_are_run_and_told(run, ask, bundle, tmp_path):
    """P48: cases that ship with policies are run by the same program that users have."""
    (tmp_path / "cases.yaml").write_text(CASES, encoding="utf-8")
    shown = run("test", tmp_path, "--junit", tmp_path / "out" / "results.xml").stdout
    assert "passed  a small refund is paid" in shown
    assert "2 cases, all passed" in shown
    root = ET.parse(tmp_path / "out" / "results.xml").getroot()
    assert (root.get("tests"), root.get("failures")) == ("2", "0")
    answer = ask("test", tmp_path)
    assert (answer["passed"], answer["total"], answer["failed"]) == (True, 2, 0)


def test_a_case_that_differs_fails(run, ask, bundle, tmp_path):
    path = tmp_path / "cases.yaml"
    path.write_text(CASES.replace("amount: 900", "amount: 9"), encoding="utf-8")
    shown = run("test", path, code=1).stdout
    assert "failed  a large one is not" in shown
    assert "effect 'deny' was expected, got 'allow'" in shown
    assert "2 cases, 1 failed" in shown
    assert ask("test", path, code=1)["failed"] == 1


def test_cases_that_cannot_be_run_are_broken(run, tmp_path):
    (tmp_path / "cases.yaml").write_text("bundle: none.yaml\ncases: []\n", encoding="utf-8")
    assert "broken" in run("test", tmp_path, code=1).stdout


def test_no_folder_and_no_place_for_results(run, bundle, tmp_path):
    assert run("test", "nowhere", code=1).stderr == "there is no file or folder nowhere\n"
    (tmp_path / "cases.yaml").write_text(CASES, encoding="utf-8")
    (tmp_path / "taken").write_text("")
    assert "cannot write" in run("test", tmp_path, "--junit", tmp_path / "taken" / "x.xml", code=1).stderr


ASKING = """\
jackline: 1
policies:
  - {name: refunds, use: rule, on: tool.call, effect: escalate, with: {to: [finance]}}
  - {name: wires, use: rule, on: tool.call, effect: escalate, with: {approvals: 2}}
  - {name: plain, use: rule, on: tool.call, effect: escalate}
"""


def test_gates_that_nobody_can_open_are_warned_of_and_the_bundle_loads(run, ask, tmp_path):
    path = tmp_path / "asking.yaml"
    path.write_text(ASKING, encoding="utf-8")
    shown = run("check", "asking.yaml").stdout
    assert "asking.yaml: ok, mode enforce" in shown
    hint = "; what it escalates is recorded and not done; name people under `approvers:`"
    told = "nobody can answer: finance would be asked, and the bundle has no `approvers:`"
    assert f"asking.yaml:3:76: {told}{hint}\n" in shown
    assert (
        "asking.yaml:4:81: nobody can answer: 2 approvals would be needed, and the bundle has no `approvers:`" in shown
    )
    answer = ask("check", path)
    assert (answer["ok"], [each["line"] for each in answer["unanswered"]]) == (True, [3, 4])


def test_gates_that_people_can_open_are_not_warned_of(run, ask, tmp_path, monkeypatch):
    monkeypatch.setenv("JACKLINE_CONFIG", str(tmp_path / "config"))
    public = ask("approvals", "key", "ana")["key"]
    path = tmp_path / "asking.yaml"
    text = ASKING.replace(
        "policies:", f"approvers: {{ana: {{key: '{public}'}}}}\ngroups: {{finance: [ana]}}\npolicies:"
    )
    path.write_text(text.replace("approvals: 2", "approvals: 1"), encoding="utf-8")
    assert ask("check", path)["unanswered"] == []
    assert "nobody can answer" not in run("check", path).stdout
