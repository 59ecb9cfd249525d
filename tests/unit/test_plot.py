import numpy as np
import pytest
from matplotlib.image import imread

from convai.client import Answer
from convai.client.plot import plot_answer


def answer(**changes):
    samples = np.sin(np.arange(11_025) / 5).astype(np.float32)
    mel = np.eye(80, 43, dtype=np.float32)
    fields = {"question": "who wrote it", "answer": "Ada", "answer_audio": samples, "mel": mel}
    return Answer(**(fields | changes))


@pytest.mark.parametrize(
    "drawn",
    [
        answer(),
        answer(question="", answer=""),
        answer(answer="it costs $5 or $6, " * 40),
        answer(answer_audio=np.zeros(11_025, np.float32)),
    ],
    ids=["an answer", "no answer", "a long answer with dollars", "a silent answer"],
)
def test_is_drawn(drawn, tmp_path):
    path = tmp_path / "pictures" / "answer.png"
    plot_answer(path, np.zeros(1_600, np.float32), 16_000, drawn)
    picture = imread(path)
    assert picture.shape[:2] == (900, 1200)
    assert len(np.unique(picture[..., 0])) > 50
