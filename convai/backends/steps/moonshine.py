"""Recognition in one step: the pretrained Moonshine network transcribes the question's audio."""

from dataclasses import dataclass
from functools import cached_property

from convai.arrays import Array
from convai.backends.steps.checks import check_range, check_text_size
from convai.backends.steps.moonshine_network import MoonshineNetwork
from convai.backends.steps.question_audio import RecogniserStep, read_audio
from convai.backends.steps.transcripts import spoken_form


@dataclass(frozen=True)
class Moonshine(RecogniserStep):
    """Audio at any sample rate -> the transcript of the question, in Jasper's alphabet."""

    threads: int = 1

    def __post_init__(self):
        check_range("threads", self.threads, 1, 256)
        _ = self.network  # fails at load if a file is missing

    @cached_property
    def network(self) -> MoonshineNetwork:
        return MoonshineNetwork(self.threads)

    def __call__(self, *, question_audio: Array, sample_rate: Array, context: str = "") -> dict[str, str]:
        """Transcribe one question; the text is empty for silence.

        Parameters
        ----------
        question_audio : float32, shape = (samples,), mono PCM within [-1, 1]
        sample_rate : int32, shape = (1,), hertz
        context : text that the question is about; this network cannot use it

        Returns
        -------
        question, transcript : the same text
        """
        check_text_size("context", context)
        audio = read_audio(question_audio, sample_rate)
        question = "" if audio is None else spoken_form(self.network(audio))
        return {"question": question, "transcript": question}
