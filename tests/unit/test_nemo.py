"""Networks that NVIDIA NeMo stored become ours with what their files state; what works otherwise is refused by name."""

import json
from argparse import ArgumentParser
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.nemo_archives import (
    CHARS,
    PHONEMES,
    listener_config,
    listener_tensors,
    speaker_config,
    speaker_tensors,
    store,
    vocoder_config,
    vocoder_tensors,
)
from support.tiny_waveglow import UPSAMPLED, with_fused_conditioning, with_weight_norm
from support.tiny_waveglow import network as tiny_waveglow

from convai.backends.steps.speech_features import LogMelOptions, SpeechFeatures, log_mel_spectrogram, normalise_features
from convai.backends.steps.symbols import CONSONANTS, SYMBOLS, VOWELS
from convai.backends.steps.text_encoder import TextEncoder, symbol_ids
from convai.description.pipeline import LABELS
from convai.networks.checkpoints.checkpoint import read_checkpoint
from convai.networks.checkpoints.weights import build
from convai.networks.export import command as export_command
from convai.networks.jasper import log_mel_file
from convai.networks.jasper.model import BlockConfig, Jasper, JasperConfig
from convai.networks.jasper.model import example_inputs as features_of
from convai.networks.registry import NETWORKS
from convai.networks.tacotron2 import symbols_file
from convai.networks.tacotron2.model import Tacotron2, Tacotron2Config
from convai.networks.waveglow.model import example_inputs as mel_of

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
SPEAKER = Tacotron2Config(
    symbols_embedding_dim=16,
    encoder_embedding_dim=16,
    attention_rnn_dim=24,
    attention_dim=12,
    attention_location_n_filters=4,
    attention_location_kernel_size=7,
    decoder_rnn_dim=20,
    prenet_dim=8,
    postnet_embedding_dim=12,
    max_decoder_steps=40,
)
NEMO_LABELS = list(" !\"'(),-.:;?ABCDEFGHIJKLMNOPQRSTUVWXYZ[]abcdefghijklmnopqrstuvwxyz")


def listener(config):
    torch.manual_seed(0)
    network = Jasper(config).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):  # fresh statistics would hide a norm in the wrong place
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.normal_(module.bias)
    return network


def speaker(n_symbols):
    torch.manual_seed(0)
    return Tacotron2(replace(SPEAKER, n_symbols=n_symbols)).eval()


def stored_listener(folder, config=QUARTZNET, network=None, change=lambda options: None):
    options = listener_config(config)
    change(options)
    return store(folder / "listener.nemo", options, listener_tensors(network or listener(config)))


def loaded(path):
    checkpoint = read_checkpoint(path)
    return build(NETWORKS[checkpoint.network], checkpoint.weights(), seed=0), checkpoint.reading


def run_export(path, repository, *arguments):
    parser = ArgumentParser()
    export_command.add_arguments(parser)
    command = ["--checkpoint", path, "--model-repository", repository, *arguments]
    export_command.run(parser.parse_args([str(argument) for argument in command]))


@pytest.mark.parametrize(("config", "name"), [(JASPER, "Jasper"), (QUARTZNET, "QuartzNet")])
@torch.inference_mode()
def test_a_listener_answers_as_the_network_that_was_stored(tmp_path, config, name):
    network = listener(config)
    read, reading = loaded(stored_listener(tmp_path, config, network))
    assert (reading.layout, reading.config) == (f"NVIDIA NeMo 2.7.3, {name}", config)
    inputs = features_of(config, batch=4, length=50)
    torch.testing.assert_close(read(*inputs)[0], network(*inputs)[0], atol=0, rtol=0)


@torch.inference_mode()
def test_quartznet_hears_a_row_the_same_alone_and_unpadded_as_beside_longer_neighbours():
    network = listener(QUARTZNET)
    features, lengths = features_of(QUARTZNET, batch=3, length=50)
    together, frames = network(features, lengths)
    for row, length in enumerate(lengths[:, 0].tolist()):
        alone, _ = network(features[row : row + 1, :, :length], lengths[row : row + 1])
        torch.testing.assert_close(together[row, : frames[row]], alone[0], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_labels_in_another_order_are_brought_into_ours(tmp_path):
    order = [*range(13, 28), *range(13), 28]
    network = listener(QUARTZNET)
    theirs = listener_tensors(network)
    for part in ("weight", "bias"):
        theirs[f"decoder.decoder_layers.0.{part}"] = theirs[f"decoder.decoder_layers.0.{part}"][order]
    labels = [LABELS[index] for index in order[:-1]]
    read, _ = loaded(store(tmp_path / "listener.nemo", listener_config(QUARTZNET, labels), theirs))
    inputs = features_of(QUARTZNET, batch=2, length=30)
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
    path = stored_listener(tmp_path)
    for kind in ("onnx", "torchscript"):
        run_export(path, tmp_path, "--format", kind)
    printed = capsys.readouterr().out
    assert "NVIDIA NeMo 2.7.3, QuartzNet" in printed and printed.count("differs by at most") == 2
    assert (tmp_path / "jasper" / "1" / "model.onnx").is_file()
    assert json.loads((tmp_path / log_mel_file.PATH).read_text())["log_offset"] == 2**-24
    step = SpeechFeatures(buckets=(3008,), log_mel_file=str(tmp_path / log_mel_file.PATH))
    audio = np.random.default_rng(0).normal(size=16_100).astype(np.float32) * 0.01
    features = step(question_audio=audio, sample_rate=np.array([16_000], np.int32))
    assert features["features_length"].tolist() == [100]
    np.testing.assert_array_equal(
        features["features"][:, :100], normalise_features(log_mel_spectrogram(audio, LOG_MEL))
    )


def nemo_features(audio):
    """NeMo's definition in PyTorch."""
    x = torch.from_numpy(audio).double()
    x = torch.cat((x[:1], x[1:] - 0.97 * x[:-1]))
    window = torch.hann_window(320, periodic=False, dtype=torch.float64)
    spectrum = torch.stft(x, 512, 160, 320, window, center=True, pad_mode="constant", return_complex=True)
    filters = torch.from_numpy(listener_tensors(listener(JASPER))["preprocessor.featurizer.fb"][0].numpy()).double()
    features = torch.log(filters @ spectrum.abs() ** 2 + 2**-24)[:, : len(audio) // 160]
    return ((features - features.mean(1, keepdim=True)) / (features.std(1, keepdim=True) + 1e-5)).numpy()


@pytest.mark.parametrize("num_samples", [1_600, 16_159, 40_123])
def test_features_equal_the_definition_of_nemo_within_1e_3(num_samples):
    audio = np.random.default_rng(0).normal(size=num_samples).astype(np.float32) * 0.1
    audio[num_samples // 3 : num_samples // 2] = 0
    np.testing.assert_allclose(normalise_features(log_mel_spectrogram(audio, LOG_MEL)), nemo_features(audio), atol=1e-3)


def at(*path_and_value):
    """A change of one option deep in a configuration."""
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
        (at("target", "nemo.collections.asr.models.EncDecRNNTBPEModel"), "holds EncDecRNNTBPEModel; allowed are"),
        (at("sample_rate", 8000), "model.sample_rate is 8000; allowed is 16000"),
        (at("decoder", "vocabulary", [*LABELS[:-1], "é"]), r"without \[\"'\"\], with \['é'\]; allowed are the 28"),
        (at("decoder", "vocabulary", [*LABELS, "q"]), "has 29 labels"),
        (at("decoder", "add_blank", False), "decoder.add_blank is False; allowed is True"),
        (
            at("decoder", "_target_", "a.ConvASRDecoderClassification"),
            "decoder is made by ConvASRDecoderClassification",
        ),
        (at("preprocessor", "n_fft", 1024), "preprocessor.n_fft is 1024; allowed is 512"),
        (at("preprocessor", "normalize", "all_features"), "preprocessor.normalize is 'all_features'; allowed is 'per_"),
        (at("preprocessor", "features", 80), "preprocessor.features is 80; allowed is 64"),
        (at("preprocessor", "highfreq", 7600), "preprocessor.highfreq is 7600; allowed is none or 8000"),
        (at("preprocessor", "window_size", 0.025), "preprocessor.window_size is 0.025; allowed is none or 0.02"),
        (at("preprocessor", "log_zero_guard_type", "clamp"), "log_zero_guard_type is 'clamp'; allowed is 'add'"),
        (at("preprocessor", "log_zero_guard_value", "some"), "log_zero_guard_value is 'some'; allowed is above 0"),
        (at("preprocessor", "mel_norm", None), "preprocessor.mel_norm is none; allowed is 'slaney'"),
        (at("preprocessor", "novelty", 3), "preprocessor.novelty is 3; the network here has no such option"),
        (at("encoder", "activation", "selu"), "encoder.activation is 'selu'; allowed is 'relu'"),
        (at("encoder", "conv_mask", False), "encoder.conv_mask is False; allowed is True"),
        (at("encoder", "normalization_mode", "layer"), "encoder.normalization_mode is 'layer'; allowed is 'batch'"),
        (at("encoder", "quantize", True), "encoder.quantize is True; allowed is False"),
        (at("encoder", "jasper", "many"), "encoder.jasper is 'many'; allowed is a list"),
        (at(*SECOND, "residual_mode", "max"), r"jasper\[1\].residual_mode is 'max'; allowed is 'add' or 'stride_add'"),
        (at(*SECOND, "groups", 2), r"jasper\[1\].groups is 2; allowed is 1"),
        (at(*SECOND, "heads", 4), r"jasper\[1\].heads is 4; allowed is -1"),
        (at(*SECOND, "se", True), r"jasper\[1\].se is True; allowed is False"),
        (at(*SECOND, "future_context", 2), r"jasper\[1\].future_context is 2; allowed is -1"),
        (at(*SECOND, "residual_dense", True), "dense must be the same in all residual blocks, got both"),
        (at(*SECOND, "stride", [2]), r"jasper\[1\]: stride must be 1"),
        (at(*SECOND, "kernel", [3, 5]), r"jasper\[1\].kernel is \[3, 5\]; allowed is a whole number"),
        (
            at(*FIRST, "residual_dense", True),
            r"jasper\[0\].residual_dense is true; allowed is that in a residual block",
        ),
        (at(*FIRST, "separable", False), "does not fit the network"),
    ],
)
def test_a_listener_that_works_otherwise_is_refused_by_option_and_value(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        read_checkpoint(stored_listener(tmp_path, change=change))


@pytest.mark.parametrize(
    "change",
    [
        at(*SECOND, "kernel_size_factor", 0.9),  # 4, which NeMo makes odd again
        at(*SECOND, "kernel", 5),
        at("preprocessor", "log_zero_guard_value", "5.960464477539063e-8"),
        at("preprocessor", "pad_to", 0),
        at("decoder", "num_classes", -1),
    ],
)
def test_what_makes_no_difference_is_read(tmp_path, change):
    assert read_checkpoint(stored_listener(tmp_path, change=change)).reading.config == QUARTZNET


def test_other_mel_filters_than_ours_are_refused(tmp_path):
    tensors = listener_tensors(listener(QUARTZNET))
    tensors["preprocessor.featurizer.fb"] = tensors["preprocessor.featurizer.fb"] * 1.01
    path = store(tmp_path / "listener.nemo", listener_config(QUARTZNET), tensors)
    with pytest.raises(ValueError, match="mel filters preprocessor.featurizer.fb are not the 64 of Slaney"):
        read_checkpoint(path)


def stored_vocoder(folder, change=lambda options: None):
    published = with_weight_norm(tiny_waveglow(VOCODER))
    options = vocoder_config(VOCODER)
    change(options)
    tensors = vocoder_tensors(with_fused_conditioning(published.state_dict()))
    return store(folder / "vocoder.nemo", options, tensors), published


@torch.inference_mode()
def test_a_vocoder_sounds_as_the_network_that_was_stored_and_is_exported(tmp_path, capsys):
    path, published = stored_vocoder(tmp_path)
    read, reading = loaded(path)
    assert reading.config == VOCODER
    inputs = mel_of(VOCODER, 2, 5)
    torch.testing.assert_close(read(*inputs), published(*inputs), atol=1e-5, rtol=0)
    run_export(path, tmp_path)
    assert "NVIDIA NeMo, WaveGlow" in capsys.readouterr().out
    assert (tmp_path / "waveglow" / "1" / "model.onnx").is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (at("preprocessor", "sample_rate", 44100), "preprocessor.sample_rate is 44100; allowed is 22050"),
        (at("preprocessor", "n_window_stride", 512), "preprocessor.n_window_stride is 512; allowed is 256"),
        (at("preprocessor", "highfreq", None), "preprocessor.highfreq is none; allowed is 8000"),
        (at("preprocessor", "mag_power", 2.0), "preprocessor.mag_power is 2.0; allowed is 1.0"),
        (at("preprocessor", "log_zero_guard_type", "add"), "log_zero_guard_type is 'add'; allowed is 'clamp'"),
        (at("waveglow", "n_speakers", 4), "waveglow.n_speakers is 4; the network here has no such option"),
        (at("waveglow", "n_flows", "12"), "waveglow.n_flows is '12'; allowed is a whole number"),
    ],
)
def test_a_vocoder_that_works_otherwise_is_refused_by_option_and_value(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        read_checkpoint(stored_vocoder(tmp_path, change)[0])


def stored_speaker(folder, n_symbols, change=lambda options: None, **symbols):
    options = speaker_config(SPEAKER, **symbols)
    change(options)
    return store(folder / "speaker.nemo", options, speaker_tensors(speaker(n_symbols)))


@torch.inference_mode()
def test_a_speaker_that_lists_its_labels_is_read_and_exported_with_them(tmp_path, capsys):
    count = len(NEMO_LABELS) + 3
    path = stored_speaker(tmp_path, count, labels=NEMO_LABELS)
    read, _ = loaded(path)
    ids = torch.randint(1, count, (1, 9))
    lengths = torch.tensor([[9]], dtype=torch.int32)
    torch.testing.assert_close(read(ids, lengths)[0], speaker(count)(ids, lengths)[0], atol=0, rtol=0)
    run_export(path, tmp_path, "--format", "torchscript")  # in a third of ONNX's time
    assert "NVIDIA NeMo, Tacotron 2" in capsys.readouterr().out
    encoder = TextEncoder(buckets=(32,), symbols_file=str(tmp_path / symbols_file.PATH))
    encoded = encoder(text="Hi, Bob")
    spelled = [len(NEMO_LABELS), *(NEMO_LABELS.index(symbol) for symbol in "hi, bob."), len(NEMO_LABELS) + 1]
    assert encoded["symbol_ids"][: encoded["symbols_length"][0]].tolist() == spelled


def symbols_read(folder, n_symbols, tokenizer):
    return read_checkpoint(stored_speaker(folder, n_symbols, text_tokenizer=tokenizer)).reading.config.symbols


def test_a_speaker_of_letters_is_read_with_the_spaces_around_its_texts(tmp_path):
    table = symbols_read(tmp_path, 1 + 26 + 1 + 15 + 2, {"_target_": CHARS, "pad_with_space": True})
    assert symbol_ids("ab, c'd", table) == [0, 1, 2, 28, 0, 3, 27, 4, 0]


def test_a_speaker_of_phonemes_is_read_and_given_phonemes(tmp_path):
    g2p = {"_target_": "nemo.collections.tts.g2p.models.en_us_arpabet.EnglishG2p", "phoneme_dict": "nemo:1_dict"}
    options = {"_target_": PHONEMES, "stresses": True, "chars": True, "pad_with_space": True, "g2p": g2p}
    stressed = [f"{vowel}{stress}" for vowel in VOWELS for stress in "012"]
    tokens = [" ", *CONSONANTS, *stressed, *"abcdefghijklmnopqrstuvwxyz'", *',.!?-:;/"()[]{}']
    table = symbols_read(tmp_path, len(tokens) + 2, options)
    assert table.phonemes
    ids = symbol_ids("{HH AW1}, b", table)
    assert [tokens[number] for number in ids] == [" ", "HH", "AW1", ",", " ", "b", " "]
    assert {tokens[table.ids[symbol]] for symbol in SYMBOLS if symbol in table.ids} >= {*stressed, *CONSONANTS}
    (tmp_path / "words.txt").write_text("HOW  HH AW1\n")
    (tmp_path / "symbols.json").write_text(
        json.dumps({"ids": table.ids, "before": [0], "after": [0], "phonemes": True})
    )
    files = {"symbols_file": str(tmp_path / "symbols.json"), "pronunciations_file": str(tmp_path / "words.txt")}
    encoded = TextEncoder(buckets=(32,), **files)(text="How?")
    assert [tokens[number] for number in encoded["symbol_ids"][: encoded["symbols_length"][0]]] == [
        *(" ", "HH", "AW1", "?", " ")
    ]


@pytest.mark.parametrize(
    ("symbols", "change", "message"),
    [
        ({"labels": list("abc ")}, None, r"its 4 symbols lack \['d', 'e'"),
        ({"text_tokenizer": {"_target_": "a.GermanCharsTokenizer"}}, None, "text_tokenizer is GermanCharsTokenizer"),
        ({"text_tokenizer": {"_target_": PHONEMES}}, None, r"its 56 symbols lack \['a', 'b'"),
        ({"text_tokenizer": {"_target_": CHARS, "novelty": 1}}, None, "text_tokenizer.novelty is 1; the network here"),
        ({"labels": NEMO_LABELS}, at("decoder", "n_frames_per_step", 2), "n_frames_per_step is 2; allowed is 1"),
        ({"labels": NEMO_LABELS}, at("decoder", "n_mel_channels", 100), "n_mel_channels is 100; allowed is 80"),
        ({"labels": NEMO_LABELS}, at("decoder", "speaker_dim", 16), "decoder.speaker_dim is 16; the network here"),
        ({"labels": NEMO_LABELS}, at("preprocessor", "highfreq", 7000), "preprocessor.highfreq is 7000; allowed is 8"),
    ],
)
def test_a_speaker_that_works_otherwise_is_refused_by_option_and_value(tmp_path, symbols, change, message):
    with pytest.raises(ValueError, match=message):
        read_checkpoint(stored_speaker(tmp_path, 65, change or (lambda options: None), **symbols))
