import numpy as np
import torch

from convai.backends.steps.audio_trimmer import AudioTrimmer
from convai.networks.waveglow.bias import BIAS_FILE, bias_spectrum, write_companion
from convai.networks.waveglow.model import CONFIGS, WaveGlow


def small_network():
    torch.manual_seed(0)
    network = WaveGlow(CONFIGS["mini"]).eval()
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.01)
    return network


def test_the_bias_is_what_the_network_says_to_an_empty_mel_without_noise():
    bias = bias_spectrum(small_network())
    assert bias.shape == (513,) and np.isfinite(bias).all() and bias.any()


def test_audio_trimmer_reads_what_the_export_writes(tmp_path):
    network = small_network()
    write_companion(network, network.config, tmp_path)
    AudioTrimmer(post_filter="denoiser", bias_file=str(tmp_path / BIAS_FILE))
