"""The virtual environment that has Fed-BioMed: found, or made."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

FEDBIOMED = "6.4.1"


def fedbiomed():
    """The Python that has Fed-BioMed; makes its virtual environment when there is none."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get("BACKCHANNEL_FEDBIOMED_VENV") or cache / f"backchannel-fedbiomed-{FEDBIOMED}")
    python = folder / "bin" / "python"
    if not has_fedbiomed(python):
        print(f"installing Fed-BioMed {FEDBIOMED} into {folder}: 8 GB, some minutes", file=sys.stderr, flush=True)
        began = time.monotonic()
        for command in (
            [interpreter(), "-m", "venv", "--clear", folder],
            [python, "-m", "pip", "install", "--quiet", f"fedbiomed=={FEDBIOMED}"],
        ):
            if subprocess.run(command).returncode:
                sys.exit(f"Fed-BioMed {FEDBIOMED} could not be installed into {folder}; run this again to try again")
        print(f"installed in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return python


def interpreter():
    """A Python that Fed-BioMed runs on and that can make an environment: Debian's cannot without `python3-venv`."""
    usable = "import ensurepip, sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 11))"
    for name in (sys.executable, "python3.11", "python3.10", "python3"):
        for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
            # Run, not only found: version managers put commands on the path for versions that are not chosen.
            found = shutil.which(name, path=folder)
            if found and subprocess.run([found, "-c", usable], stderr=subprocess.DEVNULL).returncode == 0:
                return found
    return sys.exit("Fed-BioMed runs on Python 3.10 and 3.11: install one of these, with its venv module")


def has_fedbiomed(python):
    """Whether the environment is complete: pip installs a package after those that it needs."""
    if not python.exists():
        return False
    found = "import importlib.metadata as m; print(m.version('fedbiomed'))"
    done = subprocess.run([python, "-c", found], capture_output=True, text=True)
    return done.stdout.strip() == FEDBIOMED
