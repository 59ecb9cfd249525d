import numpy as np
import pytest
from matplotlib.image import imread

from convai.client import Answer
from convai.client.plot import plot_answer


def plot(path, **changes):
    samples = np.sin(np.arange(11_025) / 5).astype(np.float32)
    mel = np.eye(80, 43, dtype=np.float32)
    fields = {"question": "who wrote it", "answer": "Ada", "answer_audio": samples, "mel": mel} | changes
    plot_answer(path, np.zeros(1_600, np.float32), 16_000, Answer(**fields))
    return imread(path)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    return plot(tmp_path_factory.mktemp("plot") / "new folder" / "answer.png")


@pytest.mark.parametrize(
    "changes",
    [
        {"question": "", "answer": "it costs $5 or $6, " * 40},
        {"answer": "", "answer_audio": np.zeros(11_025, np.float32)},
        {"mel": np.zeros((80, 43), np.float32)},
    ],
    ids=["a long answer with dollars", "no answer", "another mel"],
)
def test_another_answer_gives_another_picture_of_the_same_size(changes, picture, tmp_path):
    other = plot(tmp_path / "answer.png", **changes)
    assert other.shape == picture.shape == (900, 1200, 4)
    assert not np.array_equal(other, picture)
