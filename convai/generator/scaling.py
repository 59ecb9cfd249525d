"""Adapts a profile to a machine with more cores: processes of each step, and requests that may wait."""

import math
from dataclasses import replace

from convai.generator.profiles import Profile
from convai.generator.settings import Settings

CORES = 2  # of the machine that the profiles are written for
# Part of an answer's processor time that a step takes, the larger one of BF16 on an Intel Xeon with AMX and FP32 on an
# AMD EPYC. Steps that take less than 2 % keep one process.
SHARES = {
    "speech_features": 0.03,
    "jasper": 0.09,
    "ctc_decoder": 0.23,
    "moonshine": 0.50,
    "bert": 0.31,
    "tacotron2": 0.11,
    "waveglow": 0.39,
    "audio_trimmer": 0.05,
}
MOST_BUSY = 0.8  # part of the time that a process may compute when all cores are busy, or requests queue for it
# Streaming steps keep one process, which counts the responses in flight: as many as the processes of a network.
IN_FLIGHT_FOR = {"phrase_splitter": "tacotron2", "mel_splitter": "waveglow"}


def scale_to_cores(profile: Profile, cores: int) -> Profile:
    """Give each step that runs on the CPU as many processes as `cores` can keep busy.

    On more cores no step has fewer processes than on two, where a second one keeps requests from queueing for the
    slowest networks; on one core each has one.
    """
    processes = {name: count_processes(name, settings, cores) for name, settings in profile.settings.items()}
    scaled = {}
    for name, settings in profile.settings.items():
        parameters = dict(settings.parameters)
        if "max_waiting" in parameters:
            parameters["max_waiting"] = parameters["max_waiting"] * cores // CORES
        if "max_in_flight" in parameters:
            parameters["max_in_flight"] = max(parameters["max_in_flight"], processes[IN_FLIGHT_FOR[name]])
        scaled[name] = replace(settings, instances=processes[name], parameters=parameters)
    return replace(profile, settings=scaled)


def count_processes(step: str, settings: Settings, cores: int) -> int:
    if settings.kind == "KIND_GPU":
        return settings.instances
    return max(min(settings.instances, cores), math.ceil(cores * SHARES.get(step, 0) / MOST_BUSY))
