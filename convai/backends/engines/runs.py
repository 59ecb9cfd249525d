"""Concatenate the requests of a batch into runs of a network: few, within the memory limit, failing one by one."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from convai.arrays import Array

Arrays = dict[str, Array]  # by tensor name, shape = (rows, ...)
Run = Callable[[Arrays], Arrays]


def run_requests(run: Run, requests: Sequence[Arrays], max_elements_per_run: int) -> list[Arrays | Exception]:
    """Run a network on every request, on several at once where their shapes allow it.

    If a run of several requests fails, each is run alone, so that only the request that causes the failure fails.

    Parameters
    ----------
    run : the network, from inputs to outputs
    requests : the inputs of each request
    max_elements_per_run : elements that the largest input of one run may hold; a request above that runs alone

    Returns
    -------
    for each request its outputs, or the exception that it causes
    """
    results: dict[int, Arrays | Exception] = {}
    for group in group_requests(requests, max_elements_per_run):
        try:
            outputs = run(concatenate([requests[index] for index in group]))
            results |= zip(group, split(outputs, [count_rows(requests[index]) for index in group]), strict=True)
        except Exception as error:
            alone = [error] if len(group) == 1 else [run_requests(run, [requests[index]], 0)[0] for index in group]
            results |= zip(group, alone, strict=True)
    return [results[index] for index in range(len(requests))]


def group_requests(requests: Sequence[Arrays], max_elements_per_run: int) -> list[list[int]]:
    """Indices of the requests of each run: their rows have equal shapes, and they do not exceed the limit together."""
    groups: list[list[int]] = []
    open_groups: dict[Hashable, tuple[list[int], int]] = {}  # by the shapes of their rows: (indices, elements)
    for index, request in enumerate(requests):
        shapes = row_shapes(request)
        size = max(array.size for array in request.values())
        group, elements = open_groups.get(shapes, (None, 0))
        if group is None or elements + size > max_elements_per_run:
            group, elements = [], 0
            groups.append(group)
        group.append(index)
        open_groups[shapes] = group, elements + size
    return groups


def row_shapes(request: Arrays) -> Hashable:
    return tuple((name, request[name].shape[1:], request[name].dtype) for name in sorted(request))


def count_rows(request: Arrays) -> int:
    return len(next(iter(request.values())))


def concatenate(requests: Sequence[Arrays]) -> Arrays:
    if len(requests) == 1:
        return requests[0]
    return {name: np.concatenate([request[name] for request in requests]) for name in requests[0]}


def split(outputs: Arrays, row_counts: Sequence[int]) -> list[Arrays]:
    """Split the outputs of a run into those of each request."""
    for name, array in outputs.items():
        if len(array) != sum(row_counts):
            raise RuntimeError(f"output {name} has {len(array)} rows for {sum(row_counts)} rows of input")
    ends = np.cumsum(row_counts)
    return [
        {name: array[end - count : end] for name, array in outputs.items()}
        for end, count in zip(ends, row_counts, strict=True)
    ]
