import re
import sys

import numpy as np
import pytest
import tritonclient.grpc as triton
from support.triton_requests import infer

from convai.__main__ import main
from convai.backends.management.launcher import Server
from convai.backends.management.repository import models_of
from convai.generator.check import parse
from convai.generator.profiles import PROFILES
from convai.generator.render import render, write
from convai.networks.export.formats import FORMATS

ROWS = np.array([[4, 1, 0], [0, -1, -2], [1, 1, 1]], np.float32)


def deploy(repository, module, to, *options, name="model", **arrays):
    """Run the command and return its status; every keyword is an array of the example file."""
    example = repository.parent / f"{name}.npz"
    np.savez(example, **(arrays or {"x": ROWS}))
    command = ["deploy", "--module", module, "--to", to, "--name", name, "--model-repository", str(repository)]
    return main([*command, "--inputs", str(example), *map(str, options)])


def networks(name):
    return f"support.deployable_networks:{name}"


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    return folder


@pytest.fixture
def refusal(repository, capfd):
    """A function that deploys what must be refused, and returns the one line of the error."""

    def deploy_and_return_error(module, to="torchscript-trace", *options, **arrays):
        capfd.readouterr()
        before = sorted(repository.rglob("*"))
        assert deploy(repository, module, to, *options, **arrays) == 1
        assert sorted(repository.rglob("*")) == before
        out, err = capfd.readouterr()
        assert not out and err.count("\n") == 1 and err.startswith("convai deploy: ")
        return err

    return deploy_and_return_error


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """The pipeline's repository (without its networks) with a scripted, a traced and an ONNX model."""
    repository = tmp_path_factory.mktemp("deployed") / "repository"
    write(render(), repository)
    longer = repository.parent / "longer.npz"
    np.savez(longer, x=np.arange(10, dtype=np.float32).reshape(2, 5))
    indices = {"index": np.array([[0, 3], [1, 2]], ">i8"), "mask": np.array([[1, 1], [0, 1]], np.float32)}
    halver = ("--outputs", "halved", "count", "--inputs", repository.parent / "halver.npz", longer)
    assert deploy(repository, networks("Halver"), "torchscript-script", *halver, name="halver") == 0
    assert deploy(repository, networks("fixed_scorer"), "torchscript-trace", name="scorer") == 0
    assert deploy(repository, networks("Lookup"), "onnx", "--max-batch-size", 1, name="lookup", **indices) == 0
    return repository


@pytest.fixture(scope="module")
def client(deployed):
    with (
        Server(deployed, models=["halver", "scorer", "lookup"]) as server,
        triton.InferenceServerClient(server.grpc_address) as client,
    ):
        yield client


def test_a_scripted_model_keeps_its_loop_in_the_server(client):
    outputs = infer(client, "halver", x=np.array([[4, 1, 0, 0], [40, -1, 0, 0]], np.float32))

    assert outputs["halved__0"].tolist() == [[1, 0.25, 0, 0], [0.625, -0.015625, 0, 0]]
    assert outputs["count__1"].tolist() == [[2], [6]]


def test_a_traced_and_an_onnx_model_run_in_the_server(client):
    outputs = infer(client, "scorer", x=np.array([[1, 2, 3], [-1, 0, 0]], np.float32))

    assert outputs["score__0"].tolist() == [[12], [-2]]
    assert outputs["is_positive__1"].tolist() == [[True], [False]]
    outputs = infer(client, "lookup", index=np.array([3, 2]), mask=np.array([1, 0], np.float32))
    assert outputs["output"].tolist() == [[30, 0]]


def test_an_axis_is_variable_if_the_example_files_differ_in_it(deployed):
    assert parse(deployed / "halver" / "config.pbtxt").input[0].dims == [-1]
    assert parse(deployed / "scorer" / "config.pbtxt").input[0].dims == [3]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_deployed_model_has_a_configuration_for_every_profile_and_its_device(deployed, profile):
    assert {"halver", "scorer", "lookup"} <= set(models_of(deployed, profile.name))
    (group,) = parse(deployed / "halver" / profile.config_file).instance_group
    assert group.Kind.Name(group.kind) == profile.target.kind


def test_the_repositorys_check_passes_with_deployed_models_beside_the_pipeline(deployed, capsys):
    assert main(["generate", "--check", "--profile", "all", "--model-repository", str(deployed)]) == 0
    assert capsys.readouterr().out.count("wiring correct; other models: halver, lookup, scorer") == len(PROFILES)


def test_a_deployed_file_records_where_it_came_from_and_its_parity(deployed):
    record = FORMATS["onnx"].read_record(deployed / "lookup" / "1" / "model.onnx")

    assert record["module"] == networks("Lookup")
    assert record["parity"] == {"largest_difference": 0.0, "tolerance": 1e-4}


def test_a_trace_that_lost_a_branch_is_refused_with_the_row_and_the_line(refusal):
    error = refusal(networks("Brancher"))

    assert "differs from the network by 2.0e+00 on row 1 of model.npz alone" in error
    assert "at deployable_networks.py, line " in error
    assert "--to torchscript-script" in error


def test_a_trace_that_may_have_lost_a_branch_is_refused_unless_allowed(repository, refusal):
    assert "--allow-fixed-branches" in refusal(networks("Brancher"), x=np.abs(ROWS))
    assert deploy(repository, networks("Brancher"), "torchscript-trace", "--allow-fixed-branches", x=np.abs(ROWS)) == 0


def test_a_trace_that_works_at_one_batch_size_only_is_refused(refusal):
    assert "fails on row 0 of model.npz alone" in refusal(networks("BakedBatch"), "torchscript-trace")


def test_requests_are_batched_unless_rows_influence_each_other(repository, deployed, capsys):
    assert deploy(repository, networks("BatchCentred"), "torchscript-trace") == 0

    assert "in the batch of 3 rows of model.npz, the outputs of row 0 change by " in capsys.readouterr().out
    assert not parse(repository / "model" / "config.pbtxt").HasField("dynamic_batching")
    assert parse(deployed / "halver" / "config.pbtxt").HasField("dynamic_batching")


def test_a_model_is_replaced_only_when_asked_and_its_tensors_are_printed_as_served(repository, refusal, capfd):
    assert deploy(repository, networks("fixed_scorer"), "torchscript-trace") == 0
    assert "exists; --replace" in refusal(networks("Halver"), "torchscript-script")
    assert deploy(repository, networks("Halver"), "torchscript-script", "--replace") == 0
    printed = re.findall(r"^output +(\S+)", capfd.readouterr().out, re.MULTILINE)
    assert printed == [tensor.name for tensor in parse(repository / "model" / "config.pbtxt").output]
    assert printed == ["output0__0", "output1__1"]
    assert [path.name for path in repository.iterdir()] == ["model"]


def test_a_factory_is_found_in_the_current_directory(repository, tmp_path, monkeypatch):
    (tmp_path / "my_own_network.py").write_text("from torch import nn\ndef build():\n    return nn.ReLU()\n")
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.chdir(tmp_path)
    assert deploy(repository, "my_own_network:build", "torchscript-trace", input=ROWS) == 0


@pytest.mark.parametrize(
    ("module", "to", "words"),
    [
        ("support.deployable_networks", "onnx", "expected package:factory"),
        ("no_such_module:build", "onnx", "no module named 'no_such_module'"),
        (networks("crashing"), "onnx", r"RuntimeError: no weights \(deployable_networks.py, line \d+\)"),
        ("builtins:dict", "onnx", "expected a torch.nn.Module, got a dict"),
        (networks("Multiplier"), "onnx", r"forward failed on row 0 .* cannot be multiplied .*_networks.py, line \d+\)"),
        (networks("Mapper"), "onnx", "expected a tensor or a tuple of tensors, got a dict"),
        (networks("Brancher"), "onnx", r"cannot be exported as onnx: .*data-dependent.*_networks.py, line \d+\)"),
    ],
)
def test_a_network_that_cannot_be_deployed_is_refused_in_one_line(refusal, module, to, words):
    assert re.search(words, refusal(module, to), re.IGNORECASE)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--max-batch-size", 0), "--max-batch-size: expected 1 to 65536, got 0"),
        (("--tolerance", "inf"), "--tolerance: expected a positive number, got inf"),
        (("--outputs", "a", "b"), "--outputs: expected 1 names, got 2 (a, b)"),
        (("--name", "jasper"), "jasper belongs to the pipeline"),
        (("--name", "../model"), "--name: expected letters"),
        (("--inputs", __file__), "is not a valid npz file"),
    ],
)
def test_an_invalid_option_is_refused_in_one_line(refusal, options, words):
    assert words in refusal(networks("Brancher"), "torchscript-trace", *options)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"y": ROWS}, "holds y, forward takes x"),
        ({"x": np.float32(1)}, "expected the batch axis first"),
        ({"x": ROWS[:, :0]}, "none empty, got x [3, 0]"),
        ({"x": ROWS[:, 0]}, "only a batch axis"),
        ({"x": np.array([[None]])}, "not a valid npz file of plain arrays"),
        ({"x": ROWS.astype(complex)}, "torch.complex128"),
    ],
)
def test_invalid_examples_are_refused_in_one_line(refusal, arrays, words):
    assert words in refusal(networks("BatchCentred"), "torchscript-trace", **arrays)
