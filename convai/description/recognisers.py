"""Recognisers that the pipeline can hear with: each turns the audio of a question into what was said.

Whatever takes `question_audio`, `sample_rate` and, where there is one, `context`, and makes `question` and
`transcript`, twice the same text, may stand at the head of the ensembles. The rest of the pipeline stays as it is.
"""

from dataclasses import dataclass, replace

from convai.description.pipeline import ENSEMBLES, STEPS, TRANSCRIBE, Call, Ensemble, Step, Tensor


@dataclass(frozen=True)
class Recogniser:
    """One recogniser: its own steps, and how they are chained."""

    name: str
    steps: tuple[Step, ...]
    calls: tuple[Call, ...]


_RECOGNITION_STEPS = tuple(call.step for call in TRANSCRIBE)

JASPER = Recogniser("jasper", steps=tuple(step for step in STEPS if step.name in _RECOGNITION_STEPS), calls=TRANSCRIBE)

MOONSHINE = Recogniser(
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

RECOGNISERS = {recogniser.name: recogniser for recogniser in (JASPER, MOONSHINE)}

# A model repository holds the steps of every recogniser, but a server loads only those of one.
RECOGNISER_STEP_NAMES = tuple(step.name for recogniser in RECOGNISERS.values() for step in recogniser.steps)
ALL_STEPS = (*STEPS, *(step for recogniser in RECOGNISERS.values() for step in recogniser.steps if step not in STEPS))
ALL_MODEL_NAMES = tuple(model.name for model in (*ALL_STEPS, *ENSEMBLES))


def steps_with(recogniser: Recogniser) -> tuple[Step, ...]:
    """The pipeline's steps when it hears with these recogniser."""
    return (*recogniser.steps, *(step for step in STEPS if step.name not in _RECOGNITION_STEPS))


def ensembles_with(recogniser: Recogniser) -> tuple[Ensemble, ...]:
    """The pipeline's ensembles when they hear with these recogniser."""
    return tuple(_with_recogniser(ensemble, recogniser) for ensemble in ENSEMBLES)


def _with_recogniser(ensemble: Ensemble, recogniser: Recogniser) -> Ensemble:
    hearing, others = ensemble.calls[: len(TRANSCRIBE)], ensemble.calls[len(TRANSCRIBE) :]
    if tuple(call.step for call in hearing) != _RECOGNITION_STEPS:
        return ensemble
    last = replace(recogniser.calls[-1], outputs=hearing[-1].outputs)  # under the names that the ensemble gives to them
    return replace(ensemble, calls=(*recogniser.calls[:-1], last, *others))
