"""The default networks answer on OpenVINO as on ONNX Runtime, within the tolerances of their precision."""

import numpy as np
import pytest
from support.places import EXAMPLES

from benchmarks.speed.in_process import load_network, load_python_steps, read_config, use_plain_names
from convai.backends.engines.openvino.network import OpenVinoNetwork
from convai.client.audio_files import read_mono
from convai.client.requests import audio_inputs, text_row

# Of probabilities, of logits of some 10, and of audio in [-1, 1].
TOLERANCES = {
    "FP32": {"jasper": 1e-3, "bert": 1e-3, "waveglow": 1e-4},
    "BF16": {"jasper": 0.1, "bert": 0.5, "waveglow": 1e-2},
}
SOUNDS = ("question.wav", "bees.flac", "bread.flac", "everest.flac")
TEXTS = ("context.txt", "bees.txt", "bread.txt", "everest.txt")
SENTENCES = ("England's national poet.", "Nineteen eighty-four, in the small town of Brno.")


@pytest.fixture(scope="module")
def steps(model_repository):
    return load_python_steps(model_repository, "cpu-onnx")


@pytest.fixture(scope="module")
def requests(model_repository, steps):
    """The inputs of each network for the examples."""
    tacotron2 = load_network("tacotron2", model_repository, "cpu-onnx")
    features = [steps["speech_features"](audio_inputs(*read_mono(EXAMPLES / name))) for name in SOUNDS]
    question = text_row("question", "what is it often called")
    windows = [
        steps["qa_tokenizer"]({"question": question, "context": text_row("context", (EXAMPLES / name).read_text())})
        for name in TEXTS
    ]
    mels = [tacotron2(steps["text_encoder"]({"text": text_row("text", text)})) for text in SENTENCES]
    padded = [steps["mel_padder"](mel) for mel in mels]
    names = {
        "jasper": ("features", "features_length"),
        "bert": ("input_ids", "token_type_ids", "attention_mask"),
        "waveglow": ("padded_mel", "z"),
    }
    made = {"jasper": features, "bert": windows, "waveglow": padded}
    return {step: [{name: one[name] for name in names[step]} for one in made[step]] for step in made}


def load_on_openvino(name, model_repository, precision):
    config = read_config(name, model_repository, "cpu")
    config["parameters"]["HINT_BF16"]["string_value"] = "YES" if precision == "BF16" else "NO"
    del config["parameters"]["warm_up"]
    loaded = OpenVinoNetwork(model_repository / name / "1" / "model.onnx", config)
    return lambda inputs: use_plain_names(loaded.run(inputs))


def scale(name, array, inputs):
    if name == "log_probs":  # logarithms of very small probabilities differ more than matters
        return np.exp(array)
    return array * inputs["attention_mask"] if name.endswith("logits") else array  # nobody reads those of padding


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("name", ["jasper", "bert", "waveglow"])
def test_a_default_network_answers_as_on_onnx_runtime(model_repository, requests, name, precision):
    reference = load_network(name, model_repository, "cpu-onnx")
    run = load_on_openvino(name, model_repository, precision)
    differences = []
    for inputs in requests[name]:
        expected, got = reference(inputs), run(inputs)
        assert {key: value.dtype for key, value in got.items()} == {key: one.dtype for key, one in expected.items()}
        differences += [
            np.abs(scale(key, got[key], inputs) - scale(key, expected[key], inputs)).max() for key in expected
        ]
    print(f"{name} in {precision} differs by {max(differences):.1e}")
    assert max(differences) <= TOLERANCES[precision][name]
