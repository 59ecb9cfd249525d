"""Makes spoken questions from a SQuAD-format file with a synthesiser: recordings and their manifest."""

import json
import subprocess
from pathlib import Path

import soundfile
from tqdm import tqdm

from benchmarks.quality.question_answering import MAX_LETTERS, AskedQuestion, draw_items, is_short, read_questions
from convai.backends.steps.transcripts import spoken_form
from convai.errors import InvalidArgument
from training.voices.voices import speak

PEAK = 0.7  # of full scale


def make_spoken_questions(squad_file: Path, count: int, voices: list[str], folder: Path, seed: int = 0) -> Path:
    """Speak `count` questions with `voices` in turn; write FLAC files and their manifest, and return its path.

    Raises InvalidArgument if the file has no answerable question that is short enough, or if a voice fails.
    """
    usable = [asked for asked in read_questions(squad_file) if asked.accepted and is_short(asked)]
    if not usable:
        raise InvalidArgument(f"{squad_file}: expected answerable questions of at most {MAX_LETTERS} letters, got none")
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "manifest.jsonl"
    with open(manifest, "w", encoding="utf-8") as lines:
        for index, asked in enumerate(
            tqdm(draw_items(usable, count, seed), desc="speaking", mininterval=2, disable=None)
        ):
            entry = speak_question(asked, voices[index % len(voices)], folder / f"{index:05}.flac")
            print(json.dumps(entry, ensure_ascii=False), file=lines)
    return manifest


def speak_question(asked: AskedQuestion, voice: str, file: Path) -> dict:
    """Speak one question into `file`; return its line of the manifest."""
    text = spoken_form(asked.question)
    try:
        audio, sample_rate_hertz = speak(voice, text)
    except (subprocess.SubprocessError, OSError, KeyError) as error:
        raise InvalidArgument(f"voice {voice} cannot speak {text!r}: {error!r}") from error
    soundfile.write(file, audio * (PEAK / max(abs(audio).max(), 1e-3)), sample_rate_hertz)
    return {
        "audio": file.name,
        "text": text,
        "speaker": voice,
        "question": asked.question,
        "context": asked.context,
        "answers": list(asked.accepted),
    }
