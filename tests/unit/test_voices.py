"""Synthetic speakers for the training differ from each other in the ways that they should."""

from dataclasses import replace

import numpy as np
import pytest

from convai.errors import InvalidArgument
from training.voices import kokoro
from training.voices.multi_speaker import (
    ACCENTS,
    apply_accent,
    change_pitch,
    draw_speaker,
    find_source_bins,
    speak_as,
)
from training.voices.voices import speak

HERTZ = np.linspace(0, 12_000, 601)
PHONEMES = "ðə θˈɪn wˈɪmən vˈɪzət bˈæd ʧˈʌɹʧᵻz ɪn ðə ɹˈAn, ɑɹ lˈʊkɪŋ fˈɑɹ hɜɹ ʤˈOk, bˈʌTəɹ ænd mˈɛʒəɹ ðəm."
VOICES = ("af_one", "am_two", "bf_three", "hf_four", "zm_five")


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def speaker():
    return draw_speaker(rng())


def neutral(speaker, **changes):
    return replace(speaker, **{"vocal_tract": 1.0, "formants": (0.0,) * 4, "pitch": 1.0, "pitch_range": 1.0,
                               "jitter": 0.0, **changes})  # fmt: skip


@pytest.fixture
def voices(tmp_path, monkeypatch):
    """A folder of Kokoro voices whose every style holds the number of the voice."""
    for number, name in enumerate(VOICES):
        np.full((5, 256), number, np.float32).tofile(tmp_path / f"{name}.bin")
    monkeypatch.setenv(kokoro.VOICES_FOLDER, str(tmp_path))
    kokoro._voices.cache_clear()
    kokoro._style.cache_clear()


@pytest.mark.parametrize("draw", [draw_speaker, kokoro.draw_speaker])
def test_the_same_seed_is_the_same_speaker_and_another_seed_another(draw, voices):
    assert draw(rng()) == draw(rng()) != draw(rng(1))


def test_no_speaker_has_a_low_voice_and_a_short_vocal_tract():
    speakers = [draw_speaker(rng(seed)) for seed in range(300)]
    low = [one for one in speakers if one.pitch < 0.75]
    assert 100 < len(low) < 230
    assert max(one.vocal_tract for one in low) < 1
    assert 60 < sum(one.accent is not None for one in speakers) < 150


def test_a_longer_vocal_tract_lowers_formants(speaker):
    formant = np.exp(-(((HERTZ - 1_500) / 200) ** 2))
    longer = formant[np.round(find_source_bins(HERTZ, neutral(speaker, vocal_tract=0.85))).astype(int)]
    assert HERTZ[longer.argmax()] == pytest.approx(0.85 * 1_500, abs=40)
    assert np.allclose(find_source_bins(HERTZ, neutral(speaker)), np.arange(len(HERTZ)))


def test_pitch_and_its_range_change_and_silence_stays_silent(speaker):
    pitch = np.array([0, 200, 220, 0, 240], np.float32)
    low = change_pitch(pitch, pitch > 40, neutral(speaker, pitch=0.5), rng())
    assert low == pytest.approx([0, 100, 110, 0, 120], rel=1e-3)
    flat = change_pitch(pitch, pitch > 40, neutral(speaker, pitch_range=0.0), rng())
    assert np.ptp(flat[pitch > 0]) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("accent", "strength", "expected"),
    [("german", 1.0, "zə vˈɜɹlt"), ("german", 0.0, "ðə wˈɜɹld"), (None, 1.0, "ðə wˈɜɹld")],
)
def test_an_accent_replaces_phonemes_with_its_strength(accent, strength, expected):
    assert apply_accent("ðə wˈɜɹld", accent, strength, rng()) == expected


@pytest.mark.parametrize("accent", ACCENTS)
def test_every_accent_changes_english_and_keeps_most_of_it(accent):
    changed = apply_accent(PHONEMES, accent, 0.5, rng())
    assert changed != PHONEMES
    assert abs(len(changed) - len(PHONEMES)) < 12


def test_each_speaker_says_a_sentence_differently():
    pytest.importorskip("hibari", reason="speaking needs the extra `train`")
    generator = rng()
    first, second = (speak_as(draw_speaker(generator), "Who wrote it?", generator) for _ in range(2))
    for audio in (first, second):
        assert audio.dtype == np.float32
        assert np.abs(audio).max() == pytest.approx(0.7, abs=0.01)
        assert 10_000 < len(audio) < 60_000
    assert len(first) != len(second)


def test_most_kokoro_speakers_are_blends_and_only_foreign_voices_have_an_accent(voices):
    speakers = [kokoro.draw_speaker(rng(seed)) for seed in range(300)]
    assert 200 < sum(one.share > 0 for one in speakers) < 280
    assert {one.accent for one in speakers} == {None, "indian", "mandarin"}
    assert all({one.first[0], one.second[0]} & {"h", "z"} for one in speakers if one.accent)


def test_a_missing_folder_of_voices_is_named(voices, monkeypatch):
    monkeypatch.setenv(kokoro.VOICES_FOLDER, "/nowhere")
    kokoro._voices.cache_clear()
    with pytest.raises(InvalidArgument, match="KOKORO_VOICES: expected the folder .*, got '/nowhere'"):
        kokoro.draw_speaker(rng())


def test_an_unknown_engine_is_refused_with_the_known_ones():
    with pytest.raises(InvalidArgument, match="--voice: expected engine:voice with one of flite, .*, got 'siri:one'"):
        speak("siri:one", "hello")
