"""What is on record goes out whole, in the conventions' names, and goes on where it stopped."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from email.utils import formatdate
from pathlib import Path

import pytest
import typer
from console_harness import PATIENCE, program
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from otel_harness import ask, governed, plain
from typer.testing import CliRunner

import jackline
from jackline import conventions as names
from jackline.cli import state
from jackline.cli.application import application
from jackline.events import SessionStopped
from jackline.journal import read
from jackline_otel import Dialect, Endpoint, Exporter, ExportError
from jackline_otel.export import SIGNALS


def export(home, receiver, dialect=None, signals=SIGNALS, **more):
    waits = []
    exporter = Exporter(
        home, Endpoint(url=receiver.url, **more), dialect or Dialect(), signals=signals, sleep=waits.append
    )
    try:
        return exporter.run(), waits
    finally:
        exporter.close()


def lines(home):
    return [line for path in sorted(home.journals.glob("*.jsonl")) for line in read(path)]


def by_name(receiver):
    return {span.name: (span, plain(span.attributes)) for span in receiver.spans()}


def test_every_line_goes_out_as_it_stands(home, receiver):
    done, _ = export(home, receiver)
    on_record = lines(home)
    sent = {plain(record.attributes)[names.EVENT_HASH]: record for record in receiver.logs()}
    assert done.events == len(on_record) == len(sent)
    assert done.problems == []
    for line in on_record:
        record = sent[line.hash]
        told = plain(record.attributes)
        assert record.body.string_value.encode() == line.body
        assert (told[names.EVENT_SEQ], told[names.EVENT_PREV]) == (line.seq, line.prev)
        assert told[names.EVENT_ID] == f"{told[names.EVENT_JOURNAL]}:{line.seq}"
    fired = next(record for record in receiver.logs() if record.event_name == "jackline.alert.fired")
    assert (fired.severity_text, plain(fired.attributes)["jackline.value"]) == ("ERROR", 3.0)


def test_a_model_call_is_an_inference_span(home, receiver):
    export(home, receiver)
    span, told = by_name(receiver)["chat gpt-4o-mini"]
    assert span.kind == span.SPAN_KIND_CLIENT
    assert span.end_time_unix_nano >= span.start_time_unix_nano
    assert told[names.OPERATION.current] == "chat"
    assert (told[names.PROVIDER.current], told[names.REQUEST_MODEL.current]) == ("openai", "gpt-4o-mini")
    assert told[names.INPUT_TOKENS.current] in (1000, 400)
    assert told[names.CACHE_READ_TOKENS.current] in (250, 100)
    assert told["jackline.cost.micro_usd"] == pytest.approx(told[names.COST.current] * 1e6)
    _, unpriced = by_name(receiver)["chat nobody-knows-this-model"]
    assert names.COST.current not in unpriced
    assert names.PROVIDER.current not in unpriced


def test_a_denied_call_is_an_error_that_is_no_failure_of_the_tool(home, receiver):
    export(home, receiver)
    spans = by_name(receiver)
    denied, told = spans["execute_tool wipe"]
    assert (told[names.ERROR_TYPE.current], told["jackline.decision.verdict"]) == (names.DENIED, "deny")
    assert denied.status.code == denied.status.STATUS_CODE_ERROR
    assert denied.status.message == "nothing is wiped here"
    failed, told = spans["execute_tool broken"]
    assert (told[names.ERROR_TYPE.current], failed.status.message) == ("ValueError", "ValueError")
    assert names.ERROR_TYPE.current not in spans["execute_tool look"][1]
    durations = receiver.metrics()[names.TOOL_DURATION.current].histogram.data_points
    assert "wipe" not in {plain(point.attributes)[names.TOOL_NAME.current] for point in durations}


def test_people_s_time_is_a_span(home, receiver):
    export(home, receiver)
    span, told = by_name(receiver)["approval refund"]
    assert (told["jackline.approval.status"], told["jackline.approval.id"]) == ("approved", "b" * 64)
    assert told["jackline.approval.approver"].values[0].string_value == "ana"
    assert told["jackline.approval.wait_s"] == pytest.approx(2.0, abs=0.01)
    assert span.end_time_unix_nano - span.start_time_unix_nano == pytest.approx(2e9, rel=0.01)
    assert [link.span_id.hex() for link in span.links] == ["d" * 16]


def test_lineage_is_in_the_spans(home, receiver):
    export(home, receiver)
    spans = receiver.spans()
    assert len({span.trace_id for span in spans}) == 1
    known = {span.span_id: span for span in spans}
    run = by_name(receiver)["invoke_agent worker@2"][0]
    below = [span for span in spans if span.parent_span_id == run.span_id]
    assert {span.name for span in below} == {"chat gpt-4o-mini", "execute_tool look"}
    assert run.parent_span_id in known or run.parent_span_id == b""


def test_older_names_and_openinference_are_written_when_wanted(home, receiver):
    export(home, receiver)
    assert not any(key in told for _, told in by_name(receiver).values() for key in ("gen_ai.system", "llm.provider"))
    receiver.requests.clear()
    (home.path / "otel").joinpath(next((home.path / "otel").glob("*.json")).name).unlink()
    export(home, receiver, Dialect(older=True, openinference=True))
    _, told = by_name(receiver)["chat gpt-4o-mini"]
    assert told["gen_ai.system"] == told["llm.provider"] == told[names.PROVIDER.current] == "openai"
    assert told["openinference.span.kind"] == "LLM"
    assert told["llm.token_count.prompt"] == told["gen_ai.usage.prompt_tokens"] == told[names.INPUT_TOKENS.current]
    assert told["llm.cost.total"] == told[names.COST.current]
    assert by_name(receiver)["execute_tool look"][1]["openinference.span.kind"] == "TOOL"


def test_metrics_are_what_the_index_sums(home, receiver):
    done, _ = export(home, receiver)
    assert done.problems == []
    found = receiver.metrics()
    tokens = found[names.INPUT_USAGE.current].sum
    assert tokens.is_monotonic
    assert sum(point.as_int for point in tokens.data_points) == 2400
    assert sum(point.as_int for point in found["jackline.model.calls.unpriced"].sum.data_points) == 1
    verdicts = found["jackline.policy.decisions"].sum.data_points
    told = {plain(point.attributes)["jackline.decision.verdict"]: point.as_int for point in verdicts}
    assert told["deny"] == 1
    assert told["escalate"] == 1
    durations = found[names.INFERENCE_DURATION.current].histogram.data_points
    assert sum(point.count for point in durations) == sum(sum(point.bucket_counts) for point in durations) == 3


def test_it_goes_on_where_it_stopped(home, receiver, tmp_path):
    first, _ = export(home, receiver)
    before = {line.hash for line in lines(home)}
    again, _ = export(home, receiver)
    assert again.events == again.spans == 0
    receiver.requests.clear()
    guard = jackline.Guard.load(tmp_path / "jackline.yaml", application="desk", home=home.path)
    with guard.session(id="job-2"):
        ask(guard)
    guard.close()
    more, _ = export(home, receiver)
    assert 0 < more.events < first.events
    assert more.events == len(receiver.logs())
    hashes = [plain(record.attributes)[names.EVENT_HASH] for record in receiver.logs()]
    assert set(hashes) == {line.hash for line in lines(home)} - before
    assert len(hashes) == len(set(hashes))


def test_a_receiver_may_want_spans_only(home, receiver):
    done, _ = export(home, receiver, signals=["traces"])
    assert {signal for signal, _ in receiver.requests} == {"traces"}
    assert done.spans == len(receiver.spans()) > 8
    assert export(home, receiver, signals=["traces"])[0].spans == 0
    assert export(home, receiver)[0].events == len(receiver.logs()) > 0  # the rest was not sent before
    with pytest.raises(ExportError, match="There is no signal 'lines' to export; expected some of logs, traces, metr"):
        export(home, receiver, signals=["lines"])


def test_a_receiver_that_is_busy_is_asked_again(home, receiver):
    receiver.answers = [(503, {}), (429, {"Retry-After": "7"}), (200, {})]
    done, waits = export(home, receiver, headers={"Authorization": "Bearer x"})
    assert done.events == len(receiver.logs()) == len(lines(home))
    assert len(waits) == 2
    assert 0.5 <= waits[0] <= 1.0
    assert waits[1] == 7.0
    assert receiver.headers[0]["Authorization"] == "Bearer x"


def test_what_is_refused_stays_to_be_exported(home, receiver):
    receiver.answers = [(401, {})]
    with pytest.raises(
        ExportError, match=r"Cannot export logs to http://127.0.0.1:\d+: it answers 401: .*stays on rec"
    ):
        export(home, receiver)
    receiver.answers = [(503, {})] * 2
    with pytest.raises(ExportError, match=r"it answers 503: .* \(tried 2 times\)"):
        export(home, receiver, tries=2)
    done, _ = export(home, receiver)
    assert done.events == len(lines(home))


def test_requests_that_are_too_large_are_parted(home, receiver):
    receiver.most = 6000
    done, _ = export(home, receiver)
    assert done.events == len(receiver.logs()) == len(lines(home))
    assert len([1 for signal, _ in receiver.requests if signal == "logs"]) > 3


def test_a_changed_line_is_not_exported(home, receiver):
    path = max(home.journals.glob("*.jsonl"), key=lambda path: path.stat().st_size)
    export(home, receiver)
    (home.path / "otel" / next((home.path / "otel").glob("*.json")).name).unlink()
    receiver.requests.clear()
    path.write_bytes(path.read_bytes().replace(b'"resource":"wipe"', b'"resource":"wine"', 1))
    done, _ = export(home, receiver)
    assert "was changed: its hash is not that of its bytes; see: jackline verify" in done.problems[0]
    assert not any("wine" in record.body.string_value for record in receiver.logs())


def test_one_process_exports_to_an_endpoint(home, receiver):
    exporter = Exporter(home, Endpoint(url=receiver.url))
    with (
        exporter._cursor.alone(),
        pytest.raises(ExportError, match="Another process exports this home to http://"),
    ):
        export(home, receiver)
    exporter.close()


def test_two_that_follow_send_a_line_once_between_them(home, receiver):
    first, second = (Exporter(home, Endpoint(url=receiver.url)) for _ in range(2))
    done = [first.run().events, second.run().events, first.run().events]
    for exporter in (first, second):
        exporter.close()
    assert done == [len(lines(home)), 0, 0]


def test_the_command_exports_and_says_what_it_did(home, receiver, monkeypatch):
    run = CliRunner().invoke
    words = ["--home", str(home.path), "otel", "export", "--endpoint", receiver.url, "--header", "X-Key=a=b", "--json"]
    answer = run(application(), words)
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.output)["events"] == len(receiver.logs())
    assert receiver.headers[0]["X-Key"] == "a=b"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://nowhere")
    answer = run(application(), ["--home", str(home.path), "otel", "export"])
    assert answer.exit_code == 1
    assert "'ftp://nowhere' is no endpoint to export to; expected http://HOST:PORT" in answer.output.replace("\n", " ")


@pytest.mark.parametrize("date", [False, True])
def test_a_receiver_says_when_to_come_again(home, receiver, date):
    at = formatdate(time.time() + 90, usegmt=True) if date else "90"
    receiver.answers = [(429, {"Retry-After": at}), (503, {"Retry-After": "9999"}), (503, {"Retry-After": "\u00b2"})]
    done, waits = export(home, receiver)
    assert (len(waits), done.events) == (3, len(lines(home)))
    assert waits[0] == pytest.approx(90, abs=5)
    assert waits[1] == 300
    assert waits[2] <= 4


def test_what_a_receiver_rejects_is_told_of_every_signal(home, receiver):
    logs, spans, points = ExportLogsServiceResponse(), ExportTraceServiceResponse(), ExportMetricsServiceResponse()
    logs.partial_success.rejected_log_records, logs.partial_success.error_message = 2, "two lines were odd"
    spans.partial_success.rejected_spans, spans.partial_success.error_message = 1, "a span was odd"
    points.partial_success.rejected_data_points, points.partial_success.error_message = 3, "three were old"
    answers = {"logs": logs, "traces": spans, "metrics": points}
    receiver.told = {name: message.SerializeToString() for name, message in answers.items()}
    done, _ = export(home, receiver)
    told = {problem.removeprefix(f"{receiver.url} rejected ") for problem in done.problems}
    assert told == {"2: two lines were odd", "1: a span was odd", "3: three were old"}
    assert done.rejected >= 6


def test_an_export_that_is_killed_again_and_again_loses_nothing(home, receiver, tmp_path):
    """SIGKILL while a request is under way: its lines alone are sent again, with the same ids, numbers and hashes."""
    for number in range(4):
        folder = tmp_path / f"more-{number}"
        folder.mkdir()
        governed(home, folder)
    children, killed = [], set()

    def taken():
        if len(receiver.requests) in (2, 5, 6, 9) and len(receiver.requests) not in killed:
            killed.add(len(receiver.requests))
            children[-1].kill()

    receiver.taken = taken
    words = [program(), "--home", str(home.path), "otel", "export", "--endpoint", receiver.url]
    for _ in range(5):
        children.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        told, _ = children[-1].communicate(timeout=PATIENCE)
    assert [child.returncode for child in children] == [-signal.SIGKILL] * 4 + [0], told
    proofs = ("jackline.event.id", "jackline.event.seq", "jackline.event.hash", "jackline.event.journal")
    requests = [
        [tuple(plain(record.attributes)[name] for name in proofs) for record in recorded(request)]
        for signal_, request in receiver.requests
        if signal_ == "logs"
    ]
    sent = Counter(proof for request in requests for proof in request)
    assert {(seq, digest) for _, seq, digest, _ in sent} == {(line.seq, line.hash) for line in lines(home)}
    repeated = len(requests) - len({tuple(request) for request in requests})
    assert repeated <= 4, "at most one request for each kill"
    assert len(sent) == sum(len(request) for request in {tuple(request) for request in requests})


def recorded(request):
    return [record for one in request.resource_logs for scope in one.scope_logs for record in scope.log_records]


def test_an_application_s_own_telemetry_is_left_alone(home, receiver):
    """A governed program with a provider, a meter and a span of its own keeps them, while it exports in the same process."""
    words = [sys.executable, str(Path(__file__).with_name("own_telemetry.py")), str(home.path), receiver.url]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told == {
        "spans": ["inner", "outer"],
        "metrics": ["orders"],
        "same": True,
        "current": "outer",
        "exported": True,
    }
    names_sent = {one.name for one in receiver.spans()}
    assert "execute_tool act" in names_sent
    assert not names_sent & {"inner", "outer"}
    assert "orders" not in receiver.metrics()


def test_every_option_is_documented():
    command = typer.main.get_command(application()).commands["otel"].commands["export"]
    documented = (Path(__file__).resolve().parents[2] / "docs/cli.md").read_text(encoding="utf-8")
    assert "For example: jackline otel export" in command.help
    for parameter in command.params:
        for option in parameter.opts:
            if option.startswith("--") and option != "--help":
                assert f"`{option}" in documented, f"docs/cli.md does not name {option}"


def test_a_line_that_a_receiver_takes_in_no_request_is_shortened_and_marked(home, receiver):
    """Otherwise it would stand in the way of everything behind it."""
    why = "".join(secrets.choice("abcdefghijklmnop") for _ in range(300_000))
    state.record(home, SessionStopped(at=time.time(), session="5" * 32, who="ana", why=why))
    receiver.most = 200_000
    done, _ = export(home, receiver)
    assert len(receiver.logs()) == done.events
    (cut,) = [one for one in receiver.logs() if one.event_name == "jackline.session_stopped"]
    told = plain(cut.attributes)
    assert told["jackline.event.cut"] is True
    assert not cut.HasField("body")
    assert len(told["jackline.event.hash"]) == 64
    assert all(len(value) < 5000 for value in told.values() if isinstance(value, str))
    assert done.problems == [
        f"{receiver.url} takes no request as long as a line: it was sent without what is long, marked jackline.event.cut"
    ]
    assert not any("jackline.event.cut" in plain(one.attributes) for one in receiver.logs() if one is not cut)
