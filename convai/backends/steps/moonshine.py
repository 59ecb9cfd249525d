"""The whole of hearing in one step: the question's audio becomes its text in the pretrained Moonshine network."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from convai.arrays import Array
from convai.backends.steps.moonshine_network import MoonshineNetwork
from convai.backends.steps.question_audio import ListeningStep
from convai.backends.steps.transcripts import spoken_form


@dataclass(frozen=True)
class Moonshine(ListeningStep):
    """Audio at any sample rate -> the text that was heard, in the letters that Jasper writes."""

    hints: ClassVar[tuple[str, ...]] = ("context",)

    threads: int = 1

    def __post_init__(self):
        super().__post_init__()
        if self.threads < 1:
            raise ValueError(f"threads: got {self.threads}; allowed is at least 1")
        _ = self.network  # what is missing shall fail at start, not at the first request

    @cached_property
    def network(self) -> MoonshineNetwork:
        return MoonshineNetwork(self.threads)

    def __call__(self, *, question_audio: Array, sample_rate: Array, context: str = "") -> dict[str, str]:
        """Text of one question; empty for silence.

        Parameters
        ----------
        question_audio : float32, shape = (samples,), mono PCM within [-1, 1]
        sample_rate : int32, shape = (1,), hertz
        context : the text that the question is about, which this network cannot make use of

        Returns
        -------
        question, transcript : the same text
        """
        audio = self.heard(question_audio, sample_rate)
        question = "" if audio is None else spoken_form(self.network(audio))
        return {"question": question, "transcript": question}
