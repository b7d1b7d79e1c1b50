"""What Debian's Prometheus and Alertmanager make of metrics, rules, alerts and the dashboard's queries."""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
from pathlib import Path

import pytest
import servers
import yaml
from console_harness import until
from prometheus_client.parser import text_string_to_metric_families as parsed

HERE = Path(__file__).resolve().parent
DASHBOARD = json.loads(servers.DASHBOARD.read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [
    pytest.param(panel, target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]
RULES = [rule for group in yaml.safe_load(servers.RULES.read_text())["groups"] for rule in group["rules"]]


def promtool(*words, **more):
    """Run promtool; what it complains of is the test's failure."""
    command = [servers.program("promtool"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_takes_the_rules_and_the_configuration(tmp_path):
    for path in (servers.RULES, servers.CONFIG):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "jackline.token").write_text("x")
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "--lint-fatal", str(servers.RULES))
    assert "SUCCESS" in promtool("check", "config", str(tmp_path / "prometheus.yml"))


def test_every_rule_does_what_it_says():
    """promtool's own unit tests of rules: each alert fires in a case made for it, and none where all is well."""
    cases = (HERE / "rules_test.yml").read_text()
    assert "SUCCESS" in promtool("test", "rules", str(HERE / "rules_test.yml"))
    fired = {
        test["alertname"]
        for case in yaml.safe_load(cases)["tests"]
        for test in case.get("alert_rule_test", ())
        if test["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in RULES if "alert" in rule}


def test_a_rule_that_is_wrong_is_noticed(tmp_path):
    """The unit tests can fail: with another threshold they do."""
    cases = (HERE / "rules_test.yml").read_text().replace("../../console/prometheus/jackline.rules.yml", "wrong.yml")
    (tmp_path / "cases.yml").write_text(cases)
    (tmp_path / "wrong.yml").write_text(servers.RULES.read_text().replace("ratio5m > 0.2", "ratio5m > 0.3"))
    with pytest.raises(AssertionError, match="JacklineToolFails"):
        promtool("test", "rules", str(tmp_path / "cases.yml"))


def test_promtool_finds_nothing_to_say_of_the_metrics(landscape):
    assert promtool("check", "metrics", input=landscape.metrics()) == ""


def test_prometheus_scrapes_with_a_token_and_not_without(landscape):
    (target,) = landscape.prometheus.get("/api/v1/targets")["data"]["activeTargets"]
    assert (target["health"], target["lastError"], target["labels"]["job"]) == ("up", "", "jackline")
    plain = landscape.console.plain().get(f"{landscape.console.base}/metrics")
    assert plain.status_code == 401


def test_prometheus_has_what_the_console_told(landscape):
    """Every sample of a scrape is in Prometheus under its name and labels; none lacks, none is renamed."""
    families = list(parsed(landscape.metrics()))
    names = {sample.name for family in families for sample in family.samples}
    stored = until(lambda: missing_none(landscape, names), "every name")
    assert names <= stored
    ((_, cost),) = [one["value"] for one in found(landscape, 'jackline_session_cost_usd_total{agent="support@2"}')]
    assert float(cost) > 0
    failed = found(landscape, 'jackline_tool_calls_total{outcome="failed"} > 0')
    assert [one["metric"]["tool"] for one in failed] == ["broken"]


def missing_none(landscape, names):
    stored = set(landscape.prometheus.get("/api/v1/label/__name__/values")["data"])
    return stored if names <= stored else None


def found(landscape, query):
    answer = landscape.prometheus.get("/api/v1/query", query=query)
    assert "warnings" not in answer, answer
    return answer["data"]["result"]


def test_prometheus_evaluates_every_rule(landscape):
    def evaluated():
        groups = landscape.prometheus.get("/api/v1/rules")["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    rules = until(evaluated, "that every rule was evaluated")
    assert len(rules) == len(RULES)
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    for rule in RULES:
        if "record" in rule and not rule["record"].endswith(("rate6h", "rate3d")):
            until(lambda name=rule["record"]: found(landscape, name), rule["record"])


@pytest.mark.parametrize(("panel", "query"), QUERIES)
def test_every_query_of_the_dashboard_is_answered_with_data(landscape, panel, query):
    query = query.replace("$agent", ".*").replace("$__rate_interval", "15s")
    assert "$" not in query
    until(lambda: values(landscape, panel, query), f"data of {query}")


def values(landscape, panel, query):
    """The numbers that a panel shows."""
    if panel["type"] == "timeseries":
        now = time.time()
        answer = landscape.prometheus.get("/api/v1/query_range", query=query, start=now - 60, end=now, step=1)
        rows = [value for series in answer["data"]["result"] for value in series["values"]]
    else:
        answer = landscape.prometheus.get("/api/v1/query", query=query)
        rows = [series["value"] for series in answer["data"]["result"]]
    assert answer["status"] == "success"
    assert "warnings" not in answer
    return [float(value) for _, value in rows if not math.isnan(float(value))]


def test_the_dashboards_choice_of_agents_is_filled(landscape):
    (choice,) = [one for one in DASHBOARD["templating"]["list"] if one["name"] == "agent"]
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", choice["definition"]).groups()
    answer = landscape.prometheus.get(f"/api/v1/label/{label}/values", **{"match[]": metric})
    assert answer["data"] == ["support@2"]


def test_the_dashboard_is_whole():
    """Each panel has a place of its own, a title and a unit; what Grafana fills in is left to it."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    places = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & places, panel["title"]
        assert at["x"] + at["w"] <= 24
        places |= cells
    assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in PANELS)
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}
    assert servers.ROOT.name not in servers.DASHBOARD.read_text(encoding="utf-8").split()


def alerts(landscape, **labels):
    listed = landscape.alertmanager.get("/api/v2/alerts")
    return [one for one in listed if labels.items() <= one["labels"].items()]


def test_rules_that_fire_reach_the_alertmanager(landscape):
    failing = until(lambda: alerts(landscape, alertname="JacklineToolFails", tool="broken"), "Prometheus's alert")
    assert failing[0]["annotations"]["summary"] == "broken of support@2 fails in 100% of its calls"
    until(lambda: alerts(landscape, alertname="JacklineAlertsFiring", rule="denials"), "the alert on our alerts")
    told = until(lambda: hooked(landscape, "JacklineToolFails"), "its webhook")
    assert told[0]["labels"]["agent"] == "support@2"


def hooked(landscape, name, status="firing"):
    """What the Alertmanager's own webhook was told."""
    posted = [one for _, body in list(landscape.hook.got) for one in body["alerts"]]
    return [one for one in posted if one["labels"]["alertname"] == name and one["status"] == status]


def test_our_own_alert_reaches_the_alertmanager_and_is_resolved_there(landscape):
    """The last one: it ends the agent, and waits until the window of ten seconds has passed."""
    (alert,) = until(lambda: alerts(landscape, alertname="denials"), "our alert")
    assert alert["labels"] == {"alertname": "denials", "severity": "critical", "job": "jackline", "agent": "support@2"}
    assert alert["status"]["state"] == "active"
    assert re.search(r"\d+ acts denied within 10 s", alert["annotations"]["summary"])
    until(lambda: hooked(landscape, "denials"), "its webhook")
    landscape.agent.end()
    until(lambda: hooked(landscape, "denials", "resolved"), "that it is over", patience=60)
    until(lambda: not alerts(landscape, alertname="denials"), "that it is gone")
    assert len(hooked(landscape, "denials")) == 1
