"""A governed program with an OpenTelemetry set-up of its own, which exports its home as well: `own_telemetry.py HOME URL`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import jackline
from jackline.home import Home
from jackline_otel import Endpoint, Exporter


def main(path, url):
    kept, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracing, metering = TracerProvider(), MeterProvider([reader])
    tracing.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(tracing)
    metrics.set_meter_provider(metering)
    bundle = Path(path).parent / "own.yaml"
    bundle.write_text("jackline: 1\npolicies: []\n", encoding="utf-8")
    tracer, orders = trace.get_tracer("app"), metrics.get_meter("app").create_counter("orders")
    guard = jackline.Guard.load(bundle, home=path, application="app")

    @guard.tool
    def act():
        with tracer.start_as_current_span("inner"):
            orders.add(1)

    with tracer.start_as_current_span("outer"):
        with guard.session(id="own"):
            act()
        guard.close()
        exporter = Exporter(Home(path), Endpoint(url=url))
        done = exporter.run()
        exporter.close()
        current = trace.get_current_span().name
    found = {
        "spans": [span.name for span in kept.get_finished_spans()],
        "metrics": [
            one.name
            for resource in reader.get_metrics_data().resource_metrics
            for scope in resource.scope_metrics
            for one in scope.metrics
        ],
        "same": trace.get_tracer_provider() is tracing and metrics.get_meter_provider() is metering,
        "current": current,
        "exported": done.events > 0 and not done.problems,
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
