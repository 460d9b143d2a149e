"""Clean virtual environments, as a stranger makes them."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.11", "3.12", "3.13")
# what would let the clean environment see this checkout, or this environment
OWN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "MYPYPATH", "PYTHONWARNINGS")


class Environment:
    """A virtual environment; `run` runs one of its programs."""

    def __init__(self, folder, python=sys.executable):
        subprocess.run([python, "-m", "venv", folder], check=True)
        self.programs = Path(folder) / ("Scripts" if os.name == "nt" else "bin")

    def install(self, *packages):
        """Install what pip can be asked for."""
        # an older pip knows no groups
        self.run("python", "-m", "pip", "install", "--quiet", "--upgrade", "pip>=25.1")
        constraints = ROOT / "constraints.txt"
        self.run("python", "-m", "pip", "install", "--quiet", "-c", str(constraints), *packages)

    def run(self, program, *arguments, cwd=None, status=0):
        """Run a program of the environment, away from the checkout, and return what it printed."""
        done = subprocess.run(
            [self.programs / program, *arguments],
            cwd=cwd or tempfile.gettempdir(),
            env=self.variables(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, f"{program} {' '.join(map(str, arguments))}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def shell(self, line, cwd):
        """Run a line as it is printed somewhere, with the programs of the environment found first."""
        done = subprocess.run(
            line, shell=True, cwd=cwd, env=self.variables(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def variables(self):
        """Return the variables of the process, without those that lead back here."""
        kept = {name: value for name, value in os.environ.items() if name not in OWN}
        return {**kept, "PATH": f"{self.programs}{os.pathsep}{kept['PATH']}", "OPENBLAS_NUM_THREADS": "1"}


def interpreter(version):
    """Return a Python of that version, from the path or from pyenv; None where there is none."""
    installed = sorted(
        Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{version}.*/bin/python")
    )
    for candidate in (shutil.which(f"python{version}"), *map(str, installed)):
        # a shim of pyenv is found on the path even where it leads nowhere
        if candidate and subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode == 0:
            return str(candidate)
    return None
