"""A `.nemo` file that wants more than to be read is refused, with a sentence."""

import gzip
import io
import os
import tarfile
import zipfile

import pytest
import torch
import yaml
from support.nemo_archives import store, store_members

from convai.networks.checkpoints.nemo_archive import read_archive

CONFIG, WEIGHTS = "./model_config.yaml", "./model_weights.ckpt"
TENSORS = {"encoder.weight": torch.arange(6.0).reshape(2, 3), "steps": torch.tensor(3)}


def saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


MEMBERS = {CONFIG: b"target: a.B\n", WEIGHTS: saved(TENSORS)}


class Malicious:
    """Unpickled, it runs a command."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch {self.trace}",)


def refused(path, match):
    with pytest.raises(ValueError, match=match):
        read_archive(path)


@pytest.mark.parametrize("mode", ["w:", "w:gz"])
def test_configuration_and_tensors_are_read(tmp_path, mode):
    archive = read_archive(store(tmp_path / "any.nemo", {"target": "a.B", "nemo_version": "1.0.2"}, TENSORS, mode))
    assert archive.config["target"] == "a.B" and archive.toolkit == "NVIDIA NeMo 1.0.2"
    assert archive.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(archive.tensors[key], tensor) for key, tensor in TENSORS.items())


def test_the_model_part_of_a_whole_trainings_configuration_counts(tmp_path):
    assert read_archive(store(tmp_path / "any.nemo", {"model": {"target": "a.B"}}, TENSORS)).config["target"] == "a.B"


def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path):
    content = saved({"encoder.weight": Malicious(tmp_path / "trace")})
    refused(
        store_members(tmp_path / "any.nemo", MEMBERS | {WEIGHTS: content}),
        r"model_weights.ckpt names posix.system; allowed are tensors",
    )
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"a": {"b": torch.zeros(1)}}, {"a": "text"}])
def test_more_than_a_state_dict_is_refused(tmp_path, content):
    refused(store_members(tmp_path / "any.nemo", MEMBERS | {WEIGHTS: saved(content)}), "allowed are tensors by name")


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system ['touch TRACE']", "!!python/name:os.system", "!other 1"]
)
def test_a_tag_of_yaml_that_makes_objects_is_refused_and_runs_nothing(tmp_path, tag):
    config = f"target: {tag.replace('TRACE', str(tmp_path / 'trace'))}\n".encode()
    refused(store_members(tmp_path / "any.nemo", MEMBERS | {CONFIG: config}), "model_config.yaml is no plain YAML")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("name", ["../outside.yaml", "./a/../../outside.yaml", "/etc/cron.d/outside"])
def test_a_name_outside_the_archive_is_refused(tmp_path, name):
    refused(store_members(tmp_path / "any.nemo", MEMBERS | {name: b""}), "allowed are names inside the archive")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_special_files_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "any.nemo", "w:") as tar:
        member = tarfile.TarInfo(WEIGHTS)
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    refused(tmp_path / "any.nemo", "a link or a special file; allowed are files and folders")


def header(name, num_bytes, kind=tarfile.REGTYPE):
    member = tarfile.TarInfo(name)
    member.size, member.type = num_bytes, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def test_a_huge_member_is_refused_before_it_is_read(tmp_path):
    (tmp_path / "any.nemo").write_bytes(gzip.compress(header(WEIGHTS, 2**40)))
    refused(tmp_path / "any.nemo", "goes on with model_weights.ckpt, of 1,099,511,627,776 bytes; allowed are")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_huge_header_is_refused_before_it_is_read(tmp_path, kind):
    (tmp_path / "any.nemo").write_bytes(gzip.compress(header("x", 2**33, kind) + bytes(2**12)))
    refused(tmp_path / "any.nemo", "one of its headers claims")


def test_more_members_than_a_network_has_are_refused(tmp_path):
    refused(store_members(tmp_path / "any.nemo", {f"./{i}": b"" for i in range(1_001)}), "allowed are 1,000 members")


def test_a_member_that_is_there_twice_is_refused(tmp_path):
    refused(store_members(tmp_path / "any.nemo", MEMBERS | {"model_config.yaml": b"a: 1"}), "each once")


def test_weights_that_grow_when_unpacked_are_refused(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2**20))
    path = store_members(tmp_path / "any.nemo", MEMBERS | {WEIGHTS: file.getvalue()})
    refused(path, r"of [\d,]+ bytes unpacks to 1,048,576")


def test_a_long_configuration_is_refused(tmp_path):
    config = yaml.safe_dump({"labels": ["x" * 1000] * 1100}).encode()
    refused(store_members(tmp_path / "any.nemo", MEMBERS | {CONFIG: config}), "allowed are 1,048,576")


def test_a_configuration_that_nests_without_end_is_refused(tmp_path):
    refused(store_members(tmp_path / "any.nemo", MEMBERS | {CONFIG: b"[" * 20_000}), "is no plain YAML")


def test_what_is_no_archive_or_lacks_a_part_is_refused(tmp_path):
    (tmp_path / "any.nemo").write_bytes(saved(TENSORS))
    refused(tmp_path / "any.nemo", "is no archive of NeMo")
    refused(store_members(tmp_path / "empty.nemo", {}), "holds no model_config.yaml and no model_weights.ckpt")
    refused(store_members(tmp_path / "broken.nemo", MEMBERS | {WEIGHTS: b"no pickle"}), "is no state dict|names")
