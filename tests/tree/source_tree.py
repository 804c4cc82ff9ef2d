"""The project's own files, for the tests in this folder."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = re.compile(r"^(build[^/]*|\.git|\.cache)$|^__pycache__$|^target$")
TEXT = {".cpp", ".hpp", ".h", ".c", ".py", ".md", ".sh", ".fbs", ".build", ".txt", ".toml", ".rs", ".service", ".wat", ".cddl"}
CODE = {".cpp", ".hpp", ".h", ".c"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def files(*folders, suffixes=None):
    """Every file below the folders (all of the tree without any), as paths relative to the root."""
    found = []
    pending = [ROOT / f for f in folders] or [ROOT]
    while pending:
        directory = pending.pop()
        if not directory.is_dir():
            continue
        for entry in sorted(directory.iterdir()):
            if SKIPPED.match(entry.name) and (entry.is_dir() or entry.name == ".git"):
                continue
            if entry.is_dir():
                pending.append(entry)
            elif entry.is_file() and (suffixes is None or entry.suffix in suffixes):
                found.append(entry.relative_to(ROOT))
    return sorted(found)


def text(path):
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def is_text(path):
    if path.suffix in TEXT:
        return True
    return path.suffix == "" and b"\0" not in (ROOT / path).read_bytes()[:4096]


def includes(path):
    """(quoted, header) of every include directive."""
    return [(kind == '"', header) for kind, header in INCLUDE.findall(text(path))]
