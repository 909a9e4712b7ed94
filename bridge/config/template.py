"""A configuration folder to start from, with a word on every key."""

from importlib.resources import files
from pathlib import Path

from bridge.config.files import shown
from mappings.findings import Finding, FindingsError

TEMPLATE_FILES = {
    "bridge.yaml": "bridge.yaml",
    "tenants/example.yaml": "tenants/example.yaml",
    "mappings/README.md": "mappings/README.md",
    ".env.example": "env.example",
}
"""What is written, and the packaged file it comes from."""


def write_template(folder: Path) -> list[Path]:
    """Write the files into ``folder``, which is made if need be, and return them.

    Raises ``FindingsError`` with code ``file_exists``, and writes nothing, when one of them is there already, or a file
    stands where a folder has to be.
    """
    targets = {folder / name: source for name, source in TEMPLATE_FILES.items()}
    in_the_way = dict.fromkeys(over for target in targets for over in target.parents if over.exists())
    there = [
        Finding("file_exists", "This is no folder. Choose another name; nothing was written.", shown(over))
        for over in in_the_way
        if not over.is_dir()
    ]
    there += [
        Finding("file_exists", "This is there already. Choose an empty folder; nothing was written.", shown(target))
        for target in targets
        if target.exists() or target.is_symlink()
    ]
    if there:
        raise FindingsError(tuple(there))
    packaged = files("bridge.config") / "templates"
    for target, source in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            file.write(packaged.joinpath(*source.split("/")).read_bytes())
    return list(targets)
