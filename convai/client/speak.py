"""Read a text of up to 100,000 characters aloud, into a file that grows while the server speaks.

convai speak --text book.txt --out book.wav
echo "Ada Lovelace." | convai speak --text - --out ada.flac
convai speak --print "Dr. Smith owes -$5.50."   prints the words that will be said; needs no server
"""

import argparse
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from convai.client.audio_files import check_can_be_written, open_mono
from convai.client.command_options import add_server_arguments, connect, read_text
from convai.errors import InvalidArgument
from convai.program import escape_controls

CHARACTERS_PER_SECOND = 14.0  # average of the voice


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", help="UTF-8 text file to read aloud; - is stdin")
    parser.add_argument("--out", type=Path, help="audio file to write (WAV, FLAC, Ogg, MP3)")
    parser.add_argument(
        "--print", dest="text_to_print", metavar="TEXT", help="only print a text as it will be said; needs no server"
    )
    parser.add_argument("--seed", type=int, help="another seed gives another take of the speech")
    parser.add_argument("--speed", type=float, default=1.0, help="of the speech, 0.5 to 2 (default %(default)g)")
    add_server_arguments(parser, "chunk")


def run(args: argparse.Namespace) -> None:
    if args.text_to_print is not None:
        print_spoken(args.text_to_print)
        return
    if args.text is None or args.out is None:
        missing = "--out" if args.text else "--text"
        raise InvalidArgument(f"{missing}: expected --text and --out, or --print, got no {missing}")
    check_can_be_written(args.out)
    text = read_text("--text", args.text, "to read aloud")
    with connect(args) as client, closing(client.speak_stream(text, seed=args.seed, speed=args.speed)) as speech:
        first = next(speech)  # an invalid request neither leaves an empty file nor empties an old one
        seconds = 0.0
        with open_mono(args.out, first.sample_rate) as write, progress_bar(text, args.speed) as progress:
            for chunk in chain([first], speech):
                write(chunk.answer_audio)
                seconds += chunk.seconds
                progress.update(chunk.seconds)
            progress.total = seconds  # exact only now
    print(f"{escape_controls(str(args.out))}, {seconds:.1f} s")


def print_spoken(text: str) -> None:
    """Print the words of a text, each passage between two pauses on a line of its own."""
    # The code of the server's step, which the bare client lacks the packages for; hence not imported above.
    from convai.text.phrases import spell_out_blocks

    passages = [passage for passage, _ in spell_out_blocks(text)]
    if not passages:
        raise InvalidArgument(f"--print: expected at least one word, got none in {len(text)} characters")
    print(*map(escape_controls, passages), sep="\n")


def progress_bar(text: str, speed: float) -> "tqdm[NoReturn]":
    """Return a bar that counts seconds of speech, up to the usual length for the text."""
    layout = "{percentage:3.0f}%|{bar}| {n:.0f} s spoken [{elapsed}<{remaining}]"
    return tqdm(total=max(len(text) / CHARACTERS_PER_SECOND / speed, 1.0), bar_format=layout, disable=None)
