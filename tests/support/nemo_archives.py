"""Archives as NVIDIA NeMo writes them: members, keys of state dicts, options of configurations."""

import io
import re
import tarfile

import torch
import yaml

from convai.audio.voice_mel import filterbank
from convai.description.pipeline import LABELS
from convai.networks.jasper.nemo import make_filters

ASR, TTS = "nemo.collections.asr.modules", "nemo.collections.tts.modules"
FILTERBANK = "nemo.collections.asr.parts.preprocessing.features.FilterbankFeatures"
CHARS = "nemo.collections.common.tokenizers.text_to_speech.tts_tokenizers.EnglishCharsTokenizer"
PHONEMES = "nemo.collections.common.tokenizers.text_to_speech.tts_tokenizers.EnglishPhonemesTokenizer"
VOICE = {
    "_target_": FILTERBANK, "nfilt": 80, "lowfreq": 0, "highfreq": 8000, "n_fft": 1024, "n_window_size": 1024,
    "n_window_stride": 256, "pad_to": 16, "pad_value": -11.52, "sample_rate": 22050, "window": "hann",
    "normalize": None, "preemph": None, "dither": 0.0, "frame_splicing": 1, "log": True,
    "log_zero_guard_type": "clamp", "log_zero_guard_value": 1e-05, "mag_power": 1.0,
}  # fmt: skip


def store(path, config, tensors, mode="w:"):
    """Write an archive; `mode` "w:gz" compresses it, as NeMo did before 1.7."""
    weights = io.BytesIO()
    torch.save(tensors, weights)
    members = {"./model_config.yaml": yaml.safe_dump(config).encode(), "./model_weights.ckpt": weights.getvalue()}
    return store_members(path, members, mode)


def store_members(path, members, mode="w:"):
    with tarfile.open(path, mode) as tar:
        folder = tarfile.TarInfo(".")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def block(config):
    options = {
        "filters": config.filters, "repeat": config.repeat, "kernel": [config.kernel_size], "stride": [config.stride],
        "dilation": [config.dilation], "dropout": 0.2, "residual": config.residual,
    }  # fmt: skip
    if config.residual and config.dense:
        options["residual_dense"] = True
    return options | ({"separable": True} if config.separable else {})


def recogniser_config(config, labels=LABELS):
    """The configuration of a Jasper or QuartzNet."""
    return {
        "target": "nemo.collections.asr.models.ctc_models.EncDecCTCModel",
        "nemo_version": "2.7.3",
        "sample_rate": 16000,
        "labels": list(labels),
        "train_ds": {"manifest_filepath": "unread", "batch_size": 32},
        "spec_augment": {"_target_": f"{ASR}.SpectrogramAugmentation", "rect_freq": 50},
        "preprocessor": {
            "_target_": f"{ASR}.AudioToMelSpectrogramPreprocessor", "normalize": "per_feature", "window_size": 0.02,
            "sample_rate": 16000, "window_stride": 0.01, "window": "hann", "features": 64, "n_fft": 512,
            "frame_splicing": 1, "dither": 1e-05,
        },
        "encoder": {
            "_target_": f"{ASR}.ConvASREncoder", "feat_in": 64, "activation": "relu", "conv_mask": True,
            "jasper": [block(one) for one in config.blocks],
        },
        "decoder": {
            "_target_": f"{ASR}.ConvASRDecoder", "feat_in": config.blocks[-1].filters, "num_classes": len(labels),
            "vocabulary": list(labels),
        },
    }  # fmt: skip


def recogniser_tensors(network):
    tensors = {"preprocessor.featurizer.fb": torch.from_numpy(make_filters())[None]}
    for key, tensor in network.state_dict().items():
        masked = "conv." if tensor.dim() == 3 and key.startswith("encoder.") else ""
        key = re.sub(r"^encoder\.layers\.(\d+)\.conv\.(\d+)\.", rf"encoder.encoder.\1.mconv.\2.{masked}", key)
        key = re.sub(r"^encoder\.layers\.(\d+)\.res\.(\d+)\.(\d+)\.", rf"encoder.encoder.\1.res.\2.\3.{masked}", key)
        tensors[key.replace("decoder.layers.", "decoder.decoder_layers.")] = tensor
    return tensors


def vocoder_config(config):
    return {
        "target": "nemo.collections.tts.models.waveglow.WaveGlowModel",
        "sigma": 1.0,
        "preprocessor": dict(VOICE),
        "waveglow": {
            "_target_": f"{TTS}.waveglow.WaveGlowModule", "n_early_every": config.n_early_every,
            "n_early_size": config.n_early_size, "n_flows": config.n_flows, "n_group": config.n_group,
            "n_mel_channels": config.n_mel_channels, "n_wn_channels": config.n_channels,
            "n_wn_layers": config.n_layers, "wn_kernel_size": config.kernel_size,
        },
    }  # fmt: skip


def vocoder_tensors(tensors):
    """Rename a state dict with weight norm and one conditioning layer per flow."""
    named = {f"waveglow.{key}".replace("waveglow.WN.", "waveglow.wavenet."): one for key, one in tensors.items()}
    inverse = {"waveglow.convinv.0.inv_conv.weight": torch.zeros_like(named["waveglow.convinv.0.conv.weight"])}
    return named | inverse | {"audio_to_melspec_precessor.fb": torch.from_numpy(filterbank())[None]}


def synthesiser_config(config, **symbols):
    """The configuration of a Tacotron 2; `symbols` are labels or a text_tokenizer."""
    return symbols | {
        "target": "nemo.collections.tts.models.tacotron2.Tacotron2Model",
        "preprocessor": VOICE | {"exact_pad": True, "use_grads": False},
        "encoder": {
            "_target_": f"{TTS}.tacotron2.Encoder", "encoder_kernel_size": config.encoder_kernel_size,
            "encoder_n_convolutions": config.encoder_n_convolutions,
            "encoder_embedding_dim": config.encoder_embedding_dim,
        },
        "decoder": {
            "_target_": f"{TTS}.tacotron2.Decoder", "decoder_rnn_dim": config.decoder_rnn_dim,
            "encoder_embedding_dim": config.encoder_embedding_dim, "gate_threshold": 0.5, "max_decoder_steps": 40,
            "n_frames_per_step": 1, "n_mel_channels": 80, "p_attention_dropout": 0.1, "p_decoder_dropout": 0.1,
            "prenet_dim": config.prenet_dim, "prenet_p_dropout": 0.5, "attention_dim": config.attention_dim,
            "attention_rnn_dim": config.attention_rnn_dim,
            "attention_location_kernel_size": config.attention_location_kernel_size,
            "attention_location_n_filters": config.attention_location_n_filters, "early_stopping": True,
        },
        "postnet": {
            "_target_": f"{TTS}.tacotron2.Postnet", "n_mel_channels": 80, "p_dropout": 0.5,
            "postnet_embedding_dim": config.postnet_embedding_dim,
            "postnet_kernel_size": config.postnet_kernel_size,
            "postnet_n_convolutions": config.postnet_n_convolutions,
        },
    }  # fmt: skip


def synthesiser_tensors(network):
    named = {re.sub(r"^embedding\.", "text_embedding.", key): one for key, one in network.state_dict().items()}
    return named | {"audio_to_melspec_precessor.fb": torch.from_numpy(filterbank())[None]}
