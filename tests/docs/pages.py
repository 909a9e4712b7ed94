"""The documentation as the tests read it: pages, their fenced blocks, their headings."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language and its text."""

    page: str
    language: str
    text: str


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(*languages: str) -> list[Block]:
    """Return every fenced block in these languages, page by page."""
    return [
        Block(name_of(page), found[1], found[2])
        for page in PAGES
        for found in _FENCE.finditer(page.read_text(encoding="utf-8"))
        if found[1] in languages
    ]


def prose(text: str) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", text)


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, made the way code hosts make them."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", prose(text), re.MULTILINE):
        plain = re.sub(r"[`*]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).strip().lower()
        found.add(re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", plain)))
    return found


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one of the same or a higher level."""
    marks, _, rest = text.partition(f"\n{heading}\n")[0], "", text.partition(f"\n{heading}\n")[2]
    assert marks != text, f"there is no heading {heading!r}"
    level = len(heading) - len(heading.lstrip("#"))
    return re.split(rf"^#{{1,{level}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(text: str) -> list[str]:
    """Return the first cell of each row of the tables in a text, heads left out."""
    rows = re.findall(r"^\| (.*?) \|", text, re.MULTILINE)
    heads = {match[1] for match in re.finditer(r"^\| (.*?) \|.*\n\|[-|]+\|$", text, re.MULTILINE)}
    return [cell for cell in rows if cell not in heads]


def commands_in(text: str) -> list[list[str]]:
    """Return the commands of a shell text, each split into words; comments are left out."""
    found: list[list[str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        reader = shlex.shlex(line, posix=True, punctuation_chars=";")
        reader.whitespace_split = True
        words: list[str] = []
        for word in [*reader, ";"]:
            if word != ";":
                words.append(word)
            elif words:
                found.append(words)
                words = []
    return found


def commands() -> list[tuple[str, list[str]]]:
    """Return every command that the pages show, with its page: in shell blocks, in units, in the text."""
    found = [(block.page, words) for block in blocks("sh") for words in commands_in(block.text)]
    for block in blocks("ini"):
        found += [(block.page, shlex.split(line)) for line in re.findall(r"^ExecStart=(.+)$", block.text, re.MULTILINE)]
    for page in PAGES:
        text = prose(page.read_text(encoding="utf-8"))
        shown = re.findall(r"`((?:numora-bridge|make|docker compose|python -m) [^`]+)`", text)
        shown += re.findall(r"^ {4}((?:numora-bridge|make) .+)$", text, re.MULTILINE)
        found += [(name_of(page), words) for one in shown for words in commands_in(one)]
    return found
