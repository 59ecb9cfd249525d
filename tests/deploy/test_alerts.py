"""Alerts fire when they should, on metrics of a real server; alerts and dashboard use only metrics that it has."""

import json
import re
import time

import pytest
from prometheus_client import generate_latest
from support.places import ROOT
from support.tools import promtool

from convai.backends.runtime import metrics
from convai.description.pipeline import ENSEMBLES
from convai.description.recognisers import RECOGNISER_STEP_NAMES
from convai.talk.access import ConcurrencyLimit
from convai.talk.metrics import Metrics

yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra test")

MONITORING = ROOT / "deploy" / "monitoring"
RULES = yaml.safe_load((MONITORING / "prometheus-rule.yaml").read_text())["spec"]
PANELS = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
ALERTS = {rule["alert"]: rule["expr"] for rule in RULES["groups"][0]["rules"]}
# /metrics of a server that had answered 32 requests.
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def scrape_web() -> str:
    """/metrics of a web process that has answered 20 requests and failed on one."""
    metrics = Metrics(ConcurrencyLimit(32))
    for outcome in [*["ok"] * 20, "failed"]:
        metrics.count("audio/speech", outcome, time.monotonic())
    return generate_latest(metrics.registry).decode()


RECORDED = SAMPLE.findall((ROOT / "tests/support/recorded_scrape.txt").read_text()) + SAMPLE.findall(scrape_web())
COUNTERS = r"(?!.*pending).*(_total|_success|_failure|_count|_duration_us)"
MINUTES = 60
# Of each scenario: the values of some series, by a pattern of name and labels, instead of the recorded ones.
SCENARIOS = {
    "all is well": ({}, set()),
    "a server is gone": ({"up.*instance=.b": "0x60"}, {"ConvaiServerDown"}),
    "all servers are gone": ({"up": "0x60"}, {"ConvaiServerDown", "ConvaiNoServer"}),
    "one request in ten fails": (
        {'request_failure.*convai_ensemble".*OTHER': "0+27x60", "request_success.*_": "0+30x60"},
        {"ConvaiRequestsFail"},
    ),
    "one request in fifty fails, and three streams in ten are left": (
        {'request_failure.*convai_ensemble".*OTHER': "0+5x60", "request_success.*_": "0+32x60"}
        | {"request_failure.*_stream.*OTHER": "0+27x60"},
        set(),
    ),
    "three streams in four fail, and one request to convai talk in ten": (
        {"request_failure.*_stream.*OTHER": "0+6x60", "request_success.*_stream": "0+1x60"}
        | {"talk_request_seconds_count.*failed": "0+10x60", "talk_request_seconds_count.*ok": "0+90x60"},
        {"ConvaiStreamsFail", "ConvaiTalkFails"},
    ),
    "the slowest answers take 4 s": ({"summary_us.*convai_ensemble.*0.99": "4000000x60"}, {"ConvaiSlow"}),
    "eight requests wait": ({"queue_duration_us.*jasper": "0+480000000x60"}, {"ConvaiQueuesLong"}),
    "recognition takes longer than the question": (
        {"request_duration_us.*jasper": "0+90000000x60", "question_seconds": "0+60x60"},
        {"ConvaiRecognitionSlow"},
    ),
    "synthesis takes longer than the speech": (
        {"request_duration_us.*waveglow": "0+90000000x60", "answer_seconds": "0+60x60"},
        {"ConvaiSynthesisSlow"},
    ),
    "three questions in four are not answered": (
        {"convai_no_answers": "0+3x60", "convai_answers": "0+1x60"},
        {"ConvaiFindsNoAnswers"},
    ),
}


def recorded_series() -> dict[str, str]:
    """An hour of two servers in promtool's notation: every counter grows by its recorded value in ten minutes."""
    series = {}
    for instance in "ab":
        place = f'job="convai-headless", namespace="convai", pod="{instance}", instance="{instance}"'
        series[f"up{{{place}}}"] = f"1x{MINUTES}"
        for name, labels, value in (each for each in RECORDED if each[0] in json.dumps(RULES)):
            constant = "_" if value == "Nan" else value  # a quantile without a request
            growing = f"{value}+{float(value) / 10:f}"
            labels = ", ".join(filter(None, (labels.replace('",', '", '), place)))
            series[f"{name}{{{labels}}}"] = f"{growing if re.fullmatch(COUNTERS, name) else constant}x{MINUTES}"
    return series


def change_series(series: dict[str, str], changes: dict[str, str]) -> dict[str, str]:
    changed = dict(series)
    for pattern, values in changes.items():
        found = [name for name in series if re.match(rf".*{pattern}", name)]
        assert found, f"no recorded series matches {pattern}"
        changed |= dict.fromkeys(found, values)
    return changed


def write_json(file, content):
    file.write_text(json.dumps(content))  # which is YAML too
    return file


def test_prometheus_accepts_every_rule_and_query(tmp_path):
    panels = [
        {"record": f"panel:{i}", "expr": query.replace("$namespace", "convai")} for i, query in enumerate(QUERIES)
    ]
    rules = {"groups": [*RULES["groups"], {"name": "dashboard", "rules": panels}]}
    printed = promtool("check", "rules", write_json(tmp_path / "rules.yaml", rules))
    assert f"{len(ALERTS) + len(QUERIES)} rules found" in printed


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_expected_alerts_and_no_others_fire_when(scenario, tmp_path):
    changes, expected = SCENARIOS[scenario]
    series = change_series(recorded_series(), changes)
    firing = {
        "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": f"{MINUTES}m",
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(expected)],
    }
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    case = {"interval": "1m", "input_series": inputs, "promql_expr_test": [firing]}
    write_json(tmp_path / "rules.yaml", RULES)
    test = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [case]}
    assert "SUCCESS" in promtool("test", "rules", write_json(tmp_path / "test.yaml", test))


def test_a_scenario_makes_each_alert_fire():
    assert set.union(*(alerts for _, alerts in SCENARIOS.values())) == ALERTS.keys()


def test_alerts_and_dashboard_use_metrics_that_a_server_has():
    asked = " ".join([*QUERIES, *ALERTS.values()])
    assert set(re.findall(r"\b(?:nv|convai)_\w+(?=\{|\[|\))", asked)) <= {name for name, *_ in RECORDED}


def test_alerts_and_panels_of_requests_know_every_ensemble():
    (panel,) = (query for query in QUERIES if "request_failure" in query)
    for query in (panel, ALERTS["ConvaiRequestsFail"] + ALERTS["ConvaiStreamsFail"]):
        models = "|".join(re.findall(r'model=~"([^"]*)"', query)).split("|")
        assert set(models) == {ensemble.name for ensemble in ENSEMBLES}


def test_alert_and_panel_of_recognition_know_the_steps_of_every_recogniser():
    (panel,) = (query for query in QUERIES if "convai_question_seconds_total" in query)
    for query in (panel, ALERTS["ConvaiRecognitionSlow"]):
        (steps,) = re.findall(r'model=~"([^"]*)"', query)
        assert set(steps.split("|")) == set(RECOGNISER_STEP_NAMES)


def test_the_dashboard_shows_every_recommended_metric():
    recommended = set(re.findall(r"\b(?:nv|convai)_[a-z_]+(?=[\[{\n])", metrics.__doc__))
    assert len(recommended) > 8
    assert [name for name in recommended if name not in " ".join(QUERIES)] == []
