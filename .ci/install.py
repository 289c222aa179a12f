"""What ``pip install`` does, by uv where it can be had: in seconds where pip takes minutes.

    .venv/bin/python .ci/install.py -c lock.txt -e '.[test]'

uv reads nothing of pip's configuration, so what is said there of where packages are and of which
releases are allowed is handed on to it, from pip's files and environment alike. pip itself does
what uv cannot.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys

PIP = [sys.executable, "-m", "pip"]
UV = [sys.executable, "-m", "uv"]
# Of pip: of uv. Where pip takes several values, they stand in one, apart by white space.
OPTIONS = {
    "index-url": "--default-index",
    "extra-index-url": "--index",
    "find-links": "--find-links",
    "no-index": "--no-index",
    "constraint": "--constraints",
    "trusted-host": "--allow-insecure-host",
}
SWITCHES = ("no-index",)


def pip_configuration() -> dict[str, str]:
    """pip's settings for an installation; the environment's before those of files."""
    shown = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=True)
    settings: dict[str, str] = {}
    for section in ("global", "install", ":env:"):
        for line in shown.stdout.splitlines():
            name, equals, value = line.partition("=")
            if equals and name.startswith(f"{section}."):
                settings[name.removeprefix(f"{section}.")] = str(ast.literal_eval(value))
    return settings


def uv_options(settings: dict[str, str]) -> list[str]:
    """The same in uv's words; of several indexes the best release, which is pip's way."""
    options = ["--index-strategy", "unsafe-best-match"]
    for name, option in OPTIONS.items():
        if name in SWITCHES:
            on = settings.get(name, "").lower() in ("1", "true", "yes", "on")
            options += [option] if on else []
        else:
            for value in settings.get(name, "").split():
                options += [option, value]
    return options


def has_uv() -> bool:
    """Whether uv is there; it is installed where pip finds it."""
    there = subprocess.run([*UV, "--version"], capture_output=True).returncode == 0
    return there or subprocess.run([*PIP, "install", "-q", "uv"]).returncode == 0


def install(arguments: list[str]) -> int:
    """The exit code of uv, or of pip after it."""
    if has_uv():
        settings = pip_configuration()
        environment = dict(os.environ)
        if "cert" in settings:
            environment.setdefault("SSL_CERT_FILE", settings["cert"])
        command = [*UV, "pip", "install", "-q", "--python", sys.executable]
        if (
            subprocess.run(
                [*command, *uv_options(settings), *arguments], env=environment
            ).returncode
            == 0
        ):
            return 0
        print("uv could not install that: pip does, which takes some minutes", file=sys.stderr)
    else:
        print("uv cannot be had: pip installs, which takes some minutes", file=sys.stderr)
    return subprocess.run([*PIP, "install", "-q", *arguments]).returncode


if __name__ == "__main__":
    sys.exit(install(sys.argv[1:]))
