"""Finds a Chromium for the tests that click, or gets one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from local.errors import LocalSystemError
from local.progress import say, step

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> Path | None:
    """The machine's own browser, else the one that Playwright installed, else None."""
    own = next(filter(None, map(shutil.which, _NAMES)), None)
    if own is not None:
        return Path(own)
    with sync_playwright() as playwright:
        downloaded = Path(playwright.chromium.executable_path)
    return downloaded if downloaded.exists() else None


def ensure() -> Path:
    """The browser; installed first if there is none, from Debian's packages where that is possible."""
    found = find()
    if found is not None:
        return found
    with step("Installing Chromium"):
        if not (os.geteuid() == 0 and shutil.which("apt-get") and _apt_get()):
            subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    found = find()
    if found is None:
        raise LocalSystemError("Chromium could not be installed. Install it by hand and call again.")
    return found


def _apt_get() -> bool:
    quiet = ["apt-get", "-qq", "-o=Dpkg::Use-Pty=0"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [*quiet, "install", "-y", "--no-install-recommends", "chromium"]
    for command in (install, [*quiet, "update"], install):  # a fresh machine has no package lists yet
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
        if done.returncode == 0 and command is install:
            return True
    return False


if __name__ == "__main__":
    try:
        ensure()
    except LocalSystemError as error:
        say(f"\n{error}")
        sys.exit(1)
