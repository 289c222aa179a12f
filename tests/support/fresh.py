"""Code in a process that has imported nothing of RecBole or of this package yet.

One process imports what takes longest, PyTorch and pandas, and is forked for each piece of code:
what the two packages do when they are imported is as in a new interpreter, in a third of the time.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

IMPORTED = ["torch", "torch.utils.tensorboard", "pandas", "scipy.sparse", "sklearn.metrics",
            "matplotlib", "plotly", "polars", "thop"]  # fmt: skip
WAITING = f"""
import json, os, sys, tempfile, traceback
sys.argv = ["-c"]
import {", ".join(IMPORTED)}
for line in sys.stdin:
    code, path, folder = json.loads(line)
    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if not child:
            status = 1
            try:
                os.dup2(said.fileno(), 1), os.dup2(said.fileno(), 2)
                os.chdir(folder)
                sys.path[:0] = path
                exec(code, {{"__name__": "__main__"}})
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush(), sys.stderr.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        print(json.dumps([status, said.read()]), flush=True)
"""


class Done(NamedTuple):
    status: int
    said: str


@functools.cache
def _waiting() -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WAITING]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.kill)
    return process


def run(code: str, path: Sequence[str] = ()) -> Done:
    """Run ``code`` with ``path`` before the others in which modules are found."""
    process = _waiting()
    assert process.stdin is not None and process.stdout is not None
    print(json.dumps([code, list(path), os.getcwd()]), file=process.stdin, flush=True)
    return Done(*json.loads(process.stdout.readline()))
