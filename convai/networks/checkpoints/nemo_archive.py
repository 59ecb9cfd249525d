"""Reads a `.nemo` file, the tar archive of a network of NVIDIA NeMo. Nothing is unpacked to disk, no code runs.

Two members are read, a configuration in YAML and a state dict; of other members only the headers.
"""

import gzip
import io
import pickle
import posixpath
import re
import shutil
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
MAX_MEMBERS = 1_000
MAX_BYTES = 4 * 2**30  # of all members, decompressed; Jasper 10x5 has 1.4 GB
MAX_CONFIG_BYTES = 2**20
MAX_READ_BYTES = 2**20
NOWHERE = "/nonexistent"  # the destination that members are checked against; nothing is written
GZIP_MAGIC = b"\x1f\x8b"  # NeMo before 1.7 compressed its archives


@dataclass(frozen=True)
class NemoArchive:
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    @property
    def toolkit(self) -> str:
        return f"NVIDIA NeMo {self.config.get('nemo_version', '')}".strip()


class BoundedFile(io.RawIOBase):
    """A file for `tarfile`, which reads as many bytes at once as a header claims; a forged one claims gigabytes."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile):
        self.file = file

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= MAX_READ_BYTES:
            raise InvalidArgument(f"expected headers of at most {MAX_READ_BYTES:,} bytes, got one of {size:,}")
        return self.file.read(size)


def read_archive(path: Path) -> NemoArchive:
    """Read configuration and tensors.

    Raises InvalidArgument if the file is not such an archive, or holds anything that could run code, be written
    elsewhere or fill the memory.
    """
    try:
        with open(path, "rb") as file, tempfile.TemporaryFile() as weights:
            is_compressed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            config = read_members(gzip.GzipFile(fileobj=file) if is_compressed else file, weights)
            return NemoArchive(config, read_tensors(weights))
    except InvalidArgument as error:
        raise InvalidArgument(f"{path} was refused: {error}") from error
    except tarfile.FilterError as error:
        raise InvalidArgument(f"{path} was refused, its members must be plain files inside it: {error}") from error
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error) as error:
        raise InvalidArgument(f"{path} is not a NeMo archive: {error}") from error


def read_members(file: IO[bytes] | gzip.GzipFile, weights: IO[bytes]) -> Mapping[str, Any]:
    """Check every member; return the configuration, and copy the state dict into the open file `weights`."""
    config, names, num_bytes = {}, set[str](), 0
    with tarfile.open(fileobj=BoundedFile(file), mode="r:") as tar:
        for member in tar:
            member = tarfile.data_filter(member, NOWHERE)
            name = posixpath.normpath(member.name)
            num_bytes += member.size
            if name in names or len(names) == MAX_MEMBERS or member.size < 0 or num_bytes > MAX_BYTES:
                raise InvalidArgument(
                    f"expected at most {MAX_MEMBERS:,} members, each once, of {MAX_BYTES:,} bytes in total, "
                    f"got {name} of {member.size:,} bytes after {len(names):,} members"
                )
            names.add(name)
            if name in (CONFIG_MEMBER, WEIGHTS_MEMBER):
                content = tar.extractfile(member) if member.isreg() else None
                if content is None:
                    raise InvalidArgument(f"{name}: expected a file, got a folder or link")
                if name == CONFIG_MEMBER:
                    config = read_config(content, member.size)
                else:
                    shutil.copyfileobj(content, weights, MAX_READ_BYTES)
    if missing := {CONFIG_MEMBER, WEIGHTS_MEMBER} - names:
        raise InvalidArgument(f"it lacks {' and '.join(sorted(missing))}")
    return config


def read_config(file: IO[bytes], num_bytes: int) -> Mapping[str, Any]:
    if num_bytes > MAX_CONFIG_BYTES:
        raise InvalidArgument(f"{CONFIG_MEMBER}: expected at most {MAX_CONFIG_BYTES:,} bytes, got {num_bytes:,}")
    try:
        config = yaml.safe_load(file.read(num_bytes))
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidArgument(f"{CONFIG_MEMBER} is not plain YAML: {error}") from error
    if isinstance(config, Mapping) and isinstance(config.get("model"), Mapping):
        config = config["model"]  # the configuration of a whole training run
    if not isinstance(config, Mapping):
        raise InvalidArgument(f"{CONFIG_MEMBER}: expected a table of options, got {type(config).__name__}")
    return config


def read_tensors(file: IO[bytes]) -> Mapping[str, Tensor]:
    """Read the state dict in a file written by torch.save."""
    check_zip(file)
    file.seek(0)
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        got = named[1] if named else "another file"
        raise InvalidArgument(f"{WEIGHTS_MEMBER}: expected tensors, got {got}") from error
    except Exception as error:  # damaged bytes raise errors of any class
        raise InvalidArgument(f"{WEIGHTS_MEMBER} is not a state dict: {type(error).__name__}") from error
    if not isinstance(tensors, Mapping) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise InvalidArgument(f"{WEIGHTS_MEMBER}: expected tensors by name, got more than those")
    return dict(tensors)


def check_zip(file: IO[bytes]) -> None:
    """Refuse a zip that grows when unpacked: torch.save compresses nothing."""
    num_bytes = file.seek(0, 2)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > num_bytes:
            raise InvalidArgument(f"{WEIGHTS_MEMBER} of {num_bytes:,} bytes unpacks to {unpacked:,}")
