"""Several processes of one run, without torchrun: what they import is imported once for all."""

import multiprocessing
import os
import socket
import sys
import time
from pathlib import Path

import torch

IMPORTED = ["recbole_lpi.plugin.row_learner", "recbole_lpi.plugin.runner", "recbole.quick_start",
            "torch._dynamo", "torch.utils.tensorboard"]  # fmt: skip


def exit_codes(work, *arguments, size=2, hanging=0, seconds=300):
    """Run ``work(rank, *arguments)`` in ``size`` processes that torchrun's variables introduce.

    Unlike torchrun nothing here ends the others when one dies: AssertionError unless all but the
    ``hanging`` last end by themselves.
    """
    context = forkserver()
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    place = os.getcwd(), size, port
    processes = [
        context.Process(target=_introduced, args=(rank, place, work, arguments))
        for rank in range(size)
    ]
    start(processes, work)
    for process in processes[: size - hanging]:
        process.join(seconds)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
        process.join()
    assert codes.count(None) == hanging
    return codes


def forkserver():
    """What starts processes that have imported a run's modules already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def start(processes, work):
    """Start them all; the module of ``work`` is found there by the name that pytest gave it."""
    file = sys.modules[work.__module__].__file__
    assert file is not None
    root = Path(file).parents[work.__module__.count(".")]
    sys.path.insert(0, str(root))
    for process in processes:
        process.start()
    sys.path.remove(str(root))


def command_line(*arguments):
    """``recbole-lpi`` with these arguments in a process of its own, and what it says meanwhile."""
    Path("said").touch()
    process = forkserver().Process(target=_command, args=(os.getcwd(), arguments))
    start([process], _command)
    return process, _lines(process)


def _lines(process):
    with open("said") as said:
        text = ""
        while process.is_alive():
            text += said.readline()
            if text.endswith("\n"):
                yield text
                text = ""
            else:
                time.sleep(0.001)
        yield from said


def _command(folder, arguments):
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open("said", os.O_WRONLY), 2)
    from recbole_lpi.cli.app import app

    app(list(arguments))


def _introduced(rank, place, work, arguments):
    folder, size, port = place
    os.chdir(folder)
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size), "MASTER_ADDR": "localhost", "MASTER_PORT": str(port),
    }  # fmt: skip
    torch.set_num_threads(1)
    work(rank, *arguments)
