"""Links between the pages lead somewhere, and what the pages name of the tree is there."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, name_of, prose

LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:bridge|connectors|mappings|tests|docs|deploy|requirements|bench)/[\w./-]*)`")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_link_is_dead(page: Path) -> None:
    dead = []
    for target in LINK.findall(prose(page.read_text(encoding="utf-8"))):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            dead.append(target)
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_and_folders_that_a_page_names_are_there(page: Path) -> None:
    named = set(NAMED.findall(page.read_text(encoding="utf-8")))
    made_by_the_operator = {"deploy/bridge.env", "deploy/secrets/"}
    assert {name for name in named - made_by_the_operator if not (ROOT / name).exists()} == set()


def test_every_page_can_be_found_from_the_readme() -> None:
    linked = set(LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    assert {name_of(page) for page in PAGES if page.parent.name == "docs"} <= linked


@pytest.mark.parametrize("image", sorted((ROOT / "docs/images").glob("*.svg")), ids=lambda path: path.name)
def test_pictures_are_whole_and_can_be_read_by_day_and_by_night(image: Path) -> None:
    """They load nothing from elsewhere, tell their content as text as well, and have colours for dark pages."""
    text = image.read_text(encoding="utf-8")
    root = ET.fromstring(text)  # noqa: S314 - our own file
    svg = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{svg}title") is not None
    assert root.find(f"{svg}desc") is not None
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"(?:href|src)=|@import|<script|<foreignObject", text)
    used = {name for element in root.iter() for name in (element.get("class") or "").split()}
    styled = set(re.findall(r"^\s*\.(\w+) \{", text.partition("@media")[0], re.MULTILINE))
    assert used <= styled
