from dataclasses import replace

import pytest

from benchmarks.speed.closed_loop import LoadOutcome
from benchmarks.speed.figures import build_figures
from benchmarks.speed.paths import Reply
from benchmarks.speed.plot import plot_loads
from benchmarks.speed.report import BenchReport, format_ratios
from convai.client.answer import Answer


def replies(*latencies, **step_seconds):
    return tuple(Reply(Answer(question="who", answer="Ada"), latency, step_seconds) for latency in latencies)


def figures(path="ensemble", in_flight=1, latency=1.0, per_second=1.0, spent=0.5, pss_bytes=1e9, steps=None):
    given = replies(latency)
    built = build_figures(path, in_flight, LoadOutcome(((0, given[0]),), given, per_second), spent, pss_bytes)
    return replace(built, steps=steps or {})


def test_percentiles_are_of_measured_replies_and_processor_time_is_shared_by_all():
    given = replies(0.1, 0.2, 0.3, 9.0)
    built = build_figures("ensemble", 2, LoadOutcome(tuple(enumerate(given[:3])), given, 5.0), 1.0, None)
    assert (built.answers, built.p50_seconds) == (3, pytest.approx(0.2))
    assert built.p99_seconds < 0.3 + 1e-9
    assert built.mean_seconds == pytest.approx(2.4)
    assert built.processor_seconds == 0.25


def test_the_report_names_the_processor_and_shows_processor_time_first(monkeypatch):
    monkeypatch.setattr("benchmarks.speed.report.read_processor_name", lambda: "AMD EPYC 7763")
    rounds = [[figures("in-process"), figures(spent=0.7)]]
    question = type("Question", (), {"seconds": 1.0})
    report = BenchReport({"paths": ["ensemble", "in-process"], "repeats": 1}, [question], 4.0, rounds)
    title, _, headers, ensemble, in_process, *_ = report.format().splitlines()
    assert title.startswith("AMD EPYC 7763")
    assert headers.split()[3] == "CPU/answer"
    assert ensemble.split()[:3] == ["ensemble", "1", "700"]
    assert in_process.split()[:3] == ["in-process", "1", "500"]
    assert report.build_record()["environment"]["processor"] == "AMD EPYC 7763"


def test_the_first_path_is_divided_by_each_other_path_round_by_round():
    rounds = [
        [figures("ray", 8, 2.0, per_second), figures("ensemble", 8, latency, 6.0), figures("in-process", 1, 0.5, 3.0)]
        for latency, per_second in [(1.0, 2.0), (3.0, 6.0), (4.0, 3.0)]
    ]
    assert [line.split() for line in format_ratios(rounds, "ensemble").splitlines()[1:]] == [
        ["ray", "8", "1.00", "2.00", "1.50"],
        ["in-process", "8", "1.00", "2.00", "6.00"],
    ]
    assert format_ratios([[figures()]], "ensemble") == ""


@pytest.mark.parametrize("pss_bytes", [1e9, None])
def test_every_path_can_be_drawn(pss_bytes, tmp_path):
    loads = [figures(path, load, pss_bytes=pss_bytes) for path in ("ensemble", "in-process", "ray") for load in (1, 4)]
    plot_loads(tmp_path / "speed.svg", loads, "a title")
    picture = (tmp_path / "speed.svg").read_text()
    for text in ("a title", "ensemble", "in-process, one at a time", "ray"):
        assert f"<!-- {text} -->" in picture
