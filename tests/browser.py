"""Finds a Chromium or Chrome for the lab's tests, or installs one: the system's, else Playwright's, else a package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
# Without these Chromium looks for updates and for Google's hosts at every start.
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
FLAGS += ["--disable-component-update", *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])]
HELP = (
    "no Chromium or Chrome was found, and none could be installed. Install one, name it in DCGAN_BROWSER, "
    "or go on without the browser's tests: make test BROWSER=none"
)


def installed() -> str | None:
    """The path of a browser that is there already."""
    named = os.environ.get("DCGAN_BROWSER")
    if named:
        return named
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return found or (str(MAC) if MAC.exists() else None)


def launch(playwright):
    """A headless browser; installs one when none is there. Raises RuntimeError that says how to go on without."""
    path = installed()
    if path:
        return playwright.chromium.launch(executable_path=path, args=FLAGS)
    tries = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        tries += [["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]]
    said = []
    for command in tries:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        said.append(f"{' '.join(command)}: exit {done.returncode} {done.stderr.strip()[-200:]}")
        if installed():
            return playwright.chromium.launch(executable_path=installed(), args=FLAGS)
        if done.returncode == 0 and "playwright" in command:
            return playwright.chromium.launch(args=FLAGS)
    raise RuntimeError("\n".join([HELP, *said]))
