"""Recognisers that the pipeline can hear with: each turns the audio of a question into what was said.

Whatever takes `question_audio`, `sample_rate` and, where there is one, `context`, and makes `question` and
`transcript`, twice the same text, may stand at the head of the ensembles. The rest of the pipeline stays as it is.
"""

from dataclasses import dataclass, replace

from convai.description.pipeline import ENSEMBLES, HEAR, STEPS, Call, Ensemble, Step, Tensor


@dataclass(frozen=True)
class Ears:
    """One recogniser: its own steps, and how they are chained."""

    name: str
    steps: tuple[Step, ...]
    calls: tuple[Call, ...]


_HEARING_STEPS = tuple(call.step for call in HEAR)

JASPER = Ears("jasper", steps=tuple(step for step in STEPS if step.name in _HEARING_STEPS), calls=HEAR)

MOONSHINE = Ears(
    "moonshine",
    steps=(
        Step(
            "moonshine",
            inputs=(
                Tensor("question_audio", "FP32", (-1,)),
                Tensor("sample_rate", "INT32", (1,)),
                Tensor("context", "BYTES", (1,), optional=True),  # not listened to; see `check_inputs_are_needed`
            ),
            outputs=(Tensor("question", "BYTES", (1,)), Tensor("transcript", "BYTES", (1,))),
        ),
    ),
    calls=(Call("moonshine"),),
)

EARS = {ears.name: ears for ears in (JASPER, MOONSHINE)}

# A model repository holds the steps of every recogniser, but a server loads only those of one.
RECOGNISER_STEP_NAMES = tuple(step.name for ears in EARS.values() for step in ears.steps)
ALL_STEPS = (*STEPS, *(step for ears in EARS.values() for step in ears.steps if step not in STEPS))
ALL_MODEL_NAMES = tuple(model.name for model in (*ALL_STEPS, *ENSEMBLES))


def steps_with(ears: Ears) -> tuple[Step, ...]:
    """The pipeline's steps when it hears with these ears."""
    return (*ears.steps, *(step for step in STEPS if step.name not in _HEARING_STEPS))


def ensembles_with(ears: Ears) -> tuple[Ensemble, ...]:
    """The pipeline's ensembles when they hear with these ears."""
    return tuple(_hearing_with(ensemble, ears) for ensemble in ENSEMBLES)


def _hearing_with(ensemble: Ensemble, ears: Ears) -> Ensemble:
    hearing, others = ensemble.calls[: len(HEAR)], ensemble.calls[len(HEAR) :]
    if tuple(call.step for call in hearing) != _HEARING_STEPS:
        return ensemble
    last = replace(ears.calls[-1], outputs=hearing[-1].outputs)  # under the names that the ensemble gives to them
    return replace(ensemble, calls=(*ears.calls[:-1], last, *others))
