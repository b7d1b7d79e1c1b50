"""Export, import into an empty store, compare: equal. Over real HTTP, into a real console."""

from __future__ import annotations

import secrets
import string
import time

import pytest
from console_harness import Running, until
from otel_harness import governed
from reporting import Desk

from jackline import conventions as names
from jackline.cli import state
from jackline.events import SessionStopped
from jackline.home import Home
from jackline.ingest import ingest
from jackline.journal import verify
from jackline.stores.sqlite import SQLiteStore
from jackline_console.access.users import Users
from jackline_otel import Endpoint, Exporter, ExportError


def told(home):
    """All that a store answers of a home."""
    store = SQLiteStore(home.index)
    try:
        report = ingest(home.path, store)
        assert report.problems == ()
        sessions = sorted((row.plain() for row in store.sessions()), key=lambda row: row["session"])
        return {
            "sessions": sessions,
            "spans": [row.plain() for one in sessions for row in store.spans(one["session"])],
            "events": [row.body for one in sessions for row in store.events(one["session"])],
            "approvals": [row.plain() for row in store.approvals()],
            "alerts": [row.plain() for row in store.alerts()],
            "agents": [row.plain() for row in store.agents()],
            "usage": [row.plain() for row in store.usage()],
            "tools": [row.plain() for row in store.tool_usage()],
            "policies": [row.plain() for row in store.policy_usage()],
            "durations": [row.plain() for row in store.distributions("tool", ("agent", "name"))],
            "heads": dict(store.heads()),
        }
    finally:
        store.close()


def own(found, journals):
    """Without what the receiving console wrote of itself."""
    return found | {"heads": {name: head for name, head in found["heads"].items() if name in journals}}


def sent(home, url, token, **more):
    exporter = Exporter(home, Endpoint(url=url, headers={"Authorization": f"Bearer {token}"}, **more))
    try:
        return exporter.run()
    finally:
        exporter.close()


@pytest.fixture
def there(tmp_path):
    """The home of a console elsewhere, with nothing in it."""
    (tmp_path / "there").mkdir()
    return Home(tmp_path / "there" / "home").make()


def test_what_is_exported_and_imported_is_equal(home, there, tmp_path):
    _, token = Users(there.path / "console").issue("importer", "admin", 1.0, None)
    console = Running(there.path, tmp_path / "there", config=tmp_path / "config")
    try:
        done = sent(home, console.base, token)
        assert (done.rejected, done.problems) == (0, [])
        client = console.plain(headers={"Authorization": f"Bearer {token}"})
        until(lambda: client.get("/otlp").json()["lines"] == done.events, "every line")
        again = sent(
            home, console.base.replace("127.0.0.1", "localhost"), token
        )  # another endpoint by name: everything is sent once more
        assert (again.events, again.rejected) == (done.events, 0)
        assert client.get("/otlp").json() == {
            "spans": 0,  # they are the journal's: nothing is counted twice
            "repeated": 0,
            "no_act": 0,
            "held": 0,
            "lines": done.events,
            "metrics": client.get("/otlp").json()["metrics"],
            "other_metrics": client.get("/otlp").json()["other_metrics"],
        }
    finally:
        console.end()
    here, arrived = told(home), told(there)
    assert len(here["spans"]) > 8
    assert len(here["alerts"]) == len(here["approvals"]) == 1
    assert own(arrived, here["heads"]) == here
    for path in home.journals.glob("*.jsonl"):
        assert (there.journals / path.name).read_bytes() == path.read_bytes()
    assert all(report.ok for report in verify(there.journals))


def test_lines_are_an_admin_s_to_bring_in(home, receiver, tmp_path):
    exporter = Exporter(home, Endpoint(url=receiver.url))
    exporter.run()
    exporter.close()
    requests = [request for signal, request in receiver.requests if signal == "logs"]
    with Desk(tmp_path / "desk") as desk:
        for role in ("reporter", "operator"):
            answer = desk.send(requests[0], "logs", role)
            assert answer.status_code == 200
            found = (
                type(requests[0]).DESCRIPTOR.file.message_types_by_name["ExportLogsServiceResponse"]._concrete_class()
            )
            found.ParseFromString(answer.content)
            assert found.partial_success.rejected_log_records == len(
                requests[0].resource_logs[0].scope_logs[0].log_records
            )
            assert (
                found.partial_success.error_message
                == f"lines of a journal are an admin's to bring in; 'token {role}' is none"
            )
        assert desk.store.sessions() == []


def changed(record, name, **given):
    attribute = next(one for one in record.attributes if one.key == name)
    for key, value in given.items():
        setattr(attribute.value, key, value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda record: setattr(record.body, "string_value", record.body.string_value.replace('"at":', '"at":1')),
            "is not what its hash says",
        ),
        (lambda record: changed(record, names.EVENT_PREV, string_value="0" * 64), "was chained to"),
        (lambda record: changed(record, names.EVENT_SEQ, int_value=99), "is missing: line 99 stands in its place"),
        (lambda record: changed(record, names.EVENT_SEQ, int_value=-1), "a line has no number"),
        (lambda record: changed(record, names.EVENT_JOURNAL, string_value="../../etc/x"), "a line names no journal"),
        (
            lambda record: changed(record, names.EVENT_JOURNAL, string_value="other"),
            "is missing: line 3 stands in its place",
        ),
        (lambda record: setattr(record.body, "string_value", "{}"), "is not a line of a journal"),
    ],
)
def test_a_line_that_does_not_follow_is_not_taken(home, receiver, tmp_path, change, expected):
    exporter = Exporter(home, Endpoint(url=receiver.url))
    exporter.run()
    exporter.close()
    request = next(
        request
        for signal, request in receiver.requests
        if signal == "logs" and len(request.resource_logs[0].scope_logs[0].log_records) > 8
    )
    records = request.resource_logs[0].scope_logs[0].log_records
    whole = type(request).FromString(request.SerializeToString())
    change(records[2])
    with Desk(tmp_path / "desk") as desk:
        answer = desk.send(request, "logs", "admin")
        assert answer.status_code == 200
        assert expected in answer.content.decode(errors="replace")
        assert desk.counted()["lines"] == 2  # those before it
        assert desk.send(whole, "logs", "admin").content == b""
        assert desk.counted()["lines"] == len(records)
        assert all(report.ok for report in verify(desk.home.journals))


def test_nobody_adds_to_a_journal_of_the_home_itself(home, receiver, tmp_path):
    exporter = Exporter(home, Endpoint(url=receiver.url))
    exporter.run()
    exporter.close()
    before = {path.name: path.read_bytes() for path in home.journals.glob("*.jsonl")}
    request = next(request for signal, request in receiver.requests if signal == "logs")
    with Desk(tmp_path) as desk:  # the same home
        assert b"this home writes it itself" in desk.send(request, "logs", "admin").content
    assert before.items() <= {path.name: path.read_bytes() for path in home.journals.glob("*.jsonl")}.items()


def test_a_wrong_token_stops_the_export_and_loses_nothing(home, there, tmp_path):
    console = Running(there.path, tmp_path / "there", config=tmp_path / "config")
    try:
        with pytest.raises(ExportError, match=r"it answers 401: .*stays on record"):
            sent(home, console.base, "jkl_wrong")
        _, token = Users(there.path / "console").issue("importer", "admin", 1.0, None)
        assert sent(home, console.base, token).rejected == 0
    finally:
        console.end()
    assert own(told(there), told(home)["heads"]) == told(home)


def test_the_harness_has_one_of_everything(tmp_path):
    home = Home(tmp_path / "home")
    governed(home, tmp_path)
    found = told(home)
    assert {row["outcome"] for row in found["spans"]} >= {"completed", "failed", "not run"}
    assert {row["kind"] for row in found["spans"]} >= {"run", "model.call", "tool.call"}


def test_a_line_of_megabytes_goes_from_home_to_home(home, there, tmp_path):
    """Longer than any other body may be: text that packs badly, so that gzip does not help."""
    why = "".join(secrets.choice(string.printable[:94]) for _ in range(3_000_000))
    state.record(home, SessionStopped(at=time.time(), session="5" * 32, who="ana", why=why))
    _, token = Users(there.path / "console").issue("importer", "admin", 1.0, None)
    console = Running(there.path, tmp_path / "there", config=tmp_path / "config")
    try:
        done = sent(home, console.base, token)
        assert (done.rejected, done.problems) == (0, [])
    finally:
        console.end()
    journals = [path.name for path in home.journals.glob("*.jsonl")]
    assert all((there.journals / name).read_bytes() == (home.journals / name).read_bytes() for name in journals)
