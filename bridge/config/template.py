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

    Raises ``FindingsError`` with code ``file_exists``, and writes nothing, when one of them is there already.
    """
    targets = {folder / name: source for name, source in TEMPLATE_FILES.items()}
    there = tuple(
        Finding("file_exists", "This is there already. Choose an empty folder; nothing was written.", shown(target))
        for target in targets
        if target.exists() or target.is_symlink()
    )
    if there:
        raise FindingsError(there)
    packaged = files("bridge.config") / "templates"
    for target, source in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            file.write(packaged.joinpath(*source.split("/")).read_bytes())
    return list(targets)
