"""A first step refuses a request while as many as the limit wait for the network behind it."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from convai.backends.runtime import admission
from convai.backends.runtime.admission import AdmissionControl, ServerMetrics
from convai.backends.runtime.failures import LimitReached

SCRAPE = Path(__file__).parents[1] / "support/recorded_scrape.txt"


class Queue:
    """Of a network that runs nothing until told to."""

    def __init__(self):
        self.length, self.readings = 0, 0

    def read(self, networks):
        assert networks == ("jasper", "bert")
        self.readings += 1
        return self.length


def enter(control, queue, times):
    """Try to enter a queue; the number of requests that were let in."""
    for entered in range(times):
        try:
            control.admit()
        except LimitReached:
            return entered
        queue.length += 1
    return times


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(admission, "SECONDS_BETWEEN_READINGS", 0.0)


def test_no_more_than_the_limit_wait(at_once):
    queue = Queue()
    control = AdmissionControl(("jasper", "bert"), 4, queue.read)
    assert enter(control, queue, 9) == 4
    queue.length -= 3
    assert enter(control, queue, 9) == 3
    with pytest.raises(LimitReached, match="4 requests wait for jasper, bert, which is the limit; try again later"):
        control.admit()


def test_a_queue_that_others_fill_too_is_seen(at_once):
    queue = Queue()
    queue.length = 3
    assert enter(AdmissionControl(("jasper", "bert"), 4, queue.read), queue, 9) == 1


def test_while_there_is_room_the_queue_is_read_once(at_once):
    queue = Queue()
    control = AdmissionControl(("jasper", "bert"), 4, queue.read)
    assert enter(control, queue, 4) == 4
    assert queue.readings == 1


def test_room_is_not_trusted_for_long(monkeypatch):
    queue = Queue()
    control = AdmissionControl(("jasper", "bert"), 4, queue.read)
    assert enter(control, queue, 1) == 1
    queue.length = 64
    monkeypatch.setattr(admission, "SECONDS_TO_TRUST", 0.0)
    assert enter(control, queue, 9) == 0


def test_a_flood_does_not_read_the_queue_for_every_request(monkeypatch):
    monkeypatch.setattr(admission, "SECONDS_BETWEEN_READINGS", 1000.0)
    queue = Queue()
    control = AdmissionControl(("jasper", "bert"), 4, queue.read)
    assert [enter(control, queue, 9) for _ in range(50)] == [4] + 49 * [0]
    assert queue.readings == 1


def test_if_the_queue_cannot_be_read_all_are_let_in(at_once, caplog):
    closed = ServerMetrics(["tritonserver", "--metrics-address=127.0.0.1", "--metrics-port=1"])
    assert enter(AdmissionControl(("jasper", "bert"), 4, closed.read_waiting), Queue(), 9) == 9
    assert caplog.text.count("the number of waiting requests is unknown") == 1


def test_a_server_without_metrics_is_not_mistaken_for_another_at_their_port():
    with HTTPServer(("127.0.0.1", 0), Metrics) as server:
        metrics = ServerMetrics(["tritonserver", "--allow-metrics=false", f"--metrics-port={server.server_address[1]}"])
        with pytest.raises(OSError, match="no metrics"):
            metrics.read_waiting(["speech_to_text"])


class Metrics(BaseHTTPRequestHandler):
    text = SCRAPE.read_text().replace(
        '{model="speech_to_text",version="1"} 0', '{model="speech_to_text",version="1"} 7'
    )

    def do_GET(self):
        self.send_response(200 if self.path == "/metrics" else 404)
        self.end_headers()
        self.wfile.write(self.text.encode())

    def log_message(self, *_):
        pass


def test_the_command_of_the_server_may_have_paths_of_any_encoding(tmp_path, monkeypatch):
    command = [os.fsdecode(b"/home/\xe9/tritonserver"), "--metrics-port=1", ""]
    (tmp_path / "cmdline").write_bytes(os.fsencode("\0".join(command)))
    monkeypatch.setattr(admission, "Path", lambda _: tmp_path / "cmdline")
    assert admission.read_parent_command() == command


@pytest.mark.parametrize("options", [["--metrics-address=0.0.0.0", "--metrics-port={}"], ["--metrics-port", "{}"]])
def test_the_queues_of_the_server_that_started_this_process_are_read(options):
    with HTTPServer(("127.0.0.1", 0), Metrics) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        metrics = ServerMetrics(["tritonserver", "--exit-timeout-secs=8", *(one.format(port) for one in options)])
        assert metrics.read_waiting(["speech_to_text", "text_to_speech", "nobody"]) == 7
        assert metrics.read_waiting(["text_to_speech"]) == 0
        server.shutdown()
