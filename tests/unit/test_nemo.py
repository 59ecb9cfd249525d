"""Networks of NVIDIA NeMo become ours, with the options of their files; an option that ours lack is refused by name."""

import json
from argparse import ArgumentParser
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.nemo_archives import (
    CHARS,
    PHONEMES,
    recogniser_config,
    recogniser_tensors,
    store,
    synthesiser_config,
    synthesiser_tensors,
    vocoder_config,
    vocoder_tensors,
)
from support.tiny_tacotron2 import TINY
from support.tiny_waveglow import UPSAMPLED, with_fused_conditioning, with_weight_norm
from support.tiny_waveglow import network as tiny_waveglow

from convai.backends.steps.speech_features import LogMelOptions, SpeechFeatures, log_mel_spectrogram, normalise_features
from convai.backends.steps.text_encoder import TextEncoder, symbol_ids
from convai.description.pipeline import LABELS
from convai.errors import InvalidArgument
from convai.networks.checkpoints.checkpoint import read_checkpoint
from convai.networks.checkpoints.weights import build
from convai.networks.export import command as export_command
from convai.networks.jasper.model import BlockConfig, Jasper, JasperConfig
from convai.networks.jasper.model import example_inputs as jasper_inputs
from convai.networks.jasper.nemo import make_filters
from convai.networks.jasper.network import LOG_MEL_SIDE_FILE
from convai.networks.tacotron2.model import Tacotron2
from convai.networks.tacotron2.network import SYMBOLS_SIDE_FILE
from convai.networks.waveglow.model import example_inputs as waveglow_inputs
from convai.text.symbols import CONSONANTS, SYMBOLS, VOWELS

LOG_MEL = LogMelOptions(log_offset=2**-24, padding="zeros", partial_frame=False)  # as NeMo makes them
JASPER = JasperConfig(
    (
        BlockConfig(8, 5, stride=2),
        BlockConfig(8, 5, repeat=2, residual=True),
        BlockConfig(12, 7, repeat=2, residual=True),
        BlockConfig(8, 3, dilation=2),
    ),
    log_mel=LOG_MEL,
)
QUARTZNET = JasperConfig(
    (
        BlockConfig(8, 5, stride=2, separable=True),
        BlockConfig(8, 5, repeat=2, residual=True, dense=False, separable=True),
        BlockConfig(12, 7, repeat=2, residual=True, dense=False, separable=True),
        BlockConfig(8, 1),
    ),
    log_mel=LOG_MEL,
)
VOCODER = replace(UPSAMPLED, n_mel_channels=80, sigma=1.0)
SYNTHESISER = replace(TINY, n_frames_per_step=1, steps_per_symbol=14, extra_steps=80)
NEMO_LABELS = list(" !\"'(),-.:;?ABCDEFGHIJKLMNOPQRSTUVWXYZ[]abcdefghijklmnopqrstuvwxyz")


def make_recogniser(config):
    torch.manual_seed(0)
    network = Jasper(config).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):  # initial statistics would hide a misplaced norm
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.normal_(module.bias)
    return network


def make_synthesiser(n_symbols):
    torch.manual_seed(0)
    return Tacotron2(replace(SYNTHESISER, n_symbols=n_symbols)).eval()


def store_recogniser(folder, config=QUARTZNET, network=None, change=lambda options: None):
    options = recogniser_config(config)
    change(options)
    return store(folder / "recogniser.nemo", options, recogniser_tensors(network or make_recogniser(config)))


def load(path):
    checkpoint = read_checkpoint(path)
    return build(checkpoint.network, checkpoint.weights(), seed=0), checkpoint.converted


def run_export(path, repository, *arguments):
    parser = ArgumentParser()
    export_command.add_arguments(parser)
    command = ["--checkpoint", path, "--model-repository", repository, *arguments]
    export_command.run(parser.parse_args([str(argument) for argument in command]))


@pytest.mark.parametrize(("config", "name"), [(JASPER, "Jasper"), (QUARTZNET, "QuartzNet")])
@torch.inference_mode()
def test_a_recogniser_has_the_outputs_of_the_stored_network(tmp_path, config, name):
    network = make_recogniser(config)
    read, converted = load(store_recogniser(tmp_path, config, network))
    assert (converted.layout, converted.config) == (f"NVIDIA NeMo 2.7.3, {name}", config)
    inputs = jasper_inputs(config, batch=4, length=50)
    torch.testing.assert_close(read(*inputs)[0], network(*inputs)[0], atol=0, rtol=0)


@torch.inference_mode()
def test_quartznet_recognises_a_row_the_same_alone_and_unpadded_as_in_a_batch():
    network = make_recogniser(QUARTZNET)
    features, lengths = jasper_inputs(QUARTZNET, batch=3, length=50)
    batched, frames = network(features, lengths)
    for row, length in enumerate(lengths[:, 0].tolist()):
        alone, _ = network(features[row : row + 1, :, :length], lengths[row : row + 1])
        torch.testing.assert_close(batched[row, : frames[row]], alone[0], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_labels_in_another_order_are_reordered(tmp_path):
    order = [*range(13, 28), *range(13), 28]
    network = make_recogniser(QUARTZNET)
    theirs = recogniser_tensors(network)
    for part in ("weight", "bias"):
        theirs[f"decoder.decoder_layers.0.{part}"] = theirs[f"decoder.decoder_layers.0.{part}"][order]
    labels = [LABELS[index] for index in order[:-1]]
    read, _ = load(store(tmp_path / "recogniser.nemo", recogniser_config(QUARTZNET, labels), theirs))
    inputs = jasper_inputs(QUARTZNET, batch=2, length=30)
    torch.testing.assert_close(read(*inputs)[0], network(*inputs)[0], atol=1e-6, rtol=0)


def test_quartznet_15x5_has_the_published_number_of_parameters():
    residual = [(256, 33), (256, 39), (512, 51), (512, 63), (512, 75)]
    config = JasperConfig(
        (
            BlockConfig(256, 33, stride=2, separable=True),
            *(
                BlockConfig(*sizes, repeat=5, residual=True, dense=False, separable=True)
                for sizes in residual
                for _ in range(3)
            ),
            BlockConfig(512, 87, dilation=2, separable=True),
            BlockConfig(1024, 1),
        )
    )
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in Jasper(config).parameters())
    assert round(count / 1e6, 1) == 18.9


def test_a_quartznet_is_exported_with_the_features_it_was_trained_with(tmp_path, capsys):
    run_export(store_recogniser(tmp_path), tmp_path, "--format", "torchscript")
    printed = capsys.readouterr().out
    assert "NVIDIA NeMo 2.7.3, QuartzNet" in printed and "differs by at most" in printed
    assert json.loads((tmp_path / LOG_MEL_SIDE_FILE.path).read_text())["log_offset"] == 2**-24
    step = SpeechFeatures(buckets=(3008,), log_mel_file=str(tmp_path / LOG_MEL_SIDE_FILE.path))
    audio = np.random.default_rng(0).normal(size=16_100).astype(np.float32) * 0.01
    features = step(question_audio=audio, sample_rate=np.array([16_000], np.int32))
    assert features["features_length"].tolist() == [100]
    np.testing.assert_array_equal(
        features["features"][:, :100], normalise_features(log_mel_spectrogram(audio, LOG_MEL))
    )


def nemo_features(audio):
    """Compute features by NeMo's definition in PyTorch."""
    x = torch.from_numpy(audio).double()
    x = torch.cat((x[:1], x[1:] - 0.97 * x[:-1]))
    window = torch.hann_window(320, periodic=False, dtype=torch.float64)
    spectrum = torch.stft(x, 512, 160, 320, window, center=True, pad_mode="constant", return_complex=True)
    filters = torch.from_numpy(make_filters()).double()
    features = torch.log(filters @ spectrum.abs() ** 2 + 2**-24)[:, : len(audio) // 160]
    return ((features - features.mean(1, keepdim=True)) / (features.std(1, keepdim=True) + 1e-5)).numpy()


@pytest.mark.parametrize("num_samples", [1_600, 16_159, 40_123])
def test_features_equal_the_definition_of_nemo_within_1e_3(num_samples):
    audio = np.random.default_rng(0).normal(size=num_samples).astype(np.float32) * 0.1
    audio[num_samples // 3 : num_samples // 2] = 0
    np.testing.assert_allclose(normalise_features(log_mel_spectrogram(audio, LOG_MEL)), nemo_features(audio), atol=1e-3)


def at(*path_and_value):
    """Return a function that changes one option deep in a configuration."""
    *path, last, value = path_and_value

    def change(options):
        for key in path:
            options = options[key]
        options[last] = value

    return change


FIRST = ("encoder", "jasper", 0)
SECOND = ("encoder", "jasper", 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            at("target", "nemo.collections.asr.models.EncDecRNNTBPEModel"),
            "expected .* class .*, got EncDecRNNTBPEModel",
        ),
        (at("sample_rate", 8000), "model.sample_rate: expected 16000, got 8000"),
        (at("decoder", "vocabulary", [*LABELS[:-1], "é"]), r"the 28 labels of .* without \[\"'\"\], with \['é'\]"),
        (at("preprocessor", "n_fft", 1024), "preprocessor.n_fft: expected 512, got 1024"),
        (at("preprocessor", "highfreq", 7600), "preprocessor.highfreq: expected none or 8000, got 7600"),
        (at("preprocessor", "novelty", 3), "preprocessor.novelty = 3: our network has no such option"),
        (at(*SECOND, "se", True), r"jasper\[1\].se: expected False, got True"),
        (at(*SECOND, "kernel", [3, 5]), r"jasper\[1\].kernel: expected an integer, got \[3, 5\]"),
        (at(*SECOND, "kernel_size_factor", float("nan")), r"kernel_size_factor: expected a number, got nan"),
        (at(*SECOND, "kernel", 10**400), "is not a valid NeMo model: OverflowError"),
        (at(*FIRST, "separable", False), "does not fit the network"),
    ],
)
def test_a_recogniser_with_an_option_that_ours_lacks_is_refused_by_option_and_value(tmp_path, change, message):
    with pytest.raises(InvalidArgument, match=message):
        read_checkpoint(store_recogniser(tmp_path, change=change))


@pytest.mark.parametrize(
    "change",
    [
        at(*SECOND, "kernel_size_factor", 0.9),  # 4, which NeMo rounds up to an odd size
        at(*SECOND, "kernel", 5),
        at("preprocessor", "log_zero_guard_value", "5.960464477539063e-8"),
        at("preprocessor", "pad_to", 0),
        at("decoder", "num_classes", -1),
    ],
)
def test_an_option_without_effect_is_accepted(tmp_path, change):
    assert read_checkpoint(store_recogniser(tmp_path, change=change)).converted.config == QUARTZNET


def test_other_mel_filters_than_ours_are_refused(tmp_path):
    tensors = recogniser_tensors(make_recogniser(QUARTZNET))
    tensors["preprocessor.featurizer.fb"] = tensors["preprocessor.featurizer.fb"] * 1.01
    path = store(tmp_path / "recogniser.nemo", recogniser_config(QUARTZNET), tensors)
    with pytest.raises(InvalidArgument, match="preprocessor.featurizer.fb: expected the 64 mel filters on Slaney"):
        read_checkpoint(path)


@torch.inference_mode()
def test_a_vocoder_has_the_audio_of_the_stored_network(tmp_path):
    published = with_weight_norm(tiny_waveglow(VOCODER))
    tensors = vocoder_tensors(with_fused_conditioning(published.state_dict()))
    read, converted = load(store(tmp_path / "vocoder.nemo", vocoder_config(VOCODER), tensors))
    assert (converted.layout, converted.config) == ("NVIDIA NeMo, WaveGlow", VOCODER)
    inputs = waveglow_inputs(VOCODER, 2, 5)
    torch.testing.assert_close(read(*inputs), published(*inputs), atol=1e-5, rtol=0)


def store_synthesiser(folder, n_symbols, change=lambda options: None, **symbols):
    options = synthesiser_config(SYNTHESISER, **symbols)
    change(options)
    return store(folder / "synthesiser.nemo", options, synthesiser_tensors(make_synthesiser(n_symbols)))


@torch.inference_mode()
def test_a_synthesiser_that_lists_its_labels_is_read_and_exported_with_them(tmp_path, capsys):
    count = len(NEMO_LABELS) + 3
    path = store_synthesiser(tmp_path, count, labels=NEMO_LABELS)
    read, _ = load(path)
    ids = torch.randint(1, count, (1, 9))
    lengths = torch.tensor([[9]], dtype=torch.int32)
    torch.testing.assert_close(read(ids, lengths)[0], make_synthesiser(count)(ids, lengths)[0], atol=0, rtol=0)
    run_export(path, tmp_path, "--format", "torchscript")
    assert "NVIDIA NeMo, Tacotron 2" in capsys.readouterr().out
    encoder = TextEncoder(buckets=(32,), symbols_file=str(tmp_path / SYMBOLS_SIDE_FILE.path))
    encoded = encoder(text="Hi, Bob")
    spelled = [len(NEMO_LABELS), *(NEMO_LABELS.index(symbol) for symbol in "hi, bob."), len(NEMO_LABELS) + 1]
    assert encoded["symbol_ids"][: encoded["symbols_length"][0]].tolist() == spelled


def read_symbols(folder, n_symbols, tokenizer):
    path = store_synthesiser(folder, n_symbols, text_tokenizer=tokenizer)
    return read_checkpoint(path).converted.config.symbols


def test_a_synthesiser_of_letters_keeps_the_spaces_around_its_texts(tmp_path):
    table = read_symbols(tmp_path, 1 + 26 + 1 + 15 + 2, {"_target_": CHARS, "pad_with_space": True})
    assert symbol_ids("ab, c'd", table) == [0, 1, 2, 28, 0, 3, 27, 4, 0]


def test_a_synthesiser_of_phonemes_reads_phonemes(tmp_path):
    g2p = {"_target_": "nemo.collections.tts.g2p.models.en_us_arpabet.EnglishG2p", "phoneme_dict": "nemo:1_dict"}
    options = {"_target_": PHONEMES, "stresses": True, "chars": True, "pad_with_space": True, "g2p": g2p}
    stressed = [f"{vowel}{stress}" for vowel in VOWELS for stress in "012"]
    tokens = [" ", *CONSONANTS, *stressed, *"abcdefghijklmnopqrstuvwxyz'", *',.!?-:;/"()[]{}']
    table = read_symbols(tmp_path, len(tokens) + 2, options)
    assert table.phonemes
    ids = symbol_ids("{HH AW1}, b", table)
    assert [tokens[number] for number in ids] == [" ", "HH", "AW1", ",", " ", "b", " "]
    assert {tokens[table.ids[symbol]] for symbol in SYMBOLS if symbol in table.ids} >= {*stressed, *CONSONANTS}


@pytest.mark.parametrize(
    ("symbols", "change", "message"),
    [
        ({"labels": list("abc ")}, None, r"got 4 without \['d', 'e'"),
        (
            {"text_tokenizer": {"_target_": "a.GermanCharsTokenizer"}},
            None,
            "text_tokenizer: .* got GermanCharsTokenizer",
        ),
        ({"labels": NEMO_LABELS}, at("decoder", "n_frames_per_step", 2), "n_frames_per_step: expected 1, got 2"),
        ({"labels": NEMO_LABELS}, at("decoder", "speaker_dim", 16), "decoder.speaker_dim = 16: our network has no"),
    ],
)
def test_a_synthesiser_with_an_option_that_ours_lacks_is_refused(tmp_path, symbols, change, message):
    with pytest.raises(InvalidArgument, match=message):
        read_checkpoint(store_synthesiser(tmp_path, 65, change or (lambda options: None), **symbols))
