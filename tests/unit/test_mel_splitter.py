import numpy as np
import pytest

from convai.audio.voice_mel import SILENT_LOG_MEL
from convai.backends.steps.mel_frames import make_noise
from convai.backends.steps.mel_splitter import MelSplitter
from convai.description.pipeline import NUM_MELS
from convai.errors import InvalidArgument

BUCKETS = (128, 256, 512, 1024, 2048)
FINDINGS = {
    "question": "who",
    "answer": "ada",
    "answer_score": np.array([0.5], np.float32),
    "answer_span": np.array([3, 6], np.int32),
}


def loud_mel(frames):
    """Speech throughout; every frame is different."""
    return np.linspace(-1, 1, NUM_MELS * frames, dtype=np.float32).reshape(frames, NUM_MELS).T


def split(mel, index=0, is_last=True, length=None, speed=None, **parameters):
    splitter = MelSplitter(**{"buckets": BUCKETS, "n_group": 64, "context_frames": 32} | parameters)
    return list(
        splitter(
            decoded_mel=mel,
            mel_length=np.array([mel.shape[1] if length is None else length], np.int32),
            pause_seconds=np.array([0.25], np.float32),
            phrase_index=np.array([index], np.int32),
            is_last_phrase=np.array([is_last]),
            speed=speed,
            **FINDINGS,
        )
    )


def sizes(pieces):
    return [int(piece["kept_frames"][1] - piece["kept_frames"][0]) for piece in pieces]


@pytest.mark.parametrize("frames", [1, 95, 145, 500, 1999])
def test_the_pieces_of_a_mel_are_its_frames_in_order(frames):
    mel = loud_mel(frames)
    kept = [piece["padded_mel"][:, slice(*piece["kept_frames"])] for piece in split(mel)]
    assert np.array_equal(np.concatenate(kept, axis=1), mel)


def test_a_piece_has_its_neighbours_around_it_and_silence_after():
    mel = loud_mel(500)
    first, second, *_ = split(mel)
    assert np.array_equal(second["padded_mel"][:, :208], mel[:, 96 - 32 : 96 + 144 + 32])
    assert (second["padded_mel"][:, 208:] == np.float32(SILENT_LOG_MEL)).all()
    assert (first["piece_length"][0], second["piece_length"][0]) == (96 + 32, 144 + 64)
    assert second["kept_frames"].tolist() == [32, 32 + 144]


def test_a_piece_is_padded_to_a_bucket_that_leaves_the_vocoder_its_context():
    assert [piece["padded_mel"].shape[1] for piece in split(loud_mel(97))] == [256]
    assert [piece["padded_mel"].shape[1] for piece in split(loud_mel(96))] == [128]


def test_every_piece_has_the_noise_of_its_place_in_the_phrase():
    pieces = split(loud_mel(500))
    whole = make_noise(0, 64, 4096)
    start = 0
    for piece in pieces:
        begin = start - int(piece["kept_frames"][0])
        assert np.array_equal(piece["z"], whole[:, 4 * begin : 4 * (begin + piece["padded_mel"].shape[1])])
        start += int(np.diff(piece["kept_frames"])[0])


def test_silence_around_the_phrase_is_left_out():
    silence = np.full((NUM_MELS, 40), SILENT_LOG_MEL, np.float32)
    mel = np.concatenate([silence, loud_mel(60), silence], axis=1)
    (piece,) = split(mel)
    assert sizes([piece]) == [10 + 60 + 4]
    assert piece["kept_frames"].tolist() == [30, 30 + 74]  # the silence remains its context
    assert np.array_equal(piece["padded_mel"][:, :136], mel[:, :136])


def test_invalid_frames_are_left_out_and_an_empty_mel_is_one_frame_of_silence():
    assert sizes(split(loud_mel(90), length=50)) == [50]
    (piece,) = split(loud_mel(90), length=0)
    assert sizes([piece]) == [1]
    assert (piece["padded_mel"] == np.float32(SILENT_LOG_MEL)).all()


def test_pause_end_and_findings_are_sent_once():
    pieces = split(loud_mel(500))
    assert [float(piece["pause_seconds"][0]) for piece in pieces] == [0, 0, 0.25]
    assert [bool(piece["is_last"][0]) for piece in pieces] == [False, False, True]
    assert [piece["question"] for piece in pieces] == ["who", "", ""]
    assert [piece["answer_span"].tolist() for piece in pieces] == [[3, 6], [-1, -1], [-1, -1]]
    assert [piece["fades"].tolist() for piece in pieces] == [[True, False], [False, False], [False, True]]
    assert not any(piece["is_last"][0] for piece in split(loud_mel(500), is_last=False))


def test_all_pieces_of_a_phrase_have_one_gain():
    (gain,) = {float(piece["gain"][0]) for piece in split(loud_mel(500))}
    (twice,) = {float(piece["gain"][0]) for piece in split(loud_mel(500) - np.float32(np.log(2)))}
    assert twice == pytest.approx(2 * gain, rel=1e-4)


@pytest.mark.parametrize(("speed", "frames", "pause_seconds"), [(0.5, 1000, 0.5), (1, 500, 0.25), (2, 250, 0.125)])
def test_speed_stretches_the_phrase_and_its_pause(speed, frames, pause_seconds):
    pieces = split(loud_mel(500), speed=speed)
    assert sum(sizes(pieces)) == frames and sizes(pieces)[0] == 96
    assert pieces[-1]["pause_seconds"].tolist() == [pause_seconds]
    assert pieces[-1]["pause_seconds"].dtype == np.float32


@pytest.mark.parametrize("wrong", [{"n_group": 7}, {"context_frames": -1}, {"context_frames": 385}, {"buckets": ()}])
def test_a_wrong_parameter_is_named(wrong):
    with pytest.raises(InvalidArgument, match=f"^{next(iter(wrong))}: expected"):
        split(loud_mel(10), **wrong)


def test_the_first_piece_of_a_stream_is_short_and_the_others_grow():
    assert sizes(split(loud_mel(1000))) == [96, 144, 216, 324, 220]
    assert sizes(split(loud_mel(144))) == [144]
    assert sizes(split(loud_mel(1000), index=3)) == [1000]
