import numpy as np
import pytest
import torch
from support.tiny_tacotron2 import TINY, decode, network

from convai.backends.engines.onnxruntime.network import OnnxNetwork
from convai.errors import InvalidArgument
from convai.networks.export import onnx_file
from convai.networks.tacotron2.loop import Closing, Opening, Turn
from convai.networks.tacotron2.model import example_inputs
from convai.networks.tacotron2.network import TACOTRON2

CONFIG = {"name": "tacotron2", "output": [{"name": "decoded_mel"}, {"name": "mel_length"}]}


@pytest.fixture(scope="module")
def tacotron2():
    return network(gate_bias=-2.0)


@pytest.fixture(scope="module")
def loop(tacotron2, tmp_path_factory):
    path = tmp_path_factory.mktemp("loop") / "model.onnx"
    onnx_file.write(TACOTRON2.interface, tacotron2, example_inputs(TINY, 2, 11), path)
    return OnnxNetwork(path, CONFIG)


def run(loop, symbol_ids, symbols_length):
    outputs = loop.run({"symbol_ids": symbol_ids.numpy(), "symbols_length": symbols_length.numpy()})
    return outputs["decoded_mel"], outputs["mel_length"]


def decode_in_parts(tacotron2, *inputs):
    turn, frames, goes_on = Turn(tacotron2), [], True
    with torch.inference_mode():
        state, constants = Opening(tacotron2)(*inputs)
        while goes_on:
            goes_on, state = turn(torch.tensor(len(frames)), state, constants)
            frames.append(state[0])
        return Closing(tacotron2)(torch.stack(frames), *state[-2:])


@pytest.mark.parametrize("symbols", [9, 25])
def test_opening_turns_and_closing_equal_the_network(symbols):
    # In FP64 a difference stands out; in FP32 these large weights amplify rounding.
    tacotron2 = network(gate_bias=-2.0).double()
    inputs = example_inputs(TINY, 4, symbols, seed=3)
    mel, mel_length = decode(tacotron2, *inputs)
    got_mel, got_length = decode_in_parts(tacotron2, *inputs)
    assert torch.equal(got_length, mel_length) and len(set(mel_length.flatten().tolist())) > 2
    torch.testing.assert_close(got_mel, mel, atol=1e-6, rtol=0)  # both outputs are FP32


def test_the_file_agrees_with_the_network(tacotron2, loop):
    for inputs in (example_inputs(TINY, 1, 5), example_inputs(TINY, 6, 18, seed=3)):
        mel, mel_length = decode(tacotron2, *inputs)
        got_mel, got_length = run(loop, *inputs)
        assert got_length.tolist() == mel_length.tolist()
        np.testing.assert_allclose(got_mel, mel.numpy(), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("symbol", "length"), [(-1, 5), (20, 5), (1, -1), (1, 6)])
def test_symbol_ids_and_lengths_out_of_range_are_refused_by_the_file(loop, symbol, length):
    symbol_ids = torch.full((1, 5), symbol)
    with pytest.raises(InvalidArgument, match="refuses its inputs"):
        run(loop, symbol_ids, torch.tensor([[length]], dtype=torch.int32))
