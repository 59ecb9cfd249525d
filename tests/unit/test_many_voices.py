from dataclasses import replace

import numpy as np
import pytest

from training.voices.many_voices import ACCENTS, accented, moved_pitch, random_speaker, source_bins, speak_as

HERTZ = np.linspace(0, 12_000, 601)


@pytest.fixture
def speaker():
    return random_speaker(np.random.default_rng(0))


def plain(speaker, **changes):
    return replace(speaker, vocal_tract=1.0, formants=(0.0,) * 4, pitch=1.0, pitch_range=1.0, jitter=0.0, **changes)


def test_the_same_seed_is_the_same_speaker_and_another_seed_another(speaker):
    assert random_speaker(np.random.default_rng(0)) == speaker
    assert random_speaker(np.random.default_rng(1)) != speaker


def test_nobody_has_a_low_voice_and_a_short_vocal_tract():
    crowd = [random_speaker(np.random.default_rng(seed)) for seed in range(300)]
    low = [one for one in crowd if one.pitch < 0.75]
    assert 100 < len(low) < 230
    assert max(one.vocal_tract for one in low) < 1
    assert 60 < sum(one.accent is not None for one in crowd) < 150


def test_a_longer_vocal_tract_moves_formants_down(speaker):
    formant = np.exp(-(((HERTZ - 1_500) / 200) ** 2))
    longer = formant[np.round(source_bins(HERTZ, replace(plain(speaker), vocal_tract=0.85))).astype(int)]
    assert HERTZ[longer.argmax()] == pytest.approx(0.85 * 1_500, abs=40)
    assert np.allclose(source_bins(HERTZ, plain(speaker)), np.arange(len(HERTZ)))


def test_pitch_moves_and_silence_stays_silent(speaker):
    pitch = np.array([0, 200, 220, 0, 240], np.float32)
    low = moved_pitch(pitch, pitch > 40, replace(plain(speaker), pitch=0.5), np.random.default_rng(0))
    assert low == pytest.approx([0, 100, 110, 0, 120], rel=1e-3)
    flat = moved_pitch(pitch, pitch > 40, replace(plain(speaker), pitch_range=0.0), np.random.default_rng(0))
    assert np.ptp(flat[pitch > 0]) == pytest.approx(0, abs=1e-3)


def test_an_accent_replaces_phonemes_as_often_as_it_is_strong(speaker):
    german = replace(speaker, accent="german", accent_strength=1.0)
    assert accented("ðə wˈɜɹld", german, np.random.default_rng(0)) == "zə vˈɜɹlt"
    assert accented("ðə wˈɜɹld", replace(german, accent_strength=0.0), np.random.default_rng(0)) == "ðə wˈɜɹld"
    assert accented("ðə wˈɜɹld", replace(german, accent=None), np.random.default_rng(0)) == "ðə wˈɜɹld"


@pytest.mark.parametrize("accent", ACCENTS)
def test_every_accent_changes_english_and_keeps_most_of_it(accent, speaker):
    phonemes = "ðə θˈɪn wˈɪmən vˈɪzət bˈæd ʧˈʌɹʧᵻz ɪn ðə ɹˈAn, ɑɹ lˈʊkɪŋ fˈɑɹ hɜɹ ʤˈOk, bˈʌTəɹ ænd mˈɛʒəɹ ðəm."
    changed = accented(phonemes, replace(speaker, accent=accent, accent_strength=0.5), np.random.default_rng(0))
    assert changed != phonemes
    assert abs(len(changed) - len(phonemes)) < 12


def test_a_sentence_is_spoken_by_somebody_else_each_time():
    pytest.importorskip("hibari", reason="speaking needs the extra `train`")
    rng = np.random.default_rng(0)
    first, second = (speak_as(random_speaker(rng), "Who wrote it?", rng) for _ in range(2))
    for audio in (first, second):
        assert audio.dtype == np.float32
        assert np.abs(audio).max() == pytest.approx(0.7, abs=0.01)
        assert 10_000 < len(audio) < 60_000
    assert len(first) != len(second)
