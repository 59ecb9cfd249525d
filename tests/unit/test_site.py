"""The site that `make docs` builds: every page is found by its search, and nothing is loaded from elsewhere."""

import json
import re
import shutil

import pytest
from support.pages import PAGES
from support.places import ROOT

mkdocs = pytest.importorskip("mkdocs.commands.build", reason="mkdocs comes with the extra dev")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; a drawing of one box stands for that of the pipeline."""
    from mkdocs.config import load_config

    copy = tmp_path_factory.mktemp("site")
    for name in ("docs", "weights", "benchmarks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("*.safetensors", "*.py[co]"))
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "mkdocs.yml"):
        shutil.copy(ROOT / name, copy / name)
    (copy / "docs/pipeline.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>')
    config = load_config(str(copy / "mkdocs.yml"), strict=True, site_dir=str(copy / "site"))
    mkdocs.build(config)
    return copy / "site"


def test_the_search_knows_every_page_by_its_heading(site):
    indexed = {entry["title"] for entry in json.loads((site / "search/search_index.json").read_text())["docs"]}
    cards = sorted((ROOT / "weights").glob("*.md"))
    headings = {page.read_text().splitlines()[0].removeprefix("# ") for page in [*PAGES, *cards]}
    assert headings <= indexed


def test_no_page_loads_anything_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    loaded = [
        re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"?(https?:[^\"> ]+)", page.read_text())
        for page in pages
    ]
    assert len(pages) > len(PAGES)
    assert [one for one in loaded if one] == []


def test_the_drawing_is_a_picture_of_the_site(site):
    home = (site / "index.html").read_text()
    assert re.search(r"<img[^>]+src=\"?pipeline.svg", home)
    assert "mermaid" not in home
