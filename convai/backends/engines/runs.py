"""Join the requests of a batch into runs of a network: as few as memory allows, and none spoilt by a neighbour."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from convai.arrays import Array

Arrays = dict[str, Array]  # by tensor name, shape = (rows, ...)
Run = Callable[[Arrays], Arrays]


def run_requests(run: Run, requests: Sequence[Arrays], max_elements_per_run: int) -> list[Arrays | Exception]:
    """Answer every request, running the network on several at once where they fit together.

    If a joined run fails, each of its requests is run alone, so that only the guilty one fails.

    Parameters
    ----------
    run : the network, from inputs to outputs
    requests : the inputs of each request
    max_elements_per_run : how many elements of the largest input one run may hold; a request above that runs alone

    Returns
    -------
    for each request its outputs, or the exception that it alone caused
    """
    answers: dict[int, Arrays | Exception] = {}
    for group in join(requests, max_elements_per_run):
        try:
            outputs = run(concatenate([requests[index] for index in group]))
            answers |= zip(group, split(outputs, [row_count(requests[index]) for index in group]), strict=True)
        except Exception as error:
            answers |= {group[0]: error} if len(group) == 1 else run_alone(run, requests, group)
    return [answers[index] for index in range(len(requests))]


def run_alone(run: Run, requests: Sequence[Arrays], group: Sequence[int]) -> dict[int, Arrays | Exception]:
    answers: dict[int, Arrays | Exception] = {}
    for index in group:
        try:
            answers[index] = run(requests[index])
        except Exception as error:
            answers[index] = error
    return answers


def join(requests: Sequence[Arrays], max_elements_per_run: int) -> list[list[int]]:
    """Indices of the requests that share a run: equal in the shape of their rows, and not too large together."""
    groups: list[list[int]] = []
    open_groups: dict[Hashable, tuple[list[int], int]] = {}  # by the shape of their rows: (indices, elements)
    for index, request in enumerate(requests):
        shape = row_shape(request)
        size = max(array.size for array in request.values())
        group, elements = open_groups.get(shape, (None, 0))
        if group is None or elements + size > max_elements_per_run:
            group, elements = [], 0
            groups.append(group)
        group.append(index)
        open_groups[shape] = group, elements + size
    return groups


def row_shape(request: Arrays) -> Hashable:
    return tuple((name, request[name].shape[1:], request[name].dtype) for name in sorted(request))


def row_count(request: Arrays) -> int:
    return len(next(iter(request.values())))


def concatenate(requests: Sequence[Arrays]) -> Arrays:
    if len(requests) == 1:
        return requests[0]
    return {name: np.concatenate([request[name] for request in requests]) for name in requests[0]}


def split(outputs: Arrays, row_counts: Sequence[int]) -> list[Arrays]:
    """The rows of each request out of a joined run's outputs."""
    for name, array in outputs.items():
        if len(array) != sum(row_counts):
            raise RuntimeError(f"output {name} has {len(array)} rows for {sum(row_counts)} rows of input")
    ends = np.cumsum(row_counts)
    return [
        {name: array[end - count : end] for name, array in outputs.items()}
        for end, count in zip(ends, row_counts, strict=True)
    ]
