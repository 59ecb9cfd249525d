"""Speech recognisers that can stand at the head of the pipeline.

A recogniser takes `question_audio`, `sample_rate` and, where there is one, `context`, and returns
`TRANSCRIPT_OUTPUTS`: `question` and `transcript`, which hold the same text, and `words` and `word_times`, which are
empty if it gives no word times. The rest of the pipeline does not change.
"""

from dataclasses import dataclass, replace

from convai.description.pipeline import ENSEMBLES, STEPS, TRANSCRIBE, TRANSCRIPT_OUTPUTS, Call, Ensemble, Step, Tensor


@dataclass(frozen=True)
class Recogniser:
    """A speech recogniser: its own steps, and how they are chained."""

    name: str
    steps: tuple[Step, ...]
    calls: tuple[Call, ...]


_JASPER_STEPS = tuple(call.step for call in TRANSCRIBE)

JASPER = Recogniser("jasper", steps=tuple(step for step in STEPS if step.name in _JASPER_STEPS), calls=TRANSCRIBE)

MOONSHINE = Recogniser(
    "moonshine",
    steps=(
        Step(
            "moonshine",
            inputs=(
                Tensor("question_audio", "FP32", (-1,)),
                Tensor("sample_rate", "INT32", (1,)),
                Tensor("context", "BYTES", (1,), optional=True),  # unused; see `check_inputs_are_needed`
            ),
            outputs=TRANSCRIPT_OUTPUTS,
        ),
    ),
    calls=(Call("moonshine"),),
)

RECOGNISERS = {recogniser.name: recogniser for recogniser in (JASPER, MOONSHINE)}

# A model repository holds the steps of every recogniser; a server loads those of one.
RECOGNISER_STEP_NAMES = tuple(step.name for recogniser in RECOGNISERS.values() for step in recogniser.steps)
ALL_STEPS = (*STEPS, *(step for one in RECOGNISERS.values() for step in one.steps if step not in STEPS))
ALL_MODEL_NAMES = tuple(model.name for model in (*ALL_STEPS, *ENSEMBLES))


def steps_with(recogniser: Recogniser) -> tuple[Step, ...]:
    """The steps of the pipeline with this recogniser."""
    return (*recogniser.steps, *(step for step in STEPS if step.name not in _JASPER_STEPS))


def ensembles_with(recogniser: Recogniser) -> tuple[Ensemble, ...]:
    """The ensembles of the pipeline with this recogniser."""
    return tuple(_replace_recogniser(ensemble, recogniser) for ensemble in ENSEMBLES)


def _replace_recogniser(ensemble: Ensemble, recogniser: Recogniser) -> Ensemble:
    first, others = ensemble.calls[: len(TRANSCRIBE)], ensemble.calls[len(TRANSCRIBE) :]
    if tuple(call.step for call in first) != _JASPER_STEPS:
        return ensemble
    last = replace(recogniser.calls[-1], outputs=first[-1].outputs)  # keeps the ensemble's names of the outputs
    return replace(ensemble, calls=(*recogniser.calls[:-1], last, *others))
