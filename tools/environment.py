"""Make the environment: .venv with exactly the packages of a hash-pinned lock file, and hfkit itself.

Usage: python3 tools/environment.py requirements.txt. Does nothing where the environment is up to date. Runs on any
Python 3, so that an old one is met with a sentence.
"""

import hashlib
import os
import shutil
import subprocess
import sys

NEEDED = (3, 11)
FREE = 3 * 1024**3
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin", "python")


def stop(sentence):
    """Say what is wrong and what to do, then stop."""
    sys.exit("environment: " + sentence)


def check():
    """Python new enough."""
    if sys.version_info < NEEDED:
        found = "%d.%d" % sys.version_info[:2]
        stop(
            "expected Python %d.%d or newer, found %s (%s). Install one and run `make PYTHON=/path/to/python3 ...`."
            % (*NEEDED, found, sys.executable)
        )


def check_disk():
    """Room for what is to be installed."""
    free = shutil.disk_usage(ROOT).free
    if free < FREE:
        stop(
            "expected %.0f GB free on the disk of this folder, found %.1f GB. Free some space and run again."
            % (FREE / 1024**3, free / 1024**3)
        )


def moved():
    """Was the environment made in another folder? Its commands then start a Python that is not there."""
    try:
        with open(os.path.join(VENV, "pyvenv.cfg"), encoding="utf-8") as f:
            made = [line.partition(" -m venv ")[2].strip() for line in f if line.startswith("command = ")]
    except OSError:
        return False
    return bool(made) and not made[0].endswith(VENV)


def install(*arguments):
    """One pip call; its last lines, and a sentence, where it fails."""
    command = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "universal_newlines": True}
    done = subprocess.run(command, cwd=ROOT, **both)
    if done.returncode == 0:
        return
    lines = [line for line in done.stdout.splitlines() if line.startswith("ERROR")] or done.stdout.splitlines()
    print("\n".join(lines[-5:]), file=sys.stderr)
    if "No space left" in done.stdout:
        stop("the disk is full. Free some space and run again; what was installed is kept.")
    if "HASHES" in done.stdout.upper() and "DO NOT MATCH" in done.stdout.upper():
        stop("a package does not have the pinned hash. Do not install it; check the index you use.")
    stop(
        "the packages could not be installed. Is the package index reachable (network, proxy, mirror)? Then run again."
    )


def main(lock):
    """Bring .venv up to date with one lock file."""
    check()
    with open(os.path.join(ROOT, lock), "rb") as f, open(os.path.join(ROOT, "pyproject.toml"), "rb") as g:
        wanted = hashlib.sha256(f.read() + g.read()).hexdigest()
    if moved():
        shutil.rmtree(VENV)
    stamp = os.path.join(VENV, "installed-" + lock + ".sha256")
    if os.path.exists(stamp):
        with open(stamp) as f:
            if f.read() == wanted:
                print("environment: up to date with " + lock)
                return
    check_disk()
    print("environment: installing %s into .venv (a few minutes the first time)" % lock, flush=True)
    if not os.path.exists(PYTHON):
        base = getattr(sys, "_base_executable", sys.executable)  # not the one of the environment that was just removed
        subprocess.run([base, "-m", "venv", VENV], check=True)
    install("--require-hashes", "-r", lock)
    install("--no-deps", "--no-build-isolation", "--editable", ".")
    with open(stamp, "w") as f:
        f.write(wanted)
    print("environment: ready")


if __name__ == "__main__":
    main(sys.argv[1])
