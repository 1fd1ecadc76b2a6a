"""DCGAN, reproduced: a small library behind the notebooks of the book.

`import dcgan_lib` is instant: a module is imported when it is first named, `dcgan_lib.data.load("digits")`.
"""

import importlib
from pathlib import Path

MODULES = sorted(
    path.stem
    for path in Path(__file__).parent.iterdir()
    if not path.name.startswith("_") and (path.suffix == ".py" or (path / "__init__.py").is_file())
)
__all__ = ["__version__", *MODULES]


def __getattr__(name: str):
    if name == "__version__":
        from importlib import metadata

        try:
            return metadata.version("dcgan_lib")
        except metadata.PackageNotFoundError:  # a checkout that was never installed
            return "0+unknown"
    if name in MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
