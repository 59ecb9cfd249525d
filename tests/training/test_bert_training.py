import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from convai.backends.steps.qa_tokenizer import load_tokenizer, make_windows, split_pieces
from convai.networks.bert.config import BertConfig
from convai.networks.bert.data import Corpus, QuestionForms, collate
from convai.networks.bert.model import Bert
from convai.networks.bert.train import Trainer, TrainingConfig, draw_block, main, question_order, span_loss

COLOURS = {"sky": "blue", "grass": "green", "snow": "white", "coal": "black", "blood": "red", "sun": "yellow"}
FILLER = "and every child knows that the"
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *sorted({*COLOURS, *COLOURS.values(), *FILLER.split(), *"what colour is ?".split()}),
]
PLAIN = QuestionForms(misheard_share=0, written_share=0, unanswerable_share=0)


@pytest.fixture
def data(tmp_path):
    """A folder with questions about colours, and a tiny encoder of random weights."""
    articles = [{"paragraphs": [paragraph(thing, colour)]} for thing, colour in COLOURS.items()]
    (tmp_path / "squad.json").write_text(json.dumps({"data": articles}))
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    config = {"vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config |= {"intermediate_size": 32, "max_position_embeddings": 400, "model_type": "bert"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    del config["model_type"]
    published = {
        name.removeprefix("bert.").replace("dense_act", "dense"): tensor
        for name, tensor in Bert(BertConfig(**config)).state_dict().items()
        if name.startswith("bert.")
    }
    save_file(published, tmp_path / "model.safetensors")
    return tmp_path


def paragraph(thing: str, colour: str) -> dict:
    context = f"{FILLER} {thing} is {colour} {FILLER} {thing}"
    answer = {"text": colour, "answer_start": context.index(colour)}
    return {"context": context, "qas": [{"question": f"What colour is the {thing}?", "answers": [answer]}]}


def corpus_of(data) -> Corpus:
    return Corpus.load(data / "squad.json", data / "vocab.txt")


def arguments(data, minutes: float, *more: str) -> list[str]:
    paths = ["--squad", data / "squad.json", "--encoder", data, "--out", data / "out"]
    return [*map(str, paths), "--minutes", str(minutes), "--learning-rate", "0.01", "--batch-rows", "4", *more]


def test_a_run_of_seconds_learns_and_leaves_weights_that_load(data):
    assert main(arguments(data, 0.08)) == 0
    losses = [json.loads(line)["loss"] for line in (data / "out/log.jsonl").read_text().splitlines()]
    assert min(losses) < 0.5 * losses[0]
    weights = load_file(data / "out/bert.safetensors")
    assert weights["qa_outputs.weight"].shape == (2, 16)


def test_a_stopped_run_goes_on_where_its_checkpoint_was(data):
    main(arguments(data, 0.02))
    blocks = len((data / "out/log.jsonl").read_text().splitlines())
    main(arguments(data, 0.04, "--resume"))
    log = [json.loads(line) for line in (data / "out/log.jsonl").read_text().splitlines()]
    assert [line["block"] for line in log] == list(range(1, len(log) + 1)) and len(log) > blocks
    assert 1.2 <= log[blocks]["seconds"] and log[-1]["progress"] == 1


def test_a_checkpoint_brings_back_network_and_optimiser(data):
    config = TrainingConfig(batch_rows=2, block_batches=2)
    sizes = BertConfig(vocab_size=len(WORDS), hidden_size=16, num_attention_heads=2, intermediate_size=32)
    first, second = (Trainer(config, Bert(sizes), corpus_of(data), data) for _ in range(2))
    first.train_block()
    first.save()
    second.resume()
    assert (second.block, second.seconds) == (first.block, first.seconds)
    for one, other in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(one, other)
        assert torch.equal(first.optimiser.state[one]["exp_avg"], second.optimiser.state[other]["exp_avg"])


def test_an_encoder_that_lacks_weights_is_refused_by_name(data, capsys):
    weights = load_file(data / "model.safetensors")
    del weights["encoder.layer.0.output.dense.bias"]
    save_file(weights, data / "model.safetensors")
    assert main(arguments(data, 0.01)) == 1
    assert "encoder.layer.0.output.dense.bias" in capsys.readouterr().err


def test_a_whole_window_is_the_one_that_serving_makes(data):
    corpus, tokenizer = corpus_of(data), load_tokenizer(str(data / "vocab.txt"))
    window = corpus.draw(0, 384, PLAIN, np.random.default_rng(0))
    asked = split_pieces(tokenizer, "what colour is the sky")
    served = make_windows(tokenizer, asked, corpus.passages[0].pieces, window_tokens=384, doc_stride=128)
    assert window.ids.tolist() == served.input_ids[0].tolist()
    assert collate([window]).token_type_ids[0].tolist() == served.token_type_ids.tolist()
    assert tokenizer.id_to_token(window.ids[window.start]) == "blue"


@pytest.mark.parametrize("seed", range(20))
def test_a_crop_always_holds_the_answer(data, seed):
    corpus = corpus_of(data)
    window = corpus.draw(seed % len(COLOURS), 14, PLAIN, np.random.default_rng(seed))
    answer = corpus.tokenizer.id_to_token(window.ids[window.start])
    assert len(window.ids) <= 14 and answer in COLOURS.values()
    assert window.start == window.end


def test_a_mismatched_pair_points_at_cls_and_does_not_hold_the_answer(data):
    corpus, forms = corpus_of(data), QuestionForms(unanswerable_share=1)
    for seed in range(10):
        window = corpus.draw(0, 384, forms, np.random.default_rng(seed))
        assert (window.start, window.end) == (0, 0)
        assert corpus.tokenizer.token_to_id("blue") not in window.ids


def test_loss_looks_at_the_context_and_cls_only(data):
    batch = draw_block(corpus_of(data), TrainingConfig(batch_rows=2, block_batches=1, forms=PLAIN), 0, 1.0)[0]
    logits = torch.zeros(batch.input_ids.shape)
    with_noise = logits.masked_fill(~batch.allowed[:, None], 50.0)
    assert torch.equal(span_loss(logits, logits, batch), span_loss(with_noise, with_noise, batch))


def test_every_epoch_sees_every_question_once():
    order = question_order(7, 0, 14, seed=0)
    assert sorted(order[:7]) == sorted(order[7:]) == list(range(7))
    assert question_order(7, 5, 4, seed=0) == order[5:9]


def test_learning_rate_rises_and_ends_at_zero():
    config = TrainingConfig(peak_learning_rate=1.0, warmup_share=0.1)
    assert config.learning_rate(0) < 0.1 and config.learning_rate(0.1) == 1 and config.learning_rate(1) == 0


@pytest.mark.parametrize(("name", "value"), [("minutes", 0), ("batch_rows", 0), ("warmup_share", 1.5)])
def test_a_wrong_setting_is_refused_with_its_rule(name, value):
    with pytest.raises(ValueError, match=f"{name} must be .* got {value}"):
        TrainingConfig(**{name: value})
