"""N-best rescoring: a recurrent language model scores the texts that beam search found.

Trigrams condition on two words; this model conditions on the sentence and on the context of the question, whose words
it can point at. It is a pointer mixture (Merity et al., Pointer Sentinel Mixture Models, 2016; See et al., Get To The
Point, 2017) over an LSTM with an adaptive softmax (Grave et al., Efficient softmax approximation for GPUs, 2017).
`training.rescorer` trains it.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from convai.arrays import Array
from convai.backends.steps.transcripts import spoken_form
from convai.errors import InvalidArgument

UNKNOWN, END = 0, 1  # ids of the special tokens; END also begins a sentence
NUM_MARKS = 2
NATS_PER_LETTER = 1.6  # cost of spelling an unknown word, in addition to that of UNKNOWN; its end counts as a letter
PASSAGES_KEPT = 32  # contexts whose word ids are cached for the next question about them
LONGEST_PASSAGE = 2000  # words; the rest is ignored
LOWEST_PROBABILITY = 1e-30


class Vocabulary:
    """Ids of words: the frequent ones first; any other word is hashed into a bucket by its checksum."""

    def __init__(self, words: Sequence[str], num_buckets: int):
        self.words, self.num_buckets = words, num_buckets
        self.size = NUM_MARKS + len(words)
        self._ids = {word: index for index, word in enumerate(words, start=NUM_MARKS)}

    def word_id(self, word: str) -> int:
        """From NUM_MARKS to `size` for a word of the vocabulary, from `size` on for a bucket."""
        known = self._ids.get(word)
        return self.size + zlib.crc32(word.encode()) % self.num_buckets if known is None else known

    def word_ids(self, words: Iterable[str]) -> Array:
        """Shape = (words,), int64."""
        return np.array([self.word_id(word) for word in words], np.int64)


def spelling_cost(word_ids: Array, letters: Array, size: int) -> Array:
    """Cost of each word's letters in nats: 0 for a word of the vocabulary of this size."""
    return np.where(word_ids < size, 0, NATS_PER_LETTER * (letters + 1)).astype(np.float32)


@dataclass(frozen=True)
class PrefixTree:
    """The prefixes of hypotheses, each once. Node 0 is the empty prefix.

    Attributes
    ----------
    words : last word of every node but the first
    parents, depths : int64, shape = (nodes,); a parent precedes its children
    ends : int64, shape = (hypotheses,): the node of each whole hypothesis
    """

    words: Sequence[str]
    parents: Array
    depths: Array
    ends: Array

    @classmethod
    def build(cls, hypotheses: Iterable[str]) -> "PrefixTree":
        nodes: dict[tuple[int, str], int] = {}
        parents, depths, ends = [0], [0], []
        for hypothesis in hypotheses:
            node = 0
            for word in hypothesis.split():
                if (node, word) not in nodes:
                    nodes[node, word] = len(parents)
                    parents.append(node)
                    depths.append(depths[node] + 1)
                node = nodes[node, word]
            ends.append(node)
        return cls([word for _, word in nodes], np.array(parents), np.array(depths), np.array(ends))


class Rescorer:
    """The language model of a file that `training.rescorer.train` wrote; any other file is an InvalidArgument."""

    def __init__(self, file: Path):
        # Imported here, because decoding without a rescorer must work where the package is missing.
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(file, framework="np") as stored:
                words = (stored.metadata() or {})["words"].split()
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            self._load(dequantise(tensors), words)
        except (SafetensorError, KeyError) as error:
            raise InvalidArgument(
                f"rescorer_file: expected a file that training.rescorer.train wrote, got {file}"
            ) from error
        self._passage = lru_cache(PASSAGES_KEPT)(self._read_passage)

    def _load(self, weights: dict[str, Array], words: Sequence[str]) -> None:
        self.embedding, self.membership = weights["embedding.weight"], weights["membership.weight"]
        self.vocabulary = Vocabulary(words, len(self.embedding) - NUM_MARKS - len(words))
        # sigmoid(x) = (1 + tanh(x / 2)) / 2, so with halved weights of its three gates one tanh suffices for all four.
        scale = np.repeat(np.array([0.5, 0.5, 1, 0.5], np.float32), len(weights["lstm.bias_ih_l0"]) // 4)
        self.input = transpose(weights["lstm.weight_ih_l0"]) * scale
        self.recurrent = weights["lstm.weight_hh_l0"] * scale[:, None]
        self.lstm_bias = (weights["lstm.bias_ih_l0"] + weights["lstm.bias_hh_l0"]) * scale
        self.linear = {
            name: (transpose(weights[f"{name}.weight"]), weights.get(f"{name}.bias", np.float32(0)))
            for name in ("projection", "key", "query", "gate", "mix", "to_tails.0", "to_tails.1")
        }
        tails = [weights["tails.0.weight"], weights["tails.1.weight"]]
        self.bounds = np.cumsum([self.vocabulary.size - sum(map(len, tails)), *map(len, tails)])
        head, *tail_biases = np.split(weights["bias"], self.bounds[:-1])
        self.head = transpose(np.concatenate([self.embedding[: self.bounds[0]], weights["to_class.weight"]]))
        self.head_bias = np.concatenate([head, weights["to_class.bias"]])
        self.tails = [(transpose(tail), bias) for tail, bias in zip(tails, tail_biases, strict=True)]

    def __call__(self, hypotheses: Sequence[str], context: str = "") -> Array:
        """Score each text as a question about the context, or as any sentence if the context is empty.

        Parameters
        ----------
        hypotheses : transcripts; a prefix that several have in common is computed once
        context : as written; the first 2,000 words are read

        Returns
        -------
        float64, shape = (hypotheses,): natural logarithms
        """
        tree = PrefixTree.build(hypotheses)
        word_ids = np.concatenate([[END], self.vocabulary.word_ids(tree.words)])
        letters = np.array([0, *map(len, tree.words)])
        passage = self._passage(context)
        hidden = self._run_lstm(tree, word_ids, passage)
        # Each node but the first is predicted by its parent; then each hypothesis ends.
        source = np.concatenate([tree.parents[1:], tree.ends])
        target = np.concatenate([word_ids[1:], np.full(len(tree.ends), END)])
        pointed, hidden = self._point(hidden, passage, source, target)
        predicted = self._predict(hidden, source, np.where(target < self.vocabulary.size, target, UNKNOWN))
        predicted[: len(letters) - 1] -= spelling_cost(word_ids, letters, self.vocabulary.size)[1:]
        log_probs = predicted if pointed is None else np.logaddexp(predicted + pointed[0], pointed[1])
        totals = np.zeros(len(word_ids))
        for node in range(1, len(word_ids)):
            totals[node] = totals[tree.parents[node]] + log_probs[node - 1]
        return totals[tree.ends] + log_probs[len(word_ids) - 1 :]

    def _read_passage(self, context: str) -> Array:
        return self.vocabulary.word_ids(spoken_form(context).split()[:LONGEST_PASSAGE])

    def _run_lstm(self, tree: PrefixTree, word_ids: Array, passage: Array) -> Array:
        """The hidden state after each node: shape = (nodes, width)."""
        inputs = self.embedding[word_ids] + self.membership[np.isin(word_ids, passage).astype(np.int64)]
        gates = inputs @ self.input + self.lstm_bias
        width = self.recurrent.shape[1]
        output = np.zeros((len(word_ids), width), np.float32)
        cells = np.zeros_like(output)
        for depth in range(int(tree.depths.max()) + 1):
            nodes = np.flatnonzero(tree.depths == depth)
            before = tree.parents[nodes]
            # In this order OpenBLAS takes half the time that it takes for `output[before] @ self.recurrent.T`.
            summed = gates[nodes] + (self.recurrent @ output[before].T).T if depth else gates[nodes]
            squashed = np.tanh(summed, out=summed)
            input_gate, forget_gate, new, output_gate = (
                squashed[:, first : first + width] for first in range(0, 4 * width, width)
            )
            cell = (0.5 + 0.5 * forget_gate) * cells[before] + (0.5 + 0.5 * input_gate) * new
            cells[nodes] = cell
            output[nodes] = (0.5 + 0.5 * output_gate) * np.tanh(cell)
        return self._apply("projection", output)

    def _point(
        self, hidden: Array, passage: Array, source: Array, target: Array
    ) -> tuple[tuple[Array, Array] | None, Array]:
        """Log-probabilities of not pointing and of pointing at the target, and `hidden` plus the attended words."""
        if not len(passage):
            return None, hidden
        words = self.embedding[passage]
        before = np.pad(words, ((2, 0), (0, 0)))
        keys = self._apply("key", np.concatenate([words, before[1:-1], before[:-2]], axis=1))
        attention = softmax(self._apply("query", hidden) @ keys.T / np.sqrt(keys.shape[1]))
        attended = attention @ words
        gate = self._apply("gate", np.concatenate([hidden, attended], axis=1))[source, 0]
        is_target = passage == target[:, None]
        at_target = np.log(np.maximum((attention[source] * is_target).sum(axis=1), LOWEST_PROBABILITY))
        return (-np.logaddexp(0, gate), at_target - np.logaddexp(0, -gate)), hidden + self._apply("mix", attended)

    def _predict(self, hidden: Array, source: Array, target: Array) -> Array:
        """Log-probability of each target word after its source node."""
        rank = np.searchsorted(self.bounds, target, side="right")  # 0 for the frequent words, 1 and 2 for the tails
        column = np.where(rank == 0, target, self.bounds[0] + rank - 1)
        log_probs = log_softmax_at(hidden @ self.head + self.head_bias, source, column).astype(np.float64)
        for index, (weight, bias) in enumerate(self.tails):
            rare = np.flatnonzero(rank == index + 1)
            if len(rare):
                nodes, row = np.unique(source[rare], return_inverse=True)
                logits = self._apply(f"to_tails.{index}", hidden[nodes]) @ weight + bias
                log_probs[rare] += log_softmax_at(logits, row, target[rare] - self.bounds[index])
        return log_probs

    def _apply(self, name: str, inputs: Array) -> Array:
        weight, bias = self.linear[name]
        return inputs @ weight + bias


def dequantise(tensors: dict[str, Array]) -> dict[str, Array]:
    """Convert tensors in FP16, or in INT8 with a scale per row, to FP32."""
    scaled = {name: tensors[f"{name}.scale"] for name in tensors if f"{name}.scale" in tensors}
    return {
        name: tensor.astype(np.float32) * scaled[name].astype(np.float32)[:, None]
        if name in scaled
        else tensor.astype(np.float32)
        for name, tensor in tensors.items()
        if not name.endswith(".scale")
    }


def transpose(weight: Array) -> Array:
    return np.ascontiguousarray(weight.T)


def softmax(values: Array) -> Array:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def log_softmax_at(values: Array, rows: Array, columns: Array) -> Array:
    """The logarithm of `softmax(values)[rows, columns]`."""
    largest = values.max(axis=1, keepdims=True)
    total = largest[:, 0] + np.log(np.exp(values - largest).sum(axis=1))
    return values[rows, columns] - total[rows]
