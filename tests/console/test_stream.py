"""The stream: everything once and in order, over reconnections, slow clients and an index that is made anew."""

from __future__ import annotations

import json

from console_harness import until
from typer.testing import CliRunner

from jackline.cli import application as cli
from jackline_console.access.logins import Logins


def events(reader, stop):
    """Collect events until `stop` says of one that it is enough."""
    found = []
    while True:
        for one in reader.next("events")["items"]:
            found.append(one)
            if stop(one):
                return found


def test_hello_comes_first_and_a_stream_without_a_cursor_begins_now(console, client, agent, stream):
    agent("job-1").end()
    end = until(lambda: ends(client, 1), "the index")
    reader = stream(client)
    name, mark, hello = reader.messages.get(timeout=10)
    assert (name, mark) == ("hello", "")
    assert hello["cursor"] == end
    assert set(hello) == {"epoch", "cursor", "heartbeat_s", "version"}
    agent("job-2").end()
    first = reader.next("events")["items"][0]
    assert first["position"] == int(end.partition(".")[2]) + 1


def test_reconnecting_under_writing_neither_loses_nor_repeats(console, client, agent, stream):
    """Ten connections one after the other, each from the last id of the one before, while two agents write."""
    cursor = client.get("/live").json()["cursor"]
    agents = [agent("job-1", "fast"), agent("job-2", "fast")]
    seen, mark = [], cursor
    for _ in range(10):
        reader = stream(client, headers={"Last-Event-ID": mark})
        for _ in range(3):
            seen += [one["position"] for one in reader.next("events")["items"]]
            mark = f"{mark.partition('.')[0]}.{seen[-1]}"
        reader.close()
    for one in agents:
        one.end()
    last = until(lambda: int(ends(client, 2).partition(".")[2]) if ends(client, 2) else 0, "the end of both")
    reader = stream(client, headers={"Last-Event-ID": mark})
    while seen[-1] < last:
        seen += [one["position"] for one in reader.next("events")["items"]]
    first = int(cursor.partition(".")[2]) + 1
    assert seen == list(range(first, last + 1))


def ends(client, journals):
    """The cursor once so many agents have closed their sessions and nothing is behind; empty before."""
    status = client.get("/status").json()
    rows = client.get("/sessions").json()["items"]
    ended = [row for row in rows if row["state"] == "ended"]
    return status["cursor"] if len(ended) >= journals and not status["behind"]["events"] else ""


def test_last_event_id_has_precedence_over_after(console, client, agent, stream):
    agent("job-1").end()
    end = until(lambda: ends(client, 1), "the index")
    epoch, _, last = end.partition(".")
    reader = stream(client, after=f"{epoch}.0", headers={"Last-Event-ID": f"{epoch}.{int(last) - 1}"})
    assert [one["position"] for one in reader.next("events")["items"]] == [int(last)]


def test_filters(console, client, agent, stream):
    cursor = client.get("/live").json()["cursor"]
    agent("job-1").end()
    two = agent("job-2")
    two.end()
    reader = stream(client, after=cursor, session=two.id, kinds="decided,session_ended")
    found = events(reader, lambda one: one["kind"] == "session_ended")
    assert {one["session"] for one in found} == {two.id}
    assert {one["kind"] for one in found} == {"decided", "session_ended"}
    assert found[0]["event"]["kind"] == "decided"
    reader = stream(client, after=cursor, agent="desk", kinds="run_started")
    assert {one["agent"] for one in reader.next("events")["items"]} == {"desk"}


def test_an_unknown_epoch_is_said_and_the_stream_goes_on(console, client, stream):
    reader = stream(client, after="0123456789abcdef.17")
    cursor = reader.next("hello")["cursor"]
    assert reader.next("epoch") == {"epoch": cursor.partition(".")[0], "cursor": cursor}


def test_an_index_that_is_made_anew_is_said(console, client, agent, stream, home, folder, monkeypatch):
    agent("job-1").end()
    before = until(lambda: ends(client, 1), "the index").partition(".")[0]
    reader = stream(client)
    reader.next("hello")
    monkeypatch.chdir(folder)
    done = until(
        lambda: CliRunner().invoke(cli.application(), ["--home", str(home), "ingest", "--rebuild", "--json"]).stdout,
        "a rebuild",
    )
    assert '"busy": false' in done or '"busy":false' in done, done
    told = reader.next("epoch")
    assert told["epoch"] != before
    agent("job-2").end()
    assert reader.next("events")["cursor"].startswith(told["epoch"])


def test_rows_of_live_come_with_what_they_spend(console, client, agent, stream):
    one = agent("job-1", "spend")
    reader = stream(client, live=1)
    row = until(
        lambda: next(
            (row for row in reader.next("live")["items"] if row["session"] == one.id and row["cost_micro_usd"]), None
        ),
        "a row with a cost",
    )
    assert row["ceiling"]["cap"] == 500_000
    assert row["ceiling"]["session"] is True
    assert row["micro_usd_per_min"] > 0
    assert sum(row["rate"]["micro_usd"]) > 0
    snapshot = client.get("/live").json()["items"]
    assert {key for row in snapshot for key in row} == set(row)


def test_a_wrong_cursor_is_a_problem(console, client):
    answer = client.get("/stream", params={"after": "yesterday"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:jackline:problem:cursor"


def test_a_stream_ends_when_its_login_does(home, folder, config):
    """Heartbeats look at the login: after a logout no further one comes."""
    logins = Logins(100.0, 50.0)
    _, login = logins.begin("ana", "viewer", "password", 1000.0)
    assert logins.holds(login, 1049.0)
    assert logins.holds(login, 1098.0), "a page that is open uses its login"
    assert not logins.holds(login, 1101.0), "too old"
    _, login = logins.begin("ana", "viewer", "password", 2000.0)
    assert not logins.holds(login, 2051.0), "idle"
    _, login = logins.begin("ana", "viewer", "password", 3000.0)
    logins.end(login)
    assert not logins.holds(login, 3001.0)


def test_a_client_that_does_not_read_is_served_later_and_whole(console, client, agent):
    """Its batches are dropped, its cursor is not: everything comes from the index when it reads again."""
    cursor = client.get("/live").json()["cursor"]
    first = cursor.partition(".")[2]
    with client.stream("GET", "/stream", params={"after": cursor}, timeout=60) as response:
        agents = [agent("job-1", "fast"), agent("job-2", "fast")]
        until(lambda: int(client.get("/status").json()["cursor"].partition(".")[2]) > int(first) + 3000, "3000 events")
        for one in agents:
            one.end()
        last = until(lambda: int((ends(client, 2) or ".0").partition(".")[2]), "the end")
        seen = []
        for line in response.iter_lines():
            if line.startswith('data: {"cursor"') and '"items"' in line:
                seen += [one["position"] for one in json.loads(line[6:])["items"]]
                if seen[-1] >= last:
                    break
    assert seen == list(range(int(first) + 1, last + 1))
