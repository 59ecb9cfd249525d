"""The clips of a training step follow from its number, within the limits of a batch."""

import numpy as np

from training.common.batches import Batches, BatchLimits

LIMITS = BatchLimits(64)
FRAMES = [24, 60, 24, 36, 24, 48, 60, 12]


def make_batches(limits=LIMITS, first=LIMITS, first_steps=0):
    return Batches(FRAMES, limits, first, first_steps, seed=0)


def list_steps(batches, steps):
    return [batches.at(step).tolist() for step in range(steps)]


def test_an_epoch_holds_every_clip_once_in_batches_within_the_budget():
    batches = make_batches()
    steps = list_steps(batches, 40)
    count = next(n for n in range(1, 40) if sum(map(len, steps[:n])) == len(FRAMES))
    assert sorted(np.concatenate(steps[:count])) == list(range(len(FRAMES)))
    assert all(len(batch) * max(FRAMES[index] for index in batch) <= 64 for batch in steps)


def test_clips_longer_than_the_limit_are_left_out():
    assert {FRAMES[index] for batch in list_steps(make_batches(BatchLimits(64, 40)), 20) for index in batch} == {
        12,
        24,
        36,
    }


def test_first_steps_have_short_clips_in_batches_of_their_own_and_later_ones_all():
    steps = list_steps(make_batches(first=BatchLimits(24, 24), first_steps=3), 40)
    assert all(len(batch) <= 2 and max(FRAMES[index] for index in batch) <= 24 for batch in steps[:3])
    assert sorted(np.concatenate(steps[3:])[: len(FRAMES)]) == list(range(len(FRAMES)))


def test_the_clips_of_a_step_depend_on_its_number_alone():
    visited, fresh = make_batches(first_steps=1), make_batches(first_steps=1)
    expected = list_steps(visited, 12)
    assert fresh.at(11).tolist() == expected[11]
    assert visited.at(1).tolist() == expected[1]
