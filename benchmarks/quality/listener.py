"""An independent listener for synthetic speech: a small recogniser that learnt from people. For judging only.

Package: moonshine-voice==0.1.0.
"""

import numpy as np
import soxr

from convai.backends.steps.transcripts import spoken_form

LISTENER_SAMPLE_RATE_HERTZ = 16_000


class Listener:
    def __init__(self):
        from moonshine_voice import ModelArch, Transcriber, get_model_path

        self.transcriber = Transcriber(get_model_path("tiny-en"), ModelArch.TINY)

    def __call__(self, audio: np.ndarray, sample_rate_hertz: int) -> str:
        """What it hears in `audio`, float32, shape = (samples,), as words of a-z and apostrophes."""
        heard = soxr.resample(audio.astype(np.float32), sample_rate_hertz, LISTENER_SAMPLE_RATE_HERTZ)
        lines = self.transcriber.transcribe_without_streaming(heard.tolist(), LISTENER_SAMPLE_RATE_HERTZ).lines
        return spoken_form(" ".join(line.text for line in lines))
