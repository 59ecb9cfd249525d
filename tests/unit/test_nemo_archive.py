"""A `.nemo` file that could do more than hold a network is refused, with a sentence."""

import gzip
import io
import os
import tarfile
import zipfile

import pytest
import torch
import yaml
from support.nemo_archives import store, store_members

from convai.errors import InvalidArgument
from convai.networks.checkpoints.nemo_archive import read_archive

CONFIG, WEIGHTS = "./model_config.yaml", "./model_weights.ckpt"
TENSORS = {"encoder.weight": torch.arange(6.0).reshape(2, 3), "steps": torch.tensor(3)}


def save(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


MEMBERS = {CONFIG: b"target: a.B\n", WEIGHTS: save(TENSORS)}


class Malicious:
    """Unpickled, it runs a command."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch {self.trace}",)


def assert_refused(path, match):
    with pytest.raises(InvalidArgument, match=match):
        read_archive(path)


@pytest.mark.parametrize("mode", ["w:", "w:gz"])
def test_configuration_and_tensors_are_read(tmp_path, mode):
    archive = read_archive(store(tmp_path / "any.nemo", {"target": "a.B", "nemo_version": "1.0.2"}, TENSORS, mode))
    assert archive.config["target"] == "a.B" and archive.toolkit == "NVIDIA NeMo 1.0.2"
    assert archive.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(archive.tensors[key], tensor) for key, tensor in TENSORS.items())


def test_the_model_part_of_a_training_configuration_is_read(tmp_path):
    assert read_archive(store(tmp_path / "any.nemo", {"model": {"target": "a.B"}}, TENSORS)).config["target"] == "a.B"


def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path):
    content = save({"encoder.weight": Malicious(tmp_path / "trace")})
    path = store_members(tmp_path / "any.nemo", MEMBERS | {WEIGHTS: content})
    assert_refused(path, "model_weights.ckpt: expected tensors, got posix.system")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system ['touch TRACE']", "!!python/name:os.system", "!other 1"]
)
def test_a_yaml_tag_that_makes_objects_is_refused_and_runs_nothing(tmp_path, tag):
    config = f"target: {tag.replace('TRACE', str(tmp_path / 'trace'))}\n".encode()
    path = store_members(tmp_path / "any.nemo", MEMBERS | {CONFIG: config})
    assert_refused(path, "model_config.yaml is not plain YAML")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("name", ["../outside.yaml", "./a/../../outside.yaml", "/../etc/cron.d/outside"])
def test_a_name_outside_the_archive_is_refused(tmp_path, name):
    assert_refused(store_members(tmp_path / "any.nemo", MEMBERS | {name: b""}), "must be plain files inside it")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_special_files_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "any.nemo", "w:") as tar:
        member = tarfile.TarInfo(WEIGHTS)
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    assert_refused(tmp_path / "any.nemo", "must be plain files inside it|expected a file, got a folder or link")


def header(name, num_bytes, kind=tarfile.REGTYPE):
    member = tarfile.TarInfo(name)
    member.size, member.type = num_bytes, kind
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header(WEIGHTS, 2**40), "got model_weights.ckpt of 1,099,511,627,776 bytes"),
        (header("other", -(2**40)) + header(WEIGHTS, 2**40), "got other of -1,099,511,627,776 bytes"),
        (header("x", 2**33, tarfile.XHDTYPE) + bytes(2**12), "expected headers of at most"),
        (header("x", 2**33, tarfile.GNUTYPE_LONGNAME) + bytes(2**12), "expected headers of at most"),
    ],
)
def test_a_forged_size_is_refused_before_anything_of_that_size_is_read(tmp_path, content, message):
    (tmp_path / "any.nemo").write_bytes(gzip.compress(content))
    assert_refused(tmp_path / "any.nemo", message)


def zip_bomb():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2**20))
    return file.getvalue()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({f"./{i}": b"" for i in range(1_001)}, "expected at most 1,000 members"),
        (MEMBERS | {"model_config.yaml": b"a: 1"}, "each once"),
        (MEMBERS | {WEIGHTS: zip_bomb()}, r"of [\d,]+ bytes unpacks to 1,048,576"),
        (MEMBERS | {CONFIG: yaml.safe_dump({"labels": ["x" * 1000] * 1100}).encode()}, "at most 1,048,576 bytes"),
        (MEMBERS | {CONFIG: b"[" * 20_000}, "is not plain YAML"),
        (MEMBERS | {WEIGHTS: save([torch.zeros(1)])}, "expected tensors by name"),
        (MEMBERS | {WEIGHTS: save({"a": {"b": torch.zeros(1)}})}, "expected tensors by name"),
        (MEMBERS | {WEIGHTS: b"no pickle"}, "is not a state dict|expected tensors, got"),
        ({}, "lacks model_config.yaml and model_weights.ckpt"),
    ],
    ids=["members", "twice", "zip bomb", "long", "nested", "list", "nested tensors", "no pickle", "empty"],
)
def test_members_that_are_not_those_of_a_network_are_refused(tmp_path, members, message):
    assert_refused(store_members(tmp_path / "any.nemo", members), message)


def test_a_file_that_is_not_an_archive_is_refused(tmp_path):
    (tmp_path / "any.nemo").write_bytes(save(TENSORS))
    assert_refused(tmp_path / "any.nemo", "is not a NeMo archive")
