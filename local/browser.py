"""Finds or installs Chromium, for the tests that use a browser."""

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
    """Return the machine's own browser, else the one that Playwright installed, else None."""
    own = next(filter(None, map(shutil.which, _NAMES)), None)
    if own is not None:
        return Path(own)
    with sync_playwright() as playwright:
        downloaded = Path(playwright.chromium.executable_path)
    return downloaded if downloaded.exists() else None


def ensure() -> Path:
    """Return the browser, installing it if necessary: from Debian's packages if possible, else with Playwright."""
    found = find()
    if found is not None:
        return found
    with step("Installing Chromium"):
        if not (os.geteuid() == 0 and shutil.which("apt-get") and _apt_get()):
            subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    found = find()
    if found is None:
        raise LocalSystemError("Chromium could not be installed. Install it by hand, then run the same command again.")
    return found


def _apt_get() -> bool:
    quiet = ["apt-get", "-qq", "-o=Dpkg::Use-Pty=0"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [*quiet, "install", "-y", "--no-install-recommends", "chromium"]
    for command in (install, [*quiet, "update"], install):  # a fresh machine has no package lists
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
