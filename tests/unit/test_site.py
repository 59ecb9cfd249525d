"""The site of `make docs`: its search finds every page, and no page loads anything from another host."""

import json
import re
import shutil

import pytest
from support.pages import CARDS, PAGES
from support.places import ROOT

mkdocs = pytest.importorskip("mkdocs.commands.build", reason="mkdocs comes with the extra dev")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site, with a stand-in for the diagram."""
    from mkdocs.config import load_config

    copy = tmp_path_factory.mktemp("site")
    for source in [
        *PAGES,
        *CARDS,
        *(ROOT / name for name in ("CHANGELOG.md", "mkdocs.yml", "benchmarks/speed/speed.png")),
    ]:
        target = copy / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    shutil.copytree(ROOT / "docs", copy / "docs", dirs_exist_ok=True)
    (copy / "docs/pipeline.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>')
    mkdocs.build(load_config(str(copy / "mkdocs.yml"), strict=True, site_dir=str(copy / "site")))
    return copy / "site"


def test_the_search_finds_every_page(site):
    indexed = {entry["title"] for entry in json.loads((site / "search/search_index.json").read_text())["docs"]}
    assert {page.read_text().splitlines()[0].removeprefix("# ") for page in [*PAGES, *CARDS]} <= indexed


def test_no_page_loads_anything_from_another_host(site):
    pages = {page.relative_to(site): page.read_text() for page in site.rglob("*.html")}
    foreign = r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"?https?:"
    assert len(pages) > len(PAGES)
    assert [page for page, text in pages.items() if re.search(foreign, text) or "mermaid" in text] == []
