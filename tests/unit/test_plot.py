import numpy as np
from matplotlib.image import imread

from convai.client import Answer
from convai.client.plot import plot_answer


def plot(path, **changes):
    samples = np.sin(np.arange(11_025) / 5).astype(np.float32)
    mel = np.eye(80, 43, dtype=np.float32)
    fields = {"question": "who wrote it", "answer": "Ada", "answer_audio": samples, "mel": mel} | changes
    plot_answer(path, np.zeros(1_600, np.float32), 16_000, Answer(**fields))
    return imread(path)


def test_a_long_answer_with_dollars_gives_another_picture_of_the_same_size(tmp_path):
    picture = plot(tmp_path / "new folder" / "answer.png")
    other = plot(tmp_path / "answer.png", question="", answer="it costs $5 or $6, " * 40)
    assert other.shape == picture.shape == (900, 1200, 4)
    assert not np.array_equal(other, picture)
