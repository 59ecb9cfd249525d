import os
import sys
from types import ModuleType

import pytest
import torch

from convai.errors import InvalidArgument
from convai.networks.checkpoints.pickled_module import read_pickled_module

BOTH_FORMATS = pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "before 2020"])


class WaveGlow(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.upsample = torch.nn.ConvTranspose1d(2, 2, 8, stride=4)
        self.layers = torch.nn.ModuleList([torch.nn.utils.weight_norm(torch.nn.Conv1d(2, 3, 1))])
        self.register_buffer("scale", torch.tensor([2.0]).half())


@pytest.fixture
def glow(monkeypatch):
    """Pickled as glow.WaveGlow, of a package that the reader does not have."""
    package = ModuleType("glow")
    package.WaveGlow = WaveGlow
    monkeypatch.setattr(WaveGlow, "__module__", "glow")
    monkeypatch.setitem(sys.modules, "glow", package)
    return WaveGlow()


def save(content, path, is_zip=True):
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    sys.modules.pop("glow", None)
    return path


class Malicious:
    """Unpickled, it calls any function with any argument."""

    def __init__(self, function, argument):
        self.call = function, (argument,)

    def __reduce__(self):
        return self.call


@BOTH_FORMATS
def test_the_tensors_of_a_pickled_module_are_read_without_its_class(glow, tmp_path, is_zip):
    expected = glow.state_dict()
    content = {"model": glow, "iteration": 7, "optimizer": {"step": torch.ones(1)}}
    read = read_pickled_module(save(content, tmp_path / "glow.pt", is_zip))
    assert read["iteration"] == 7
    assert read["model"].keys() == expected.keys()
    for name, tensor in expected.items():
        assert read["model"][name].dtype == tensor.dtype
        assert torch.equal(read["model"][name], tensor)


def test_a_bare_module_is_read_as_the_model(glow, tmp_path):
    assert "upsample.weight" in read_pickled_module(save(glow, tmp_path / "glow.pt"))["model"]


@BOTH_FORMATS
@pytest.mark.parametrize("function", [os.system, eval, torch.load, getattr])
def test_a_malicious_pickle_is_refused_and_does_not_run(tmp_path, is_zip, function):
    trace = tmp_path / "trace"
    argument = f"touch {trace}" if function is os.system else f"open({str(trace)!r}, 'w')"
    path = save({"model": Malicious(function, argument)}, tmp_path / "glow.pt", is_zip)
    with pytest.raises(InvalidArgument, match=f"names .*{function.__name__}"):
        read_pickled_module(path)
    assert not trace.exists()


def test_a_name_inside_a_known_package_leads_nowhere_else(tmp_path):
    trace = tmp_path / "trace"
    stream = b"\x80\x04ctorch.nn.modules\nos.system\n(S'touch " + str(trace).encode() + b"'\ntR."
    (tmp_path / "raw.pkl").write_bytes(stream)
    with pytest.raises(InvalidArgument):
        read_pickled_module(tmp_path / "raw.pkl")
    assert not trace.exists()


def test_a_pickle_cannot_alter_what_rebuilds_tensors(tmp_path):
    stream = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(N}(U\x08__name__U\x05otherutb."
    (tmp_path / "raw.pkl").write_bytes(stream)
    with pytest.raises(InvalidArgument):
        read_pickled_module(tmp_path / "raw.pkl")
    assert torch._utils._rebuild_tensor_v2.__name__ == "_rebuild_tensor_v2"


def test_a_file_without_a_module_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="expected tensors or a pickled module"):
        read_pickled_module(save({"state_dict": {}}, tmp_path / "plain.pt"))
