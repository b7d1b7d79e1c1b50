"""Somebody's agents, instrumented with OpenTelemetry's SDK: `reporting_agents.py URL TOKEN PART`. They never import Jackline.

`shop`: a job that ends, with a sub-agent, a tool that finds nothing again and again, and a failure. `open`: one whose run never
ends. `markup FILE`: an agent for each text of a file of JSON, which is everything about it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

USED = {"gen_ai.usage.input_tokens": 1200, "gen_ai.usage.output_tokens": 80}


class Reporting:
    """An application's own OpenTelemetry set-up, sending protobuf and gzip."""

    def __init__(self, url, token, service="shop", **more):
        told = {"service.name": service, **more}
        self.provider = TracerProvider(resource=Resource.create(told))
        exporter = OTLPSpanExporter(
            endpoint=f"{url}/v1/traces", headers={"Authorization": f"Bearer {token}"}, compression=Compression.Gzip
        )
        self.provider.add_span_processor(BatchSpanProcessor(exporter))
        self.tracer = self.provider.get_tracer("shop.instrumentation")

    def span(self, operation, name, **told):
        attributes = {"gen_ai.operation.name": operation, **{key.replace("__", "."): one for key, one in told.items()}}
        return self.tracer.start_as_current_span(f"{operation} {name}", attributes=attributes)

    def agent(self, name, **more):
        return self.span("invoke_agent", name, gen_ai__agent__name=name, **more)

    def chat(self, model="gpt-4o-mini", **more):
        asked = {"gen_ai.request.model": model, "gen_ai.provider.name": "openai"}
        with self.span("chat", model, **asked, **USED, **more):
            pass

    def tool(self, name, **more):
        return self.span("execute_tool", name, gen_ai__tool__name=name, **more)

    def end(self):
        assert self.provider.force_flush()
        self.provider.shutdown()


def shop(reporting):
    job = {"gen_ai.conversation.id": "order-7", "user.id": "u-9"}
    with reporting.agent("buyer", **job):
        reporting.chat()
        for _ in range(7):
            told = {"gen_ai.tool.call.arguments": '{"q": "boots"}', "gen_ai.tool.call.result": "nothing found"}
            with reporting.tool("search", **told):
                pass
        with reporting.agent("seller"), reporting.tool("quote") as span:
            reporting.chat("nobody-knows")
            span.set_attribute("error.type", "TimeoutError")
            span.set_status(trace.StatusCode.ERROR)


def unended(reporting):
    run = reporting.tracer.start_span("invoke_agent walker")
    with trace.use_span(run):
        reporting.chat(**{"gen_ai.agent.name": "walker", "gen_ai.conversation.id": "walk-1"})


def markup(url, token, texts):
    for text in texts:
        more = {"service.version": text, "deployment.environment.name": text}
        reporting = Reporting(url, token, service=f"service {text}", **more)
        with reporting.agent(f"agent {text}", **{"gen_ai.conversation.id": f"job {text}", "user.id": text}):
            reporting.chat(f"model {text}", **{"error.type": text})
            with reporting.tool(f"tool {text}", **{"gen_ai.tool.call.id": text}) as span:
                span.set_attribute("error.type", f"error {text}")
                span.set_status(trace.StatusCode.ERROR, text)
        reporting.end()


def main(url, token, part, *more):
    if part == "markup":
        markup(url, token, json.loads(Path(more[0]).read_text(encoding="utf-8")))
        return
    reporting = Reporting(url, token, **{"service.version": "7"})
    (shop if part == "shop" else unended)(reporting)
    reporting.end()
    assert "jackline" not in sys.modules


if __name__ == "__main__":
    main(*sys.argv[1:])
