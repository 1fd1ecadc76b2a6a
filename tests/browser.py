"""Finds a Chromium or Chrome for the lab's tests, or installs one: the system's, else Playwright's, else a package."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
# Without these Chromium looks for updates and for Google's hosts at every start.
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
FLAGS += ["--disable-component-update", *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])]
HELP = (
    "no Chromium or Chrome was found, and none could be installed. Install one, name it in DCGAN_BROWSER, "
    "or go on without the browser's tests: make test BROWSER=none"
)


def candidates() -> list[str | None]:
    """Browsers that may be there already; None is Playwright's own."""
    named = os.environ.get("DCGAN_BROWSER")
    if named:
        return [named]
    found = [path for path in map(shutil.which, NAMES) if path]
    return [*found, *([str(MAC)] if MAC.exists() else []), None]


def launch(playwright):
    """A headless browser; installs one when none starts, one process at a time (tests run side by side).

    Raises RuntimeError that says how to go on without.
    """
    with FileLock(Path(tempfile.gettempdir()) / "dcgan_lib_browser.lock"):
        return _launched(playwright)


def _launched(playwright):
    said = []

    def first():
        for path in candidates():
            try:
                return playwright.chromium.launch(executable_path=path, args=FLAGS)
            except Exception as error:  # not there, or a stub that only says where to get it
                said.append(f"{path or 'Playwright’s own'}: {str(error).strip().splitlines()[0]}")

    browser = first()
    ways = [[[sys.executable, "-m", "playwright", "install", "chromium"]]]
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        ways.append([["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]])
    for commands in ways:
        if browser is not None or os.environ.get("DCGAN_BROWSER"):
            break
        for command in commands:
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=300)
                said.append(f"{' '.join(command)}: exit {done.returncode} {done.stderr.strip()[-200:]}")
            except (subprocess.TimeoutExpired, OSError) as error:
                said.append(f"{' '.join(command)}: {error}")
        browser = first()
    if browser is None:
        raise RuntimeError("\n".join([HELP, *said]))
    return browser
