"""Resolves and checks the wiring of an ensemble: which step produces each tensor, and which steps consume it."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace

from convai.description.pipeline import Call, Ensemble, Step, Tensor
from convai.description.recognisers import JASPER, Recogniser, ensembles_with, steps_with
from convai.errors import InvalidArgument

Producers = dict[str, tuple[str, Tensor]]  # by ensemble tensor: its step, and the tensor of that step
Consumers = dict[str, list[tuple[str, Tensor]]]


class WiringError(InvalidArgument):
    """The description of the pipeline contradicts itself; the message names the ensemble, the step and the tensor."""


@dataclass(frozen=True)
class Wiring:
    """An ensemble with every wire written out; outputs of steps that nothing consumes are left out."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    calls: tuple[Call, ...]
    is_decoupled: bool = False  # one of its steps is; such an ensemble can only be called through a stream


def wire(ensemble: Ensemble, steps: Mapping[str, Step], *, implied: bool = True) -> Wiring:
    """Resolve an ensemble's description against its steps.

    Parameters
    ----------
    implied : True, as in the description: a tensor that a call does not list is wired to the ensemble tensor of the
        same name. False, as in a config.pbtxt: an output that is not listed is dropped, and an input must be listed
        unless it is optional.

    Raises
    ------
    WiringError
        An unknown step or tensor; a tensor with no producer, several, or no consumer; different dtype or dims at the
        ends of a wire; an exposed tensor that a later step consumes; an output that does not depend on every input; a
        tensor that passed a decoupled step combined with one that did not.
    """
    calls = _complete_calls(ensemble, steps, implied)
    producers = _find_producers(ensemble, calls, steps)
    consumers = _find_consumers(calls, steps)
    inputs = tuple(_input_tensor(ensemble, name, producers, consumers) for name in ensemble.inputs)
    sources = producers | {tensor.name: ("the caller", tensor) for tensor in inputs}
    for edge, takers in consumers.items():
        for step, tensor in takers:
            _check_edge(ensemble, edge, sources, step, tensor)
    outputs = tuple(_output_tensor(ensemble, name, producers, consumers) for name in ensemble.outputs)
    check_inputs_are_needed(ensemble, calls)
    is_decoupled = _find_decoupled(ensemble, calls, steps)
    used = consumers.keys() | set(ensemble.outputs)
    pruned = tuple(_without_unused_outputs(ensemble, call, used) for call in calls)
    return Wiring(ensemble.name, inputs, outputs, pruned, is_decoupled)


def wiring_of(ensemble_name: str, recogniser: Recogniser = JASPER) -> Wiring:
    """Wire one of the pipeline's ensembles. Raises InvalidArgument for an unknown name."""
    ensembles = {ensemble.name: ensemble for ensemble in ensembles_with(recogniser)}
    if ensemble_name not in ensembles:
        raise InvalidArgument(f"ensemble: expected one of {', '.join(ensembles)}, got {ensemble_name!r}")
    return wire(ensembles[ensemble_name], {step.name: step for step in steps_with(recogniser)})


def check_inputs_are_needed(ensemble: Ensemble, calls: Iterable[Call]) -> None:
    """Raise WiringError for an output that does not depend on every input of the ensemble.

    If a caller requests only such an output, Triton 2.51 drops the unneeded input with its first step and fails with
    "unexpected deadlock". It is enough if a step on the way takes the input as an optional one.
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
                    f"{ensemble.name}: output {output} does not depend on the input {name}; "
                    f"let step {makers[output].step} take it as an optional input"
                )


def check_every_output_is_used(steps: Iterable[Step], wirings: Iterable[Wiring]) -> None:
    """Raise WiringError for a step that no ensemble calls, or an output of a step that no ensemble uses."""
    used = {(call.step, tensor) for wiring in wirings for call in wiring.calls for tensor in call.outputs}
    for step in steps:
        for tensor in step.outputs:
            if (step.name, tensor.name) not in used:
                raise WiringError(f"step {step.name}: no ensemble uses its output {tensor.name}; remove or wire it")


def _find_decoupled(ensemble: Ensemble, calls: Iterable[Call], steps: Mapping[str, Step]) -> bool:
    """Return whether the ensemble is decoupled.

    Raises WiringError if a step combines a tensor that passed a decoupled step with one that did not: Triton refuses to
    load such an ensemble ("inputs originated from different decoupled models").
    """
    origins: dict[str, str | None] = {}  # by ensemble tensor: the decoupled step it passed
    for call in calls:
        origin = _find_origin(ensemble, f"step {call.step}", call.inputs.values(), origins)
        if steps[call.step].is_decoupled:
            origin = call.step
        origins |= dict.fromkeys(call.outputs.values(), origin)
    return _find_origin(ensemble, "the caller", ensemble.outputs, origins) is not None


def _find_origin(ensemble: Ensemble, taker: str, edges: Iterable[str], origins: Mapping[str, str | None]) -> str | None:
    by_origin = {origins.get(edge): edge for edge in edges}
    if len(by_origin) > 1:
        streamed = next(origin for origin in by_origin if origin is not None)
        other = next(edge for origin, edge in by_origin.items() if origin != streamed)
        raise WiringError(
            f"{ensemble.name}: {taker} takes {by_origin[streamed]}, which passed {streamed}, and {other}, "
            f"which did not; let {streamed} forward {other}"
        )
    return next(iter(by_origin), None)


def _complete_calls(ensemble: Ensemble, steps: Mapping[str, Step], implied: bool) -> list[Call]:
    calls: list[Call] = []
    present = set(ensemble.inputs)
    for call in ensemble.calls:
        calls.append(_complete(ensemble, call, steps, implied, present))
        present |= set(calls[-1].outputs.values())
    return calls


def _complete(ensemble: Ensemble, call: Call, steps: Mapping[str, Step], implied: bool, present: set[str]) -> Call:
    """Return the call with all its wires; `present` are the ensemble tensors that exist so far."""
    if call.step not in steps:
        raise WiringError(f"{ensemble.name}: unknown step {call.step}; expected one of {', '.join(steps)}")
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


def _find_producers(ensemble: Ensemble, calls: Iterable[Call], steps: Mapping[str, Step]) -> Producers:
    producers: Producers = {}
    for call in calls:
        for tensor in steps[call.step].outputs:
            edge = call.outputs.get(tensor.name)
            if edge is None:
                continue
            if edge in producers:
                raise WiringError(
                    f"{ensemble.name}: tensor {edge} is produced twice, by {producers[edge][0]} and {call.step}"
                )
            producers[edge] = call.step, tensor
    return producers


def _find_consumers(calls: Iterable[Call], steps: Mapping[str, Step]) -> Consumers:
    consumers: Consumers = {}
    for call in calls:
        for tensor in steps[call.step].inputs:
            if tensor.name in call.inputs:
                consumers.setdefault(call.inputs[tensor.name], []).append((call.step, tensor))
    return consumers


def _input_tensor(ensemble: Ensemble, name: str, producers: Producers, consumers: Consumers) -> Tensor:
    if name in producers:
        raise WiringError(f"{ensemble.name}: input {name} is also produced by step {producers[name][0]}")
    if name not in consumers:
        raise WiringError(f"{ensemble.name}: no step consumes the input {name}")
    optional = all(tensor.optional for _, tensor in consumers[name])
    return replace(consumers[name][0][1], name=name, optional=optional)


def _output_tensor(ensemble: Ensemble, name: str, producers: Producers, consumers: Consumers) -> Tensor:
    if name not in producers:
        raise WiringError(f"{ensemble.name}: no step produces the output {name}")
    if name in consumers:
        # Triton fails with "unexpected deadlock" when only a subset of such outputs is asked for.
        raise WiringError(
            f"{ensemble.name}: output {name} is also consumed by step {consumers[name][0][0]}; "
            f"let step {producers[name][0]} emit a copy under a name of its own"
        )
    return replace(producers[name][1], name=name)


def _check_edge(ensemble: Ensemble, edge: str, sources: Producers, step: str, tensor: Tensor) -> None:
    if edge not in sources:
        raise WiringError(
            f"{ensemble.name}: step {step} needs tensor {edge}, which no step produces and no caller sends"
        )
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


def _dims_agree(made: tuple[int | str, ...], taken: tuple[int | str, ...]) -> bool:
    return len(made) == len(taken) and all(m == t or t == -1 for m, t in zip(made, taken, strict=True))


def _without_unused_outputs(ensemble: Ensemble, call: Call, used: Set[str]) -> Call:
    outputs = {tensor: edge for tensor, edge in call.outputs.items() if edge in used}
    if not outputs:
        unused = ", ".join(call.outputs.values())
        raise WiringError(f"{ensemble.name}: nothing uses the outputs of step {call.step} ({unused})")
    return replace(call, outputs=outputs)
