import io
import json
import re

import numpy as np
import pytest
import soundfile
from support.fake_triton import FakeTriton, serving

from convai.__main__ import main
from convai.client.ask import plan
from convai.client.audio_files import read_mono
from convai.description.wiring import wiring_of

TONE = 0.5 * np.sin(np.arange(8_000) / 10)
NOBODY = "127.0.0.1:1"
ANSWER = {
    "question": np.array([[b"who wrote it"]], np.object_),
    "answer": np.array([["Zoë".encode()]], np.object_),
    "answer_score": np.array([[0.75]], np.float32),
    "answer_span": np.array([[0, 3]], np.int32),
    "sentence": np.array([["Zoë.".encode()]], np.object_),
    "answer_audio": np.full((1, 11_025), 0.25, np.float32),
    "mel": np.zeros((1, 80, 43), np.float32),
}


@pytest.fixture(scope="module")
def fake():
    return FakeTriton(ANSWER)


@pytest.fixture(scope="module")
def address(fake):
    with serving(fake) as address:
        yield address


@pytest.fixture
def folder(tmp_path):
    """Questions in four formats, and a file that is not audio."""
    folder = tmp_path / "questions"
    folder.mkdir()
    for name in ("a.wav", "b.flac", "c.ogg", "d.mp3"):
        soundfile.write(folder / name, TONE, 16_000)
    (folder / "notes.txt").write_text("not a question")
    return folder


@pytest.fixture
def context(tmp_path):
    path = tmp_path / "context.txt"
    path.write_text("Zoë wrote it.", encoding="utf-8")
    return path


def ask(*arguments, server=NOBODY):
    return main(["ask", *map(str, arguments), "--server", server])


def test_a_typed_question_is_answered_and_its_sentence_spoken(context, address, fake, tmp_path, capsys):
    out = tmp_path / "answer.wav"
    assert ask("--question", "Who?", "--context", context, "--out", out, server=address) == 0
    assert soundfile.info(out).frames == 11_025
    assert "question  Who?" in capsys.readouterr().out
    assert [request.model_name for request in fake.requests[-2:]] == ["question_answering", "text_to_speech"]
    assert fake.requests[-1].raw_input_contents[0].endswith("Zoë.".encode())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--question", "Who?", "question.wav"], "expected either files or --question, got both"),
        ([], "expected either files or --question, got neither"),
        (["--question", "Who?", "--steps"], "--question: expected --out, --json and --seed alone"),
    ],
)
def test_a_typed_question_goes_without_files_and_measurements(arguments, message, capsys):
    assert ask(*arguments, "--context", "text.txt") == 1
    assert message in capsys.readouterr().err


def test_a_question_is_answered_in_text_and_sound(folder, context, address, tmp_path, capsys):
    out = tmp_path / "answer.wav"
    assert ask(folder / "a.wav", "--context", context, "--out", out, server=address) == 0
    printed = capsys.readouterr()
    assert all(part in printed.out for part in ("who wrote it", "Zoë", "0.75", "0.50 s", str(out)))
    assert printed.err == ""
    samples, rate = soundfile.read(out)
    assert (rate, samples.shape) == (22_050, (11_025,))
    np.testing.assert_allclose(samples, 0.25, atol=1e-4)


def test_nothing_is_synthesised_unless_it_is_written(folder, context, fake, address):
    assert ask(folder / "a.wav", "--context", context, server=address) == 0
    requested = [output.name for output in fake.requests[-1].outputs]
    assert requested == ["question", "answer", "answer_score", "answer_span"]


def test_a_folder_is_answered_into_a_folder_with_one_json_object_per_line(folder, context, address, tmp_path, capsys):
    out = tmp_path / "answers"
    assert ask(folder, "--context", context, "--out", out, "--json", server=address) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    questions = [str(folder / name) for name in ("a.wav", "b.flac", "c.ogg", "d.mp3")]
    assert [record["file"] for record in records] == questions
    assert records[0]["answer"] == "Zoë"
    assert records[0]["answer_span"] == [0, 3]
    assert {path.name for path in out.iterdir()} == {f"{stem}.wav" for stem in "abcd"}


def test_a_bad_file_fails_the_command_but_does_not_stop_the_others(folder, context, address, capsys):
    files = [folder / "a.wav", folder / "notes.txt", folder / "missing.wav", folder / "b.flac"]
    assert ask(*files, "--context", context, "--json", server=address) == 1
    printed = capsys.readouterr()
    records = [json.loads(line) for line in printed.out.splitlines()]
    assert ["error" in record for record in records] == [False, True, True, False]
    assert "notes.txt: expected audio" in printed.err
    assert "missing.wav: cannot be read: No such file" in printed.err


def test_without_a_server_one_line_says_how_to_start_it(folder, context, capsys):
    assert ask(folder, "--context", context) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch("convai ask: no connection.* `convai serve`.*\n", printed.err)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *((b"", "empty"), (b" \n", "empty"), (b"caf\xe9", "not UTF-8 text: .* at byte 3"), (None, "No such file")),
        (32_769 * b"a", "--context: expected at most 32,768 bytes of UTF-8, got 32,769 in .*bad.txt"),
    ],
)
def test_a_context_that_is_not_a_text_of_32_kib_is_rejected_once(content, message, folder, tmp_path, capsys):
    path = tmp_path / "bad.txt"
    if content is not None:
        path.write_bytes(content)
    assert ask(folder, "--context", path) == 1
    assert re.fullmatch(f".*{message}.*\n", capsys.readouterr().err)


def test_the_context_may_come_from_standard_input(folder, fake, address, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\ufeffZoë wrote it.".encode())))
    assert ask(folder / "a.wav", "--context", "-", server=address) == 0
    length, text = fake.requests[-1].raw_input_contents[2][:4], fake.requests[-1].raw_input_contents[2][4:]
    assert int.from_bytes(length, "little") == len(text)
    assert text == "Zoë wrote it.".encode()


def test_no_answer_overwrites_a_question_or_another_answer(folder, context, tmp_path, capsys):
    question = (folder / "a.wav").read_bytes()
    assert ask(folder, "--context", context, "--out", folder) == 1
    assert (folder / "a.wav").read_bytes() == question
    soundfile.write(folder / "a.flac", TONE, 16_000)
    assert ask(folder, "--context", context, "--out", tmp_path / "answers") == 1
    assert capsys.readouterr().err.count("would overwrite") == 2


def test_plot_and_trace_get_names_of_their_own_in_one_folder(folder, tmp_path):
    (job,) = plan([folder / "a.wav"], None, plot=tmp_path, trace=tmp_path)
    assert (job.plot_file, job.trace_file) == (tmp_path / "a.png", tmp_path / "a-trace.json")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trace", "trace.json", "--step-by-step"], "leave one out"),
        (["--trace", "trace.png"], "expected a name that ends in .json, got trace.png"),
        (["--plot", "answer.doc"], "--plot: expected a name that ends in one of .eps, "),
        (["--out", "answer.doc"], "expected a name that ends in one of .wav, .flac, .ogg, .mp3, got answer.doc"),
    ],
)
def test_invalid_options_are_rejected_before_asking(options, message, folder, context, capsys):
    assert ask(folder / "a.wav", "--context", context, *options) == 1
    assert message in capsys.readouterr().err


def test_a_folder_without_audio_is_rejected(tmp_path, context, capsys):
    assert ask(tmp_path, "--context", context) == 1
    assert "has no audio file" in capsys.readouterr().err


def test_stereo_is_averaged_and_the_format_detected_by_content(tmp_path):
    path = tmp_path / "stereo.raw"
    stereo = np.stack([np.full(100, 0.5), np.full(100, 0.25)], axis=1)
    soundfile.write(path, stereo, 44_100, format="WAV")
    samples, rate = read_mono(path)
    assert (rate, samples.dtype) == (44_100, np.float32)
    np.testing.assert_allclose(samples, np.full(100, 0.375), atol=1e-4)


@pytest.fixture
def question(tmp_path, example_question):
    path = tmp_path / "question.wav"
    soundfile.write(path, *example_question)
    return path


@pytest.mark.parametrize("flag", ["--steps", "--step-by-step"])
def test_each_step_is_timed(flag, server, context, question, tmp_path, capsys):
    out = tmp_path / "answer.wav"
    assert ask(question, "--context", context, "--out", out, flag, "--json", server=server.grpc_address) == 0
    (record,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert [step["step"] for step in record["steps"]][::10] == ["speech_features", "audio_trimmer"]
    for step in record["steps"]:
        assert step.get("requests", 1) == 1
        assert step.get("compute_seconds", step.get("round_trip_seconds")) > 0


def test_a_trace_and_the_printed_times_hold_all_steps(server, context, question, tmp_path, capsys):
    trace = tmp_path / "trace.json"
    assert ask(question, "--context", context, "--trace", trace, server=server.grpc_address) == 0
    printed, steps = capsys.readouterr().out, [call.step for call in wiring_of("convai_ensemble").calls]
    assert f"trace     {trace}" in printed
    assert all(f"    {step} " in printed for step in steps)
    events = json.loads(trace.read_text())["traceEvents"]
    assert [event["args"]["name"] for event in events if event["name"] == "thread_name"] == steps
