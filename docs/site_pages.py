"""Add the pages outside docs/ to the site of `make docs`, and rewrite the links between pages for it."""

import re
from pathlib import Path
from posixpath import dirname, normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PLACES = {  # of a file outside docs/ on the site
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "training/README.md": "training.md",
    "benchmarks/speed/speed.png": "speed.png",
    **{f"weights/{card.name}": f"weights/{card.name}" for card in (ROOT / "weights").glob("*.md")},
}
MERMAID = re.compile(r"```mermaid\n.*?```", re.DOTALL)
DIAGRAM = "[![The pipeline](pipeline.svg)](pipeline.svg){ .drawing }"  # Mermaid would be loaded from another host
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for source, place in PLACES.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace the diagram by a picture, and the repository's links by those of the site."""
    place = page.file.src_uri
    if place == "index.md":
        page.meta["hide"] = ["toc"]  # leaves the diagram its width
    source = {place: source for source, place in PLACES.items()}.get(place, f"docs/{place}")

    def rewrite(link: re.Match[str]) -> str:
        target = normpath(f"{dirname(source)}/{link[1]}".lstrip("/"))
        return relpath(PLACES.get(target, target.removeprefix("docs/")), dirname(place) or ".")

    return MERMAID.sub(DIAGRAM, LINK.sub(rewrite, markdown))
