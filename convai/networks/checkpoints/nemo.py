"""Reads a network that NVIDIA NeMo stored, finding out from its configuration which one it is.

Each network's `nemo.py` has `read(archive) -> Reading`, which takes what the network here can do and refuses the rest.
"""

from importlib import import_module
from pathlib import Path

from convai.errors import InvalidArgument
from convai.networks.checkpoints.nemo_archive import read_archive
from convai.networks.checkpoints.renames import Reading

SUFFIX = ".nemo"
NETWORK_OF = {"EncDecCTCModel": "jasper", "Tacotron2Model": "tacotron2", "WaveGlowModel": "waveglow"}


def read_nemo(path: Path) -> tuple[str, Reading]:
    """The network's name, and what its archive holds.

    Raises InvalidArgument, with the option and its value, if the file holds a network that works otherwise than ours.
    """
    archive = read_archive(path)
    target = str(archive.config.get("target", "")).rpartition(".")[2]
    if target not in NETWORK_OF:
        raise InvalidArgument(f"{path} holds {target or 'an unnamed network'}; allowed are {', '.join(NETWORK_OF)}")
    name = NETWORK_OF[target]
    try:
        return name, import_module(f"convai.networks.{name}.nemo").read(archive)
    except InvalidArgument as error:
        raise InvalidArgument(f"{path} ({target} of NeMo) cannot be used: {error}") from error
