"""Say where the book is published: `make publish-as REPO=owner/name` rewrites every file that names the repository.

The one setting is `repository.url` in _config.yml; everything else follows it, and a test fails when they disagree.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def current() -> str:
    """owner/name as _config.yml has it."""
    return re.search(r"url: https://github\.com/([\w.-]+/[\w.-]+)", (ROOT / "_config.yml").read_text()).group(1)


def pages(repository: str) -> str:
    """Address of the repository's GitHub Pages, without https://."""
    owner, name = repository.split("/")
    return f"{owner.lower()}.github.io" + ("" if name.lower() == f"{owner.lower()}.github.io" else f"/{name}")


def files() -> list[Path]:
    """Tracked text files that may name the repository."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    kinds = {".yml", ".yaml", ".md", ".ipynb", ".toml", ".cff"}
    return [ROOT / name for name in names if Path(name).suffix in kinds and (ROOT / name).is_file()]


def main(repository: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*/[\w.-]+", repository):
        raise SystemExit(f"expected REPO=owner/name, got {repository!r}: make publish-as REPO=someone/dcgan")
    before, changed = current(), []
    for path in files():
        text = path.read_text()
        new = text.replace(before, repository).replace(pages(before), pages(repository))
        if new != text:
            path.write_text(new)
            changed.append(path.relative_to(ROOT).as_posix())
    print(f"{before} → {repository} in " + (", ".join(changed) or "no file"))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
