"""A receiver that keeps what it is sent, and a governed job with one of everything that is exported."""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import jackline
from jackline.cli import state
from jackline.events import (
    AlertFired,
    AlertResolved,
    ApprovalApproved,
    ApprovalConsumed,
    ApprovalRequested,
    Usage,
)
from jackline.request import Model

POLICIES = """\
jackline: 1
policies:
  - name: no-wipe
    use: rule
    on: tool.call
    when: tool.name == 'wipe'
    effect: deny
    reason: nothing is wiped here
  - name: large-refunds
    use: rule
    on: tool.call
    when: tool.name == 'refund'
    effect: escalate
    reason: a large refund
    with: {expires: 30m}
"""
KINDS = {"logs": ExportLogsServiceRequest, "traces": ExportTraceServiceRequest, "metrics": ExportMetricsServiceRequest}


def plain(attributes):
    """OTLP's attributes as a dict."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


class Receiver:
    """An OTLP endpoint. `answers` are (status, headers) for the next requests; then all are taken."""

    def __init__(self):
        self.requests = []
        self.headers = []
        self.answers = []
        self.most = 1 << 30
        self.taken = lambda: None
        """Called when a request is kept and not answered yet."""
        self.told = {}
        """The bodies of answers, by signal."""
        outer = self

        class Answers(BaseHTTPRequestHandler):
            def do_POST(self):
                outer.take(self)

            def log_message(self, *_args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, request):
        data = request.rfile.read(int(request.headers["Content-Length"]))
        status, headers = self.answers.pop(0) if self.answers else (200, {})
        data = gzip.decompress(data)
        if len(data) > self.most:
            status = 413
        if status == 200:  # kept before it is answered: the exporter goes on at once
            signal = request.path.removeprefix("/v1/")
            self.headers.append(dict(request.headers))
            self.requests.append((signal, KINDS[signal].FromString(data)))
            self.taken()
        body = self.told.get(request.path.removeprefix("/v1/"), b"") if status == 200 else b""
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        with contextlib.suppress(OSError):  # who asked may be gone
            request.wfile.write(body)

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    def logs(self):
        requests = [request for signal, request in self.requests if signal == "logs"]
        scopes = [scope for request in requests for one in request.resource_logs for scope in one.scope_logs]
        return [record for scope in scopes for record in scope.log_records]

    def spans(self):
        requests = [request for signal, request in self.requests if signal == "traces"]
        scopes = [scope for request in requests for one in request.resource_spans for scope in one.scope_spans]
        return [span for scope in scopes for span in scope.spans]

    def metrics(self):
        requests = [request for signal, request in self.requests if signal == "metrics"]
        scopes = [scope for request in requests for one in request.resource_metrics for scope in one.scope_metrics]
        return {metric.name: metric for scope in scopes for metric in scope.metrics}


def ask(guard, tokens=1000, name="gpt-4o-mini"):
    """One model call, as an adapter would make it."""
    model = Model(name=name, provider="openai", max_tokens=10, input_bytes=10)
    request = guard.request("model.call", name, {"messages": []}, model=model)
    decision = guard.require(request)
    usage = Usage(input=tokens, output=tokens // 2, cache_read=tokens // 4)
    guard.complete(request, decision, result="x", usage=usage, model=name)


def governed(home, folder):
    """A job with a sub-agent: tools that run, fail, are denied and wait; model calls, priced and not; alerts."""
    (folder / "jackline.yaml").write_text(POLICIES, encoding="utf-8")
    guard = jackline.Guard.load(folder / "jackline.yaml", application="desk", home=home.path)

    @guard.tool
    def look(name):
        return f"found {name}"

    @guard.tool
    def broken():
        raise ValueError("no")

    @guard.tool
    def wipe():
        raise AssertionError("a denied tool ran")

    @guard.tool
    def refund(amount):
        raise AssertionError("a tool that waits ran")

    with guard.session(id="job-1", user="u-9", labels={"purpose": "tests"}) as opened:
        ask(guard)
        ask(guard, name="nobody-knows-this-model")
        look(name="ümläut \u2028 x")
        for act, signal in ((broken, ValueError), (wipe, jackline.Denied)):
            with contextlib.suppress(signal):
                act()
        with contextlib.suppress(jackline.ApprovalPending, jackline.Denied):
            refund(amount=900.0)
        worker = guard.agent("worker", version="2", models=["gpt-4o-mini"])
        with guard.run(worker):
            ask(guard, tokens=400)
            look(name="below")
    guard.close()
    alert = {"alert": "a" * 32, "rule": "r", "signal": "loop", "severity": "critical", "since": 1.0}
    fired = AlertFired(at=2.0, state="firing", message="it loops", value=3.0, **alert)
    asked = {"approval": "b" * 64, "session": opened.id}
    act = {"run": "c" * 32, "span": "d" * 16, "agent": "desk", "action": "tool.call", "resource": "refund"}
    at = time.time()
    requested = ApprovalRequested(at=at, policy="large-refunds", rule="1", expires=at + 60, **asked, **act)
    yes = ApprovalApproved(at=at + 1, who="ana", why="fine", **asked)
    used = ApprovalConsumed(at=at + 2, span="e" * 16, by=("ana",), **asked)
    state.record(home, requested, yes, used, fired, AlertResolved(at=3.0, message="over", **alert))
