"""Which part of the project may know which other, read from the imports themselves."""

import ast

import pytest
from support.places import ROOT

# Each part, and what it may import besides itself. Upwards only: nothing imports what stands below it in this list.
MAY_KNOW = {
    "pipeline": set(),
    "generator": {"pipeline"},
    "client": {"pipeline"},
    "backends/steps": {"pipeline", "backends/runtime"},
    "backends/runtime": {"pipeline"},
    "backends/engines": {"pipeline", "backends/runtime"},
    "backends/management": {"pipeline", "generator"},
    "talk": {"pipeline", "client", "backends/management"},
    "networks": {"pipeline", "generator", "backends/steps"},
    "benchmarks": {
        *("pipeline", "generator", "client", "talk", "networks"),
        *("backends/steps", "backends/runtime", "backends/engines", "backends/management"),
    },
}


def part_of(path):
    """The part that a module or folder belongs to, such as `backends/steps`; None for the commands in `convai`."""
    return next((part for part in MAY_KNOW if path == part or path.startswith(f"{part}/")), None)


def imported_paths(file):
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.startswith("convai."):
                yield name.removeprefix("convai.").replace(".", "/")


@pytest.mark.parametrize("part", MAY_KNOW)
def test_no_module_imports_upwards(part):
    files = list((ROOT / part).rglob("*.py"))
    assert files, f"{part} has moved"
    wrong = [
        f"{file.relative_to(ROOT)} imports {path}"
        for file in files
        for path in imported_paths(file)
        if part_of(path) not in {part, None, *MAY_KNOW[part]}
    ]
    assert wrong == []


@pytest.mark.parametrize("part", MAY_KNOW)
def test_nothing_imports_the_commands(part):
    wrong = [
        f"{file.relative_to(ROOT)} imports {path}"
        for file in (ROOT / part).rglob("*.py")
        for path in imported_paths(file)
        if path in ("__main__", "demo")
    ]
    assert wrong == []


def test_every_folder_of_modules_has_its_layer():
    folders = [link.name for link in (ROOT / "convai").iterdir() if link.is_symlink()]
    code = [folder for folder in folders if folder not in ("model_repository", "weights")]  # data of the package
    modules = [file.relative_to(ROOT).as_posix() for folder in code for file in (ROOT / folder).rglob("*.py")]
    assert len(modules) > 100
    assert [path for path in modules if part_of(path) is None and not path.endswith("__init__.py")] == []
