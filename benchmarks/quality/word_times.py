"""Measures word times: how far a server's are from those that Festival reports for its own speech.

Debian packages: festival, and a voice such as festvox-us-slt-hts (cmu_us_slt_arctic_hts) or festvox-kallpc16k
(kal_diphone).
"""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jiwer
import numpy as np

from benchmarks.measurements import Measurement
from benchmarks.quality.answers import map_requests
from convai.arrays import Array
from convai.client.answer import Word
from convai.client.audio_files import read_mono
from convai.client.client import ConvaiClient
from convai.errors import InvalidArgument

TIMEOUT_SECONDS = 60
SCRIPT = """
(voice_{voice})
(set! spoken (utt.synth (Utterance Text "{text}")))
(utt.save.wave spoken "{folder}/speech.wav" 'riff)
(set! times (fopen "{folder}/times" "w"))
(mapcar
  (lambda (word)
    (format times "%s %f %f\\n" (item.name word) (item.feat word 'word_start) (item.feat word 'word_end)))
  (utt.relation.items spoken 'Word))
(fclose times)
"""


def measure_word_times(client: ConvaiClient, texts: Sequence[str], voices: Sequence[str]) -> list[Measurement]:
    """Return the deviations from each voice's times, in milliseconds, over the words that were transcribed rightly.

    Parameters
    ----------
    texts : each spoken by every voice; letters, spaces and apostrophes
    """
    return [measure_voice(client, texts, voice) for voice in voices]


def measure_voice(client: ConvaiClient, texts: Sequence[str], voice: str) -> Measurement:
    def compare(text: str) -> tuple[int, Array]:
        audio, sample_rate, spoken = speak_with_times(voice, text)
        transcribed = client.transcribe_words(audio, sample_rate=sample_rate).words
        return len(spoken), find_deviations(spoken, transcribed)

    compared = map_requests(compare, texts, "transcribing")
    deviations = 1000 * np.concatenate([one for _, one in compared])
    if not len(deviations):
        raise InvalidArgument(f"--voice {voice}: expected words that the server understands, got none")
    figures = {"words transcribed rightly [%]": 100 * len(deviations) / sum(words for words, _ in compared)}
    for name, column in zip(("start", "end"), deviations.T, strict=True):
        figures[f"{name}: median [ms]"] = float(np.median(np.abs(column)))
        figures[f"{name}: p95 [ms]"] = float(np.percentile(np.abs(column), 95))
        figures[f"{name}: bias [ms]"] = float(np.median(column))
    return Measurement(voice, len(texts), figures)


def find_deviations(spoken: Sequence[Word], transcribed: Sequence[Word]) -> Array:
    """Compare the times of the words that two sequences have in common.

    Returns
    -------
    float64, shape = (common words, 2); start and end of the transcribed word after those of the spoken one, in seconds
    """
    found = [np.empty((0, 2))]
    if transcribed:
        (chunks,) = jiwer.process_words(join_words(spoken), join_words(transcribed)).alignments
        for chunk in chunks:
            if chunk.type == "equal":
                times = get_times(transcribed[chunk.hyp_start_idx : chunk.hyp_end_idx])
                found.append(times - get_times(spoken[chunk.ref_start_idx : chunk.ref_end_idx]))
    return np.concatenate(found)


def join_words(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def get_times(words: Sequence[Word]) -> Array:
    return np.array([(word.start_seconds, word.end_seconds) for word in words])


def speak_with_times(voice: str, text: str) -> tuple[Array, int, list[Word]]:
    """Speak a text with a voice of Festival: float32 samples, shape = (samples,), their rate in hertz, and the words.

    Raises InvalidArgument if Festival or the voice is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "speak.scm"
        script.write_text(SCRIPT.format(voice=voice, text=text, folder=folder))
        try:
            subprocess.run(["festival", "--batch", script], check=True, capture_output=True, timeout=TIMEOUT_SECONDS)
            audio, sample_rate = read_mono(Path(folder) / "speech.wav")
        except (subprocess.SubprocessError, OSError) as error:
            raise InvalidArgument(f"--voice {voice}: Festival cannot speak {text!r}: {error!r}") from error
        lines = [line.split() for line in (Path(folder) / "times").read_text().splitlines()]
    return audio, sample_rate, [Word(word, float(start), float(end)) for word, start, end in lines]
