"""Alerts fire when they should, on what a real server counted; the dashboard asks for nothing that no server counts."""

import json
import re

import pytest
from support.places import ROOT
from support.tools import promtool

from convai.backends.runtime import metrics

yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra test")

MONITORING = ROOT / "deploy" / "monitoring"
RULES = yaml.safe_load((MONITORING / "prometheus-rule.yaml").read_text())["spec"]
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
# /metrics of a server that had answered 32 requests.
RECORDED = re.findall(
    r"^(\w+)(?:\{(.*)\})? (\S+)$", (ROOT / "tests/support/recorded_scrape.txt").read_text(), re.MULTILINE
)
ASKED = [series for series in RECORDED if series[0] in json.dumps(RULES)]
COUNTERS = r"(?!.*pending).*(_total|_success|_failure|_count|_duration_us)"
MINUTES = 60
EVERY_ALERT = {rule["alert"] for rule in RULES["groups"][0]["rules"]}
# Of each scenario: what a series, by a pattern of its name and labels, has instead of going on as recorded.
SCENARIOS = {
    "all is well": ({}, set()),
    "a server is gone": ({"up.*instance=.b": "0x60"}, {"ConvaiServerDown"}),
    "all servers are gone": ({"up": "0x60"}, {"ConvaiServerDown", "ConvaiNoServer"}),
    "one request in ten fails": (
        {"request_failure.*convai_ensemble.*OTHER": "0+20x60", "request_success.*convai_ensemble": "0+90x60"},
        {"ConvaiRequestsFail"},
    ),
    "one request in fifty fails": (
        {"request_failure.*convai_ensemble.*OTHER": "0+4x60", "request_success.*convai_ensemble": "0+98x60"},
        set(),
    ),
    "the slowest answers take 4 s": ({"summary_us.*convai_ensemble.*0.99": "4000000x60"}, {"ConvaiSlow"}),
    "eight requests wait": ({"queue_duration_us.*jasper": "0+480000000x60"}, {"ConvaiQueuesLong"}),
    "hearing takes longer than the question": (
        {"request_duration_us.*jasper": "0+90000000x60", "question_seconds": "0+60x60"},
        {"ConvaiHearsTooSlowly"},
    ),
    "speech takes longer than it lasts": (
        {"request_duration_us.*waveglow": "0+90000000x60", "answer_seconds": "0+60x60"},
        {"ConvaiSpeaksTooSlowly"},
    ),
    "three questions in four are not answered": (
        {"convai_no_answers": "0+3x60", "convai_answers": "0+1x60"},
        {"ConvaiFindsNoAnswers"},
    ),
}


def recorded_series() -> dict[str, str]:
    """An hour of two servers, in promtool's notation: counters grow by what was recorded, each ten minutes."""
    series = {}
    for instance in "ab":
        place = f'job="convai-headless", namespace="convai", pod="{instance}", instance="{instance}"'
        series[f"up{{{place}}}"] = f"1x{MINUTES}"
        for name, labels, value in ASKED:
            stays = "_" if value == "Nan" else value  # a quantile of no request
            grows = f"{value}+{float(value) / 10:f}"
            labels = ", ".join(filter(None, (labels.replace('",', '", '), place)))
            series[f"{name}{{{labels}}}"] = f"{grows if re.fullmatch(COUNTERS, name) else stays}x{MINUTES}"
    return series


def with_changes(series: dict[str, str], changes: dict[str, str]) -> dict[str, str]:
    changed = dict(series)
    for pattern, values in changes.items():
        found = [name for name in series if re.match(rf".*{pattern}", name)]
        assert found, f"no recorded series matches {pattern}"
        changed |= dict.fromkeys(found, values)
    return changed


def written(folder, name, content):
    (folder / name).write_text(json.dumps(content))  # which is YAML too
    return folder / name


def test_every_rule_is_one_that_prometheus_takes(tmp_path):
    assert f"{len(EVERY_ALERT)} rules found" in promtool("check", "rules", written(tmp_path, "rules.yaml", RULES))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_expected_alerts_and_no_others_fire_when(scenario, tmp_path):
    changes, expected = SCENARIOS[scenario]
    series = with_changes(recorded_series(), changes)
    firing = {
        "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": f"{MINUTES}m",
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(expected)],
    }
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [firing],
    }
    written(tmp_path, "rules.yaml", RULES)
    test = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [case]}
    assert "SUCCESS" in promtool("test", "rules", written(tmp_path, "test.yaml", test))


def test_every_alert_is_seen_to_fire():
    assert set.union(*(alerts for _, alerts in SCENARIOS.values())) == EVERY_ALERT


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def test_prometheus_understands_what_the_dashboard_asks(tmp_path):
    rules = [
        {"record": f"panel:{number}", "expr": expr.replace("$namespace", "convai")}
        for number, expr in enumerate(expressions())
    ]
    group = {"groups": [{"name": "dashboard", "rules": rules}]}
    assert f"{len(rules)} rules found" in promtool("check", "rules", written(tmp_path, "rules.yaml", group))


def test_alerts_and_dashboard_ask_for_what_a_server_counts():
    asked = " ".join([*expressions(), *(rule["expr"] for rule in RULES["groups"][0]["rules"])])
    assert set(re.findall(r"\b(?:nv|convai)_\w+(?=\{|\[|\))", asked)) <= {name for name, *_ in RECORDED}


def test_the_dashboard_shows_every_metric_that_is_recommended():
    recommended = set(re.findall(r"\b(?:nv|convai)_[a-z_]+(?=[\[{\n])", metrics.__doc__))
    assert len(recommended) > 8
    assert {name for name in recommended if name not in " ".join(expressions())} == set()


def test_panels_lie_side_by_side_in_a_width_of_24():
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert len({(place["x"], place["y"]) for place in places}) == len(places)
    assert all(place["x"] + place["w"] <= 24 for place in places)
