"""Makes the site of `make docs` out of more than this folder: README, guide, changes and cards become pages too.

Links are written as the repository's own host follows them; here those between pages are turned into the site's.
"""

import re
from pathlib import Path
from posixpath import dirname, normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
ELSEWHERE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
ELSEWHERE |= {f"weights/{card.name}": f"weights/{card.name}" for card in sorted((ROOT / "weights").glob("*.md"))}
PICTURES = {"benchmarks/speed/speed.png": "speed.png"}
ORDER = ["index", "talk", "streaming", "architecture", "operating", "many-servers", "kubernetes", "capacity"]
ORDER += ["plain-triton", "nvidia", "recognisers", "quality", "speed"]
ORDER += ["adding-a-step", "deploying", "contributing", "changelog"]

MERMAID = re.compile(r"```mermaid\n.*?```", re.DOTALL)
DRAWING = "[![The pipeline](pipeline.svg)](pipeline.svg){ .drawing }"  # Mermaid would be loaded from elsewhere
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside this folder, and list the pages: known ones in reading order, then any other."""
    for source, place in (ELSEWHERE | PICTURES).items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    pages = [file.src_uri for file in files.documentation_pages()]
    cards = [page for page in pages if page.startswith("weights/")]
    ordered = sorted(set(pages) - set(cards), key=reading_order)
    config.nav = [{"What it is": ordered[0]}, *ordered[1:], {"Default weights": cards}]
    return files


def reading_order(page: str) -> tuple[int, str]:
    name = page.removesuffix(".md")
    return (ORDER.index(name) if name in ORDER else len(ORDER)), name


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace the drawing by a picture, and let links go from page to page of the site."""
    place = page.file.src_uri
    if place == "index.md":
        page.meta["hide"] = ["toc"]  # gives the drawing its room
    source = {where: source for source, where in ELSEWHERE.items()}.get(place, f"docs/{place}")

    def on_the_site(link: re.Match) -> str:
        target = normpath(f"{dirname(source)}/{link[1]}".lstrip("/"))
        target = (ELSEWHERE | PICTURES).get(target, target.removeprefix("docs/"))
        return relpath(target, dirname(place) or ".")

    return MERMAID.sub(DRAWING, LINK.sub(on_the_site, markdown))
