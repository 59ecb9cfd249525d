import io
import logging

import numpy as np
import pytest
import soundfile
import soxr
from support.containers import CONTAINERS, sweep, write_recording

from convai.client.audio_decoding import read_audio, stream_audio
from convai.client.audio_files import read_mono
from convai.errors import InvalidArgument

RATE = 16_000
SWEEP = sweep(1.5)


def similarity(audio, rate, expected=SWEEP):
    """The highest correlation within 60 ms: codecs begin with some silence."""
    audio = soxr.resample(audio, rate, RATE)
    around = np.pad(audio, 1000)
    return np.abs(np.correlate(around, expected, "valid")).max() / np.linalg.norm(audio) / np.linalg.norm(expected)


def wav(samples, rate=RATE, subtype="PCM_16"):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype=subtype)
    return file.getvalue()


def flac(samples, rate):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC")
    return file.getvalue()


@pytest.mark.parametrize("piped", [False, True])
@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_is_decoded_whole_also_from_a_pipe(name, piped):
    content = write_recording(name, SWEEP, RATE, piped)
    audio, rate = read_audio(content)
    assert len(audio) / rate == pytest.approx(1.5, abs=0.1)
    assert similarity(audio, rate) > (0.9 if "amr" in CONTAINERS[name][1] else 0.97)
    streamed = np.concatenate(list(stream_audio(content)))
    assert len(streamed) == pytest.approx(len(audio) * RATE / rate, abs=2)
    assert similarity(streamed, RATE) == pytest.approx(similarity(audio, rate), abs=0.01)


def test_a_file_is_decoded_as_its_bytes_are(tmp_path):
    content = write_recording("webm", SWEEP, RATE)
    (tmp_path / "a recording.txt").write_bytes(content)
    np.testing.assert_array_equal(read_mono(tmp_path / "a recording.txt")[0], read_audio(content)[0])


@pytest.mark.parametrize("stated", [0, 2, 1_000, 47_998, 2**31, 2**32 - 1])
@pytest.mark.parametrize("in_a_file", [False, True])
def test_a_wav_whose_header_states_a_wrong_length_is_read_to_its_end(stated, in_a_file, tmp_path):
    content = bytearray(wav(SWEEP))
    content[40:44] = stated.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(content)
    audio, _ = read_mono(tmp_path / "a.wav") if in_a_file else read_audio(bytes(content))
    np.testing.assert_allclose(audio, SWEEP, atol=1e-4)
    assert (tmp_path / "a.wav").read_bytes() == content


def test_chunks_behind_the_samples_of_a_wav_are_not_samples():
    content = wav(SWEEP) + b"LIST" + (6).to_bytes(4, "little") + b"INFOab"
    assert len(read_audio(content)[0]) == len(SWEEP)


def test_a_recording_that_breaks_off_is_decoded_up_to_there():
    content = flac(np.tile(SWEEP, 4), RATE)
    audio, _ = read_audio(content[: len(content) // 2])
    assert 2 < len(audio) / RATE < 4


@pytest.mark.parametrize("rate", [4_000, 6_000, 8_000, 48_000, 96_000, 192_000])
def test_rates_that_the_server_does_not_take_are_resampled(rate):
    audio, found = read_audio(wav(soxr.resample(SWEEP, RATE, rate), rate))
    assert found == (rate if 8_000 <= rate <= 48_000 else RATE)
    assert len(audio) / found == pytest.approx(1.5, abs=0.001)
    assert similarity(audio, found) > (0.99 if rate > 4_000 else 0.8)


@pytest.mark.parametrize("rate", [3_999, 192_001])
def test_other_rates_are_refused(rate):
    with pytest.raises(InvalidArgument, match=f"expected a rate of 4000 to 192000 Hz, got {rate} Hz"):
        read_audio(wav(SWEEP, rate))


@pytest.mark.parametrize(
    "gains", [[1, -1], [0.3, -1], [-1, 1, -0.5], [1, 0, -1, 0.7, -0.7, 0.1], [1] * 16, [1, -1] * 20]
)
def test_channels_are_mixed_and_do_not_cancel(gains):
    audio, _ = read_audio(wav(np.outer(SWEEP, gains)))
    assert similarity(audio, RATE) > 0.99
    assert np.abs(audio).max() == pytest.approx(np.mean(np.abs(gains)) / 2, rel=0.01)


def test_two_speakers_on_two_channels_are_both_kept():
    silence = np.zeros_like(SWEEP)
    channels = np.stack([np.concatenate([SWEEP, silence]), np.concatenate([silence, SWEEP])], axis=1)
    audio, _ = read_audio(wav(channels))
    assert np.std(audio[: len(SWEEP)]) == pytest.approx(np.std(audio[len(SWEEP) :]), rel=0.01)


@pytest.mark.parametrize(
    ("peak", "expected"), [(0.5, 0.5), (1.0, 1.0), (1.4, 1.0), (3.9, 1.0), (20.0, 1.0), (32_768.0, 1.0)]
)
def test_samples_above_full_scale_are_limited_and_logged(peak, expected, caplog):
    content = wav(SWEEP * 2 * peak, subtype="FLOAT")
    with caplog.at_level(logging.WARNING):
        audio, _ = read_audio(content)
    assert np.abs(audio).max() == pytest.approx(expected, abs=0.001)
    assert ("full scale" in caplog.text) == (peak > 1)
    assert similarity(audio, RATE) > (0.99 if peak < 3 or peak > 4 else 0.85)
    assert np.abs(np.concatenate(list(stream_audio(content)))).max() <= 1


def test_no_more_is_decoded_than_asked_for():
    content = flac(np.zeros(40 * RATE), RATE)
    assert len(read_audio(content, 40)[0]) == 40 * RATE
    for decode in (read_audio, lambda *args: list(stream_audio(*args))):
        with pytest.raises(InvalidArgument, match="expected at most 39 s of audio, got more"):
            decode(content, 39)


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/passwd\n"


@pytest.mark.parametrize("content", [b"", b"text", PLAYLIST, CONCAT, b"RIFF\0\0\0\0WAVE", bytes(1000), b"\xff" * 1000])
def test_other_content_is_refused_in_one_sentence(content):
    for decode in (read_audio, lambda content: list(stream_audio(content))):
        with pytest.raises(InvalidArgument, match=r"expected audio \(WAV, FLAC, Ogg, MP3, M4A, WebM and more\)"):
            decode(content)


def test_samples_that_are_not_numbers_are_refused():
    with pytest.raises(InvalidArgument, match="expected finite samples"):
        read_audio(wav(np.full(RATE, np.nan), subtype="FLOAT"))
