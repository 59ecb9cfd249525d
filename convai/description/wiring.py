"""Follows every tensor of an ensemble from the step that makes it to the steps that need it."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace

from convai.description.pipeline import Call, Ensemble, Step, Tensor
from convai.description.recognisers import JASPER, Recogniser, ensembles_with, steps_with
from convai.errors import InvalidArgument

Made = dict[str, tuple[str, Tensor]]  # by ensemble tensor: the step that makes it, and the tensor of that step
Needed = dict[str, list[tuple[str, Tensor]]]  # the steps that take it


class WiringError(InvalidArgument):
    """The pipeline's description contradicts itself; the message names the ensemble, the step and the tensor."""


@dataclass(frozen=True)
class Wiring:
    """An ensemble with every wire written out; a step's outputs that nobody needs are left out."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    calls: tuple[Call, ...]
    is_decoupled: bool = False  # one of its steps is; such an ensemble can be called through a stream only


def wire(ensemble: Ensemble, steps: Mapping[str, Step], *, implied: bool = True) -> Wiring:
    """Resolve an ensemble's description against its steps.

    With `implied`, a tensor left out of a call is wired to the ensemble tensor of its own name; without, as in a
    config.pbtxt, an output left out is dropped and an input left out is an error. An optional input may be left out
    in both.
    Raises WiringError for an unknown step or tensor, a tensor nobody makes, needs or makes alone, an edge whose
    ends differ in dtype or dims, an exposed tensor that a later step consumes, an output that can do without one
    of the inputs, and tensors that came through a decoupled step joined with others.
    """
    calls = _completed(ensemble, steps, implied)
    made = _made_tensors(ensemble, calls, steps)
    needed = _needed_tensors(calls, steps)
    inputs = tuple(_input_tensor(ensemble, name, made, needed) for name in ensemble.inputs)
    sources = made | {tensor.name: ("the caller", tensor) for tensor in inputs}
    for edge, consumers in needed.items():
        for step, tensor in consumers:
            _check_edge(ensemble, edge, sources, step, tensor)
    outputs = tuple(_output_tensor(ensemble, name, made, needed) for name in ensemble.outputs)
    check_inputs_are_needed(ensemble, calls)
    is_decoupled = _check_decoupled(ensemble, calls, steps)
    used = needed.keys() | set(ensemble.outputs)
    pruned = tuple(_without_unused_outputs(ensemble, call, used) for call in calls)
    return Wiring(ensemble.name, inputs, outputs, pruned, is_decoupled)


def wiring_of(ensemble_name: str, recogniser: Recogniser = JASPER) -> Wiring:
    """The wiring of one of the pipeline's ensembles; InvalidArgument if there is none of that name."""
    ensembles = {ensemble.name: ensemble for ensemble in ensembles_with(recogniser)}
    if ensemble_name not in ensembles:
        raise InvalidArgument(f"no ensemble is called {ensemble_name!r}; there are {', '.join(ensembles)}")
    return wire(ensembles[ensemble_name], {step.name: step for step in steps_with(recogniser)})


def check_inputs_are_needed(ensemble: Ensemble, calls: Iterable[Call]) -> None:
    """Raise WiringError for an output that can be made without one of the ensemble's inputs.

    Asked for such an output alone, Triton 2.51 drops the first step with the input that nobody needs, and fails with
    "unexpected deadlock". An optional input of a step on the way is enough.
    """
    makers = {edge: call for call in calls for edge in call.outputs.values()}
    for output in ensemble.outputs:
        needed, waiting = set(), {output}
        while waiting:
            edge = waiting.pop()
            needed.add(edge)
            waiting |= set(makers[edge].inputs.values()) - needed if edge in makers else set()
        for name in ensemble.inputs:
            if name not in needed:
                raise WiringError(
                    f"{ensemble.name}: output {output} does without the input {name}; "
                    f"let step {makers[output].step} take it as an optional input"
                )


def check_every_output_is_used(steps: Iterable[Step], wirings: Iterable[Wiring]) -> None:
    """Raise WiringError for a step no ensemble calls and for a step's output that no ensemble exposes or consumes."""
    used = {(call.step, tensor) for wiring in wirings for call in wiring.calls for tensor in call.outputs}
    for step in steps:
        for tensor in step.outputs:
            if (step.name, tensor.name) not in used:
                raise WiringError(f"step {step.name}: no ensemble uses its output {tensor.name}; remove or wire it")


def _check_decoupled(ensemble: Ensemble, calls: Iterable[Call], steps: Mapping[str, Step]) -> bool:
    """Whether a step is decoupled; WiringError if something takes both what came through it and what did not.

    Triton refuses to load such an ensemble ("inputs originated from different decoupled models").
    """
    origins: dict[str, str | None] = {}  # by ensemble tensor: the decoupled step it came through
    for call in calls:
        origin = _common_origin(ensemble, f"step {call.step}", call.inputs.values(), origins)
        if steps[call.step].is_decoupled:
            origin = call.step
        origins |= dict.fromkeys(call.outputs.values(), origin)
    return _common_origin(ensemble, "the caller", ensemble.outputs, origins) is not None


def _common_origin(
    ensemble: Ensemble, taker: str, edges: Iterable[str], origins: Mapping[str, str | None]
) -> str | None:
    by_origin = {origins.get(edge): edge for edge in edges}
    if len(by_origin) > 1:
        streamed = next(origin for origin in by_origin if origin is not None)
        other = next(edge for origin, edge in by_origin.items() if origin != streamed)
        raise WiringError(
            f"{ensemble.name}: {taker} takes {by_origin[streamed]}, which came through {streamed}, and {other}, "
            f"which did not; let {streamed} pass {other} on"
        )
    return next(iter(by_origin), None)


def _completed(ensemble: Ensemble, steps: Mapping[str, Step], implied: bool) -> list[Call]:
    calls: list[Call] = []
    present = set(ensemble.inputs)
    for call in ensemble.calls:
        calls.append(_complete(ensemble, call, steps, implied, present))
        present |= set(calls[-1].outputs.values())
    return calls


def _complete(ensemble: Ensemble, call: Call, steps: Mapping[str, Step], implied: bool, present: set[str]) -> Call:
    """The call with all its wires; `present` are the ensemble tensors that it may be wired to."""
    if call.step not in steps:
        raise WiringError(f"{ensemble.name}: step {call.step} is not described; steps are {', '.join(steps)}")
    step = steps[call.step]
    for direction, wires, tensors in (("input", call.inputs, step.inputs), ("output", call.outputs, step.outputs)):
        names = [tensor.name for tensor in tensors]
        for name in wires.keys() - set(names):
            raise WiringError(f"{ensemble.name}: step {step.name} has no {direction} {name}; it has {', '.join(names)}")
    if implied:
        inputs = {
            tensor.name: tensor.name for tensor in step.inputs if tensor.name in present or not tensor.optional
        } | call.inputs
        outputs = {tensor.name: tensor.name for tensor in step.outputs} | call.outputs
        return replace(call, inputs=inputs, outputs=outputs)
    for tensor in step.inputs:
        if tensor.name not in call.inputs and not tensor.optional:
            raise WiringError(f"{ensemble.name}: input {tensor.name} of step {step.name} is wired to nothing")
    return call


def _made_tensors(ensemble: Ensemble, calls: Iterable[Call], steps: Mapping[str, Step]) -> Made:
    made: Made = {}
    for call in calls:
        for tensor in steps[call.step].outputs:
            edge = call.outputs.get(tensor.name)
            if edge is None:
                continue
            if edge in made:
                raise WiringError(f"{ensemble.name}: tensor {edge} is made twice, by {made[edge][0]} and {call.step}")
            made[edge] = call.step, tensor
    return made


def _needed_tensors(calls: Iterable[Call], steps: Mapping[str, Step]) -> Needed:
    needed: Needed = {}
    for call in calls:
        for tensor in steps[call.step].inputs:
            if tensor.name in call.inputs:
                needed.setdefault(call.inputs[tensor.name], []).append((call.step, tensor))
    return needed


def _input_tensor(ensemble: Ensemble, name: str, made: Made, needed: Needed) -> Tensor:
    if name in made:
        raise WiringError(f"{ensemble.name}: input {name} is also made by step {made[name][0]}")
    if name not in needed:
        raise WiringError(f"{ensemble.name}: no step consumes the input {name}")
    optional = all(tensor.optional for _, tensor in needed[name])
    return replace(needed[name][0][1], name=name, optional=optional)


def _output_tensor(ensemble: Ensemble, name: str, made: Made, needed: Needed) -> Tensor:
    if name not in made:
        raise WiringError(f"{ensemble.name}: no step makes the output {name}")
    if name in needed:
        # Triton fails with "unexpected deadlock" when only a subset of such outputs is asked for.
        raise WiringError(
            f"{ensemble.name}: output {name} is also consumed by step {needed[name][0][0]}; "
            f"let step {made[name][0]} emit a copy under a name of its own"
        )
    return replace(made[name][1], name=name)


def _check_edge(ensemble: Ensemble, edge: str, sources: Made, step: str, tensor: Tensor) -> None:
    if edge not in sources:
        raise WiringError(f"{ensemble.name}: step {step} needs tensor {edge}, which no step makes and no caller gives")
    maker, source = sources[edge]
    if source.dtype != tensor.dtype:
        raise WiringError(
            f"{ensemble.name}: tensor {edge} leaves {maker} as {source.dtype}, {step} takes {tensor.dtype}"
        )
    if not _dims_agree(source.dims, tensor.dims):
        raise WiringError(
            f"{ensemble.name}: tensor {edge} leaves {maker} with dims {list(source.dims)}, "
            f"{step} takes {list(tensor.dims)}"
        )


def _dims_agree(made: tuple[int, ...], taken: tuple[int, ...]) -> bool:
    return len(made) == len(taken) and all(m == t or t == -1 for m, t in zip(made, taken, strict=True))


def _without_unused_outputs(ensemble: Ensemble, call: Call, used: Set[str]) -> Call:
    outputs = {tensor: edge for tensor, edge in call.outputs.items() if edge in used}
    if not outputs:
        made = ", ".join(call.outputs.values())
        raise WiringError(f"{ensemble.name}: nothing uses what step {call.step} makes ({made})")
    return replace(call, outputs=outputs)
