"""Reads a `.nemo` file, the tar archive that NVIDIA NeMo keeps a network in, without unpacking or running any of it.

Two members count, a configuration in YAML and a state dict; of others, such as dictionaries, only the names are read.
"""

import gzip
import io
import pickle
import posixpath
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
import yaml
from torch import Tensor

from convai.errors import InvalidArgument

CONFIG_MEMBER, WEIGHTS_MEMBER = "model_config.yaml", "model_weights.ckpt"
MOST_MEMBERS = 1_000
MOST_BYTES = 4 * 2**30  # of all members together, once decompressed; Jasper 10x5 has 1.4 GB
MOST_CONFIG_BYTES = 2**20
MOST_BYTES_AT_ONCE = 2**20
GZIP_MAGIC = b"\x1f\x8b"  # NeMo before 1.7 compressed its archives


@dataclass(frozen=True)
class NemoArchive:
    path: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    @property
    def toolkit(self) -> str:
        return f"NVIDIA NeMo {self.config.get('nemo_version', '')}".strip()


class CautiousFile(io.RawIOBase):
    """A file for `tarfile` that is never read in pieces so large as only the length in a forged header asks for."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile):
        self.file = file

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= MOST_BYTES_AT_ONCE:
            raise InvalidArgument(f"one of its headers claims {size:,} bytes; allowed are {MOST_BYTES_AT_ONCE:,}")
        return self.file.read(size)


def read_archive(path: Path) -> NemoArchive:
    """Read configuration and tensors.

    Raises InvalidArgument if the file is no such archive, or holds anything that could run code, be written elsewhere or
    fill the memory.
    """
    try:
        with open(path, "rb") as file, tempfile.TemporaryFile() as weights:
            is_compressed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            config = read_members(gzip.GzipFile(fileobj=file) if is_compressed else file, weights)
            return NemoArchive(path, config, read_tensors(weights))
    except InvalidArgument as error:
        raise InvalidArgument(f"{path} was refused: {error}") from error
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error) as error:
        raise InvalidArgument(f"{path} is no archive of NeMo: {error}") from error


def read_members(file: IO[bytes] | gzip.GzipFile, weights: IO[bytes]) -> Mapping[str, Any]:
    """Look at every member; return the configuration and copy the state dict into the open file `weights`."""
    config, names, num_bytes = {}, set[str](), 0
    with tarfile.open(fileobj=CautiousFile(file), mode="r:") as tar:
        for member in tar:
            check_member(member)
            name = posixpath.normpath(member.name)
            num_bytes += member.size
            if name in names or len(names) == MOST_MEMBERS or num_bytes > MOST_BYTES:
                rule = f"allowed are {MOST_MEMBERS:,} members, each once, of {MOST_BYTES:,} bytes together"
                raise InvalidArgument(f"it goes on with {name}, of {member.size:,} bytes; {rule}")
            names.add(name)
            if name == CONFIG_MEMBER:
                config = read_config(opened(tar, member), member.size)
            elif name == WEIGHTS_MEMBER:
                copy(opened(tar, member), weights)
    if missing := {CONFIG_MEMBER, WEIGHTS_MEMBER} - names:
        raise InvalidArgument(f"it holds no {' and no '.join(sorted(missing))}")
    return config


def check_member(member: tarfile.TarInfo) -> None:
    if posixpath.isabs(member.name) or ".." in member.name.split("/"):
        raise InvalidArgument(f"it holds {member.name!r}; allowed are names inside the archive")
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise InvalidArgument(f"it holds {member.name!r}, a link or a special file; allowed are files and folders")
    if member.size < 0:
        raise InvalidArgument(f"it holds {member.name!r} of {member.size:,} bytes")


def opened(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(member)
    if file is None:
        raise InvalidArgument(f"its {member.name} is a folder; allowed is a file")
    return file


def copy(source: IO[bytes], target: IO[bytes]) -> None:
    while block := source.read(MOST_BYTES_AT_ONCE):
        target.write(block)


def read_config(file: IO[bytes], num_bytes: int) -> Mapping[str, Any]:
    if num_bytes > MOST_CONFIG_BYTES:
        raise InvalidArgument(f"its {CONFIG_MEMBER} has {num_bytes:,} bytes; allowed are {MOST_CONFIG_BYTES:,}")
    try:
        config = yaml.safe_load(file.read(num_bytes))
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidArgument(f"its {CONFIG_MEMBER} is no plain YAML: {error}") from error
    if isinstance(config, Mapping) and isinstance(config.get("model"), Mapping):
        config = config["model"]  # the configuration of a whole training
    if not isinstance(config, Mapping):
        raise InvalidArgument(f"its {CONFIG_MEMBER} holds no table of options")
    return config


def read_tensors(file: IO[bytes]) -> Mapping[str, Tensor]:
    """The state dict in a file written by torch.save."""
    check_zip(file)
    file.seek(0)
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = f"names {named[1]}" if named else "is no state dict"
        raise InvalidArgument(f"its {WEIGHTS_MEMBER} {what}; allowed are tensors") from error
    except Exception as error:  # bytes that are no state dict raise whatever they are taken for
        raise InvalidArgument(f"its {WEIGHTS_MEMBER} is no state dict: {type(error).__name__}") from error
    if not isinstance(tensors, Mapping) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise InvalidArgument(f"its {WEIGHTS_MEMBER} holds more than a state dict; allowed are tensors by name")
    return dict(tensors)


def check_zip(file: IO[bytes]) -> None:
    """torch.save compresses nothing, so what grows while it is read was not written by it."""
    num_bytes = file.seek(0, 2)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > num_bytes:
            raise InvalidArgument(f"its {WEIGHTS_MEMBER} of {num_bytes:,} bytes unpacks to {unpacked:,}")
