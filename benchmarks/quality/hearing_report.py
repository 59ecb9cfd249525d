"""What `convai evaluate speech` prints and writes: rates with their intervals, and what is commonly misheard."""

import json
from collections.abc import Sequence

from benchmarks.quality.hearing import Heard, measured_groups
from benchmarks.quality.intervals import FEWEST_SPEAKERS
from benchmarks.quality.word_errors import commonest
from benchmarks.tables import as_records, as_table, measurements_table

COMMONEST = 15
NOTHING = "(nothing)"
LEGEND = (
    "WER: errors per word said, in percent; low and high hold it with 95 % confidence (bootstrap over speakers, or\n"
    f"over recordings where fewer than {FEWEST_SPEAKERS} speakers are known). Noise is estimated from the recordings."
)


def report(heard: Sequence[Heard], servers: Sequence[str]) -> str:
    """Everything as text; `servers` names the recognisers."""
    tables = [measurements_table(measured_groups(heard)), LEGEND]
    for number, server in enumerate(servers):
        lines = [(f"{said or NOTHING} -> {got or NOTHING}", str(n)) for (said, got), n in confused(heard, number)]
        tables.append(as_table([(f"misheard by {server}", "times"), *lines]))
    return "\n\n".join(tables)


def report_json(heard: Sequence[Heard], servers: Sequence[str]) -> str:
    confusions = {
        server: [{"said": said, "heard": got, "times": times} for (said, got), times in confused(heard, number)]
        for number, server in enumerate(servers)
    }
    return json.dumps({"groups": as_records(measured_groups(heard)), "confusions": confusions}, indent=2)


def confused(heard: Sequence[Heard], recogniser: int) -> list[tuple[tuple[str, str], int]]:
    return commonest([one.by_recogniser[recogniser] for one in heard], COMMONEST)
