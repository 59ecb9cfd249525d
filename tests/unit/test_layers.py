"""Which part of the project may import which other, read from the imports themselves."""

import ast

import pytest
from support.places import ROOT

SHARED = ("convai/errors", "convai/program", "convai/package_data", "convai/arrays", "convai/tables")
DESCRIBED = {*SHARED, "convai/description", "convai/audio", "convai/text"}
COMMANDS = ("convai/__main__", "convai/demo", "convai/init")
# Each part, and what it may import besides itself.
MAY_IMPORT = {
    **dict.fromkeys(SHARED, SHARED),
    "convai/description": SHARED,
    "convai/audio": {*SHARED, "convai/description"},
    "convai/text": {*SHARED, "convai/description"},
    "convai/generator": DESCRIBED,
    "convai/client": DESCRIBED,
    "convai/backends/runtime": DESCRIBED,
    "convai/backends/steps": {*DESCRIBED, "convai/backends/runtime"},
    "convai/backends/engines": {*DESCRIBED, "convai/backends/runtime"},
    "convai/backends/management": {*DESCRIBED, "convai/generator"},
    "convai/networks": {*DESCRIBED, "convai/generator", "convai/backends/steps"},
    "convai/talk": {*DESCRIBED, "convai/client", "convai/backends/management"},
}
PRODUCT = {*MAY_IMPORT, *COMMANDS}
MAY_IMPORT |= {"training": PRODUCT - {*COMMANDS}, "benchmarks": {*PRODUCT, "training"} - {*COMMANDS}}
MAY_IMPORT |= dict.fromkeys(COMMANDS, PRODUCT)


def part_of(path):
    """The part that a module belongs to, such as `convai/backends/steps`."""
    return next((part for part in MAY_IMPORT if path == part or path.startswith(f"{part}/")), None)


def modules():
    """Every module of the project but the tests: path without suffix, file."""
    for folder in ("convai", "training", "benchmarks"):
        for file in (ROOT / folder).rglob("*.py"):
            yield file.relative_to(ROOT).with_suffix("").as_posix(), file


def imported_paths(file):
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (
            name.replace(".", "/") for name in names if name.split(".")[0] in ("convai", "training", "benchmarks")
        )


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_no_module_imports_upwards(part):
    files = {path: file for path, file in modules() if part_of(path) == part}
    assert files, f"{part} has moved"
    wrong = [
        f"{path} imports {imported}"
        for path, file in files.items()
        for imported in imported_paths(file)
        if part_of(imported) not in {part, None, *MAY_IMPORT[part]}
    ]
    assert wrong == []


def test_every_module_belongs_to_a_layer():
    assert [path for path, _ in modules() if part_of(path) is None and not path.endswith("__init__")] == []
