"""`jackline test DIR`: cases as data, run through a guard of their own, and told as JUnit XML."""

from __future__ import annotations

import textwrap
from xml.etree import ElementTree as ET

import pytest

from jackline.decision import Claim, Verdict
from jackline.junit import junit
from jackline.policy import Reach
from jackline.policy_cases import CaseResult, Results, run
from jackline.prices import Prices

BUNDLE = """\
jackline: 1
policies:
  - name: big
    use: rule
    on: tool.call
    when: tool.name == 'refund' && args.amount > 500
    effect: escalate
    reason: large refunds need a human
  - name: watched
    use: rule
    on: tool.call
    when: tool.name == 'delete'
    effect: deny
    mode: observe
  - name: spent
    use: rule
    when: session.cost_usd > 1.0 || session.tool_calls >= 3
    effect: halt
  - name: hosts
    use: rule
    on: http.request
    when: http.host != 'example.org'
    effect: deny
"""


@pytest.fixture
def cases(tmp_path, plugins):
    """Write a file of cases beside a bundle and run the folder."""

    def make(text, bundle=BUNDLE, **options):
        (tmp_path / "jackline.yaml").write_text(bundle)
        head = "" if "bundle:" in text else "bundle: jackline.yaml\n"
        (tmp_path / "cases.yaml").write_text(head + textwrap.dedent(text))
        return run(tmp_path, plugins=plugins, prices=Prices.load(), **options)

    return make


def told(results):
    return [str(case).rpartition("cases.yaml:")[2] for case in results.cases]


def test_cases_that_hold_pass(cases):
    results = cases("""\
        agent: {name: support, team: care}
        cases:
          - name: large
            request: {tool: refund, args: {amount: 600}}
            expect: {effect: escalate, reason: a human, policy: big, rule: when}
          - name: small
            request: {tool: {name: refund, read_only: false}, args: {amount: 5}}
            expect: allow
          - name: only watched
            request: {action: tool.call, tool: delete}
            expect: {effect: allow, would: deny}
          - name: another agent, and told facts
            agent: other
            session: {user: u-1, cost_usd: 1.5, labels: {tier: gold}, id: job-1, started: "2026-01-05T11:00:00Z"}
            request: {model: {name: m, tools: [search]}, agent: {name: third}, ancestors: [support]}
            expect: {effect: halt, policy: spent}
          - name: a host
            request: {action: http.request, resource: evil.example, http: {host: evil.example}}
            expect: {effect: deny, policy: hosts}
          - name: the answer
            request: {args: {result: done}}
            expect: {effect: allow, findings: [], limits: {}}
        """)
    assert results.passed, told(results)
    assert told(results)[0] == "4: large: passed"
    assert [case.line for case in results.cases] == [4, 7, 10, 13, 18, 21]


def test_a_case_that_differs_says_how_and_who_was_asked(cases):
    results = cases("""\
        cases:
          - name: wrong
            request: {tool: refund, args: {amount: 600}}
            expect: {effect: deny, reason: fraud, policy: x, rule: y, would: deny, args: {a: 1}, limits: {b: 2}, findings: [c]}
        """)
    assert not results.passed
    expected = (
        "3: wrong: effect 'deny' was expected, got 'escalate'; policy 'x' was expected, got 'big'; "
        "rule 'y' was expected, got 'when'; would 'deny' was expected, got None; "
        "args {'a': 1} was expected, got None; limits {'b': 2} was expected, got {}; "
        "findings ['c'] was expected, got []; a reason with 'fraud' was expected. "
        "Decided: escalate by policy 'big', rule 'when': large refunds need a human. Asked: big, spent"
    )
    assert told(results) == [expected]
    assert results.failed == results.cases


def test_steps_share_a_session_and_time_passes_between_them(cases):
    results = cases("""\
        cases:
          - name: three calls and no more
            steps:
              - {request: {tool: search}, expect: allow, times: 3, outcome: {result: [1, 2]}}
              - {request: {tool: search}, expect: {effect: halt, policy: spent}}
              - {request: {tool: other}, expect: halt}
          - name: a session of its own
            request: {tool: search}
            expect: allow
        """)
    assert results.passed, told(results)


def test_the_step_that_differs_is_numbered(cases):
    results = cases("""\
        cases:
          - name: story
            steps:
              - {request: {tool: search}, expect: allow}
              - {request: {tool: search}, expect: deny}
        """)
    assert told(results) == [
        "3: story: step 2: effect 'deny' was expected, got 'allow'. Decided: allow: no reason. Asked: spent",
    ]


class Clocked:
    """Remembers what it is asked and told."""

    phase = "meter"
    reach = Reach()
    Options = None
    seen: list

    @classmethod
    def build(cls, name, options, context):
        return cls()

    def evaluate(self, request, state):
        self.seen.append((request.action, request.at, request.span[-1]))
        claims = ()
        if request.model is not None and request.action == "model.call":
            claims = (Claim(scope="s", unit="tokens", cap=100, fixed=60, label="100 tokens"),)
        return Verdict(effect="allow", claims=claims)

    def observe(self, event, state):
        if hasattr(event, "duration_ms"):
            self.seen.append((type(event).__name__, getattr(event, "error", None), event.settled))


@pytest.fixture
def clocked(pack, monkeypatch):
    seen = []
    monkeypatch.setattr(Clocked, "seen", seen, raising=False)
    monkeypatch.setattr(Clocked, "Options", pack.Access.Options)
    monkeypatch.setattr(pack, "Access", Clocked)
    return seen


CLOCKED = "jackline: 1\npolicies:\n  - {name: a, use: access, with: {allow: x}}\n"


def test_meters_use_a_real_ledger_and_outcomes_settle_it(cases, clocked):
    results = cases(
        """\
        cases:
          - name: tokens
            steps:
              - {request: {model: m}, expect: allow, outcome: {usage: {input: 10, output: 5}, model: m-2}}
              - {request: {model: m}, expect: allow, outcome: {error: TimeoutError, usage: {input: 40, output: 20}}}
              - {request: {model: m}, expect: {effect: deny, reason: "75 tokens spent"}}
        """,
        CLOCKED,
    )
    assert results.passed, told(results)
    assert [each for each in clocked if each[0] in ("Completed", "Failed")] == [
        ("Completed", None, {"s": 15}),
        ("Failed", "TimeoutError", {"s": 60}),
    ]


def test_time_is_the_cases_own_and_a_return_has_its_acts_span(cases, clocked):
    results = cases(
        """\
        cases:
          - name: clock
            at: 1000
            steps:
              - {request: {tool: t}, expect: allow}
              - {request: {action: tool.return, tool: t, args: {result: 1}}, expect: allow}
              - {request: {tool: t}, expect: allow, after: 30m}
              - {request: {tool: t}, expect: allow, at: "1970-01-01T01:00:00+00:00"}
          - name: default
            request: {tool: t}
            expect: allow
        """,
        CLOCKED,
    )
    assert results.passed, told(results)
    assert [each for each in clocked if each[0].startswith("tool")] == [
        ("tool.call", 1000.0, "1"),
        ("tool.return", 1001.0, "1"),
        ("tool.call", 2801.0, "2"),
        ("tool.call", 3600.0, "3"),
        ("tool.call", 1767614400.0, "1"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cases: []\n", "there is no case here; write one with `cases:`"),
        ("case: []\n", "`cases` is missing; write `cases:` and a list"),
        ("case: []\n", "unknown key `case`; did you mean 'cases'?"),
        (
            "cases: [{name: a}]\n",
            "2:9: `cases[0]`: a case has either `request` and `expect`, or `steps`; write one of the two",
        ),
        ("cases: [{name: a, request: {tool: t}}]\n", "`cases[0]`: `expect` is missing; write the effect: expect: deny"),
        (
            "cases: [{name: a, request: {tool: t}, expect: dney}]\n",
            "2:47: `cases[0].expect.effect` is 'dney'; did you mean 'deny'?",
        ),
        ("cases: [{name: a, request: {tol: t}, expect: deny}]\n", "2:29: unknown key `tol`; did you mean 'tool'?"),
        (
            "cases: [{name: a, request: {tool: 3}, expect: deny}]\n",
            "2:35: `cases[0].request.tool` is 3, expected a map",
        ),
        ("cases: [{name: a, request: [3], expect: deny}]\n", "2:28: `cases[0].request` is [3], expected a map"),
        (
            "cases: [{name: a, at: noon, request: {tool: t}, expect: deny}]\n",
            "2:23: `cases[0].at`: 'noon' is not a time; write Unix seconds",
        ),
        (
            "cases: [{name: a, at: '2026-01-05T12:00:00', request: {tool: t}, expect: deny}]\n",
            'has no time zone; write "2026-01-05T12:00:00Z" for UTC',
        ),
        ("cases: 3\n", "2:8: `cases` is 3, expected a list; write [3]"),
        ("bundle: missing.yaml\ncases: [{name: a, request: {tool: t}, expect: deny}]\n", "1:9: there is no bundle at"),
        (
            "bundle: |\n  jackline: 2\n  policies: []\ncases: [{name: a, request: {tool: t}, expect: deny}]\n",
            "cases.yaml (bundle):1:11: `jackline` is 2; expected 1",
        ),
        ("cases: [{name: a, name: b, request: {tool: t}, expect: allow}]\n", "2:19: `name` is given twice"),
    ],
)
def test_a_file_that_is_wrong_is_a_failed_case(text, expected, cases):
    results = cases(text)
    assert not results.passed
    (result,) = results.cases
    assert result.broken
    assert expected in str(result)


def test_a_file_that_is_no_map_is_wrong(tmp_path, plugins):
    (tmp_path / "c.yaml").write_text("- x\n")
    (result,) = run(tmp_path / "c.yaml", plugins=plugins).cases
    assert result.problem == f'{tmp_path}/c.yaml:1:1: this is ["x"], expected a map'
    assert result.broken


def test_a_folder_without_cases_does_not_pass(tmp_path, plugins):
    (tmp_path / "jackline.yaml").write_text(BUNDLE)
    hidden = tmp_path / ".cache"
    hidden.mkdir()
    (hidden / "c.yaml").write_text("cases: nonsense")
    results = run(tmp_path, plugins=plugins)
    assert not results.passed
    assert str(results.cases[0]) == f"{tmp_path}:1: cases: there is no case here; write one with `cases:`"
    assert not Results(()).passed


def test_files_below_are_run_in_order(tmp_path, plugins):
    for name in ("b/two.yml", "a.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            "bundle: |\n  jackline: 1\n  policies: []\ncases:\n  - {name: x, request: {tool: t}, expect: allow}\n"
        )
    results = run(str(tmp_path), plugins=plugins)
    assert [case.file.removeprefix(str(tmp_path)) for case in results.cases] == ["/a.yaml", "/b/two.yml"]
    assert results.passed


def test_junit_counts_failures_and_errors_and_is_well_formed():
    results = Results(
        (
            CaseResult("a.yaml", 3, "one", seconds=0.25),
            CaseResult("a.yaml", 5, "two <&>\x00", "effect 'deny' was expected\nmore", seconds=0.5),
            CaseResult("b.yaml", 1, "b", "b.yaml:1:1: the file is empty", broken=True),
        )
    )
    root = ET.fromstring(junit(results))
    assert root.attrib == {"name": "jackline", "tests": "3", "failures": "1", "errors": "1", "time": "0.750"}
    first, second = root
    assert first.attrib == {"name": "a.yaml", "tests": "2", "failures": "1", "errors": "0", "time": "0.750"}
    one, two = first
    assert one.attrib == {"classname": "a.yaml", "name": "one", "file": "a.yaml", "line": "3", "time": "0.250"}
    assert two.attrib["name"] == "two <&>\ufffd"
    assert two[0].tag == "failure"
    assert two[0].attrib["message"] == "effect 'deny' was expected"
    assert two[0].text == "a.yaml:5: two <&>\ufffd: effect 'deny' was expected\nmore"
    assert second[0][0].tag == "error"
