import pytest

from convai.backends.runtime.failures import engine_error, internal_error, user_mistake


def test_a_user_mistake_keeps_its_words_and_gains_the_name_of_the_step():
    error = ValueError("sample_rate is 4000 Hz; allowed is 8000 to 48000 and/or less than 1/2 of it")

    assert user_mistake("speech_features", error) == f"speech_features: {error}"


def test_an_internal_error_tells_its_kind_alone():
    error = KeyError("/srv/models/secret")

    assert internal_error("ctc_decoder", error) == "ctc_decoder: internal error (KeyError)"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cannot open /srv/models/1/model.onnx", "cannot open model.onnx"),
        ('File "/usr/lib/python3.11/json.py", line 3', 'File "json.py", line 3'),
        ("(/srv/models/c, 2)", "(c, 2)"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
    ],
)
def test_paths_are_cut_to_their_last_component(text, told):
    assert user_mistake("step", ValueError(text)) == f"step: {told}"


def test_of_a_torchscript_traceback_only_the_reason_is_told():
    error = RuntimeError('Traceback of TorchScript:\n  File "/srv/convai/model.py", line 3\nRuntimeError: bad size')

    assert engine_error("tacotron2", error) == "tacotron2: the network failed: RuntimeError: bad size"


def test_a_long_reason_is_cut():
    assert len(engine_error("bert", RuntimeError("x" * 10_000))) < 500
