"""Several processes that share one run, started by torchrun or by RecBole's own launcher.

Each takes every n-th window of a batch, and gradients are summed; each ranks every n-th held-out
window, and the first process joins their tables. The first alone writes, and decides.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from recbole_lpi.processes import LostProcess as LostProcess
from recbole_lpi.processes import launched as launched
from recbole_lpi.settings import SettingError

T = TypeVar("T")

PATIENCE = timedelta(days=30)  # while the first process makes what all need; its end ends the wait


@dataclass(frozen=True)
class Ranks:
    """The processes of a run, as one of them sees them, which may be the only one.

    Attributes:
        rank, size: this process's number, from 0, and how many there are.
        prompt, patient: groups for objects on the CPU, whose members are waited for briefly, or
            for as long as they live; None when alone.
    """

    rank: int = 0
    size: int = 1
    prompt: Any = None
    patient: Any = None

    @property
    def first(self) -> bool:
        """Whether this process writes and decides."""
        return self.rank == 0

    @property
    def several(self) -> bool:
        """Whether the run has other processes."""
        return self.size > 1

    def share(self, index: np.ndarray) -> np.ndarray:
        """Every ``size``-th of ``index``, which this process takes; of a short one perhaps none."""
        return index[self.rank :: self.size]

    def sum(self, own: Tensor) -> Tensor:
        """Replace a tensor by its sum over all processes, in place, and return it."""
        if self.several:
            with _answered():
                dist.all_reduce(own)
        return own

    def sum_gradients(
        self, parameters: Iterable[nn.Parameter], numbers: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Make gradients their sums over all processes, and return the sums of ``numbers``.

        A parameter has a gradient in every process or in none.
        """
        if not self.several:
            return numbers
        held = [p for p in parameters if p.grad is not None]
        gradients = [p.grad for p in held if p.grad is not None and not p.grad.is_sparse]
        values = torch.stack([value.detach() for value in numbers.values()])
        flat = self.sum(parameters_to_vector([*gradients, values.to(gradients[0].dtype)]))
        vector_to_parameters(flat, gradients)
        for p in held:
            if p.grad is not None and p.grad.is_sparse:
                p.grad = self._sum_rows(p.grad)
        return dict(zip(numbers, flat[-len(numbers) :], strict=True))

    def _sum_rows(self, own: Tensor) -> Tensor:
        """Sum over all processes of a sparse gradient [A, ...], of which each has some rows."""
        own = own.coalesce()
        row, value = own.indices()[0], own.values()
        counts = [int(count) for count in self._all(row.new_tensor([len(row)]))]

        def rows(mine: Tensor) -> Tensor:  # as many of each, since tensors are sent that are alike
            sent = mine.new_zeros(max(counts), *mine.shape[1:])
            sent[: len(mine)] = mine
            found = zip(self._all(sent), counts, strict=True)
            return torch.cat([theirs[:count] for theirs, count in found])

        return torch.sparse_coo_tensor(rows(row)[None], rows(value), own.shape).coalesce()

    def _all(self, own: Tensor) -> list[Tensor]:
        """The tensor of each process, all of one shape, in the order of their ranks."""
        found = [torch.empty_like(own) for _ in range(self.size)]
        with _answered():
            dist.all_gather(found, own)
        return found

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Give ``tensors`` the values they have in the first process."""
        if self.several:
            with _answered():
                for tensor in tensors:
                    dist.broadcast(tensor, 0)

    def gather(self, own: T) -> list[T]:
        """What each process has, by rank, in the first process; [] in the others."""
        if not self.several:
            return [own]
        gathered: list[Any] = [None] * self.size if self.first else []
        with _answered():
            dist.gather_object(own, gathered if self.first else None, 0, self.prompt)
        return gathered

    def from_first(self, make: Callable[[], T]) -> T:
        """What ``make`` gives in the first process; the others wait for it, however long.

        A SettingError of the first is raised in all.
        """
        if not self.several:
            return make()
        message: list[Any] = [None, None]
        if self.first:
            try:
                message[0] = make()
            except SettingError as error:
                message[1] = str(error)
                self._tell(message)
                raise
        self._tell(message)
        if message[1] is not None:
            raise SettingError(message[1])
        return message[0]  # type: ignore[no-any-return]

    def _tell(self, message: list[Any]) -> None:
        """Give every process the first one's ``message``, in place, however long that takes."""
        with _answered():
            dist.broadcast_object_list(message, 0, self.patient)


ALONE = Ranks()
_joined = ALONE


def ranks() -> Ranks:
    """The processes that ``join`` met; this one by itself before that."""
    return _joined if dist.is_available() and dist.is_initialized() else ALONE


def join(device: torch.device, timeout: float) -> Ranks:
    """Meet the other processes of the run, once; ``ALONE`` where there are none.

    ``timeout``: seconds that a process is waited for in a step.
    """
    global _joined
    if not dist.is_available() or not (dist.is_initialized() or launched()):
        return ALONE
    if ranks().several:
        return _joined
    soon = timedelta(seconds=timeout)
    with _answered():
        if not dist.is_initialized():
            if device.type == "cuda":
                torch.cuda.set_device(device)
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=soon)
        groups = [
            _within(timeout, partial(dist.new_group, backend="gloo", timeout=t))
            for t in (soon, PATIENCE)
        ]
    _joined = Ranks(dist.get_rank(), dist.get_world_size(), *groups)
    return _joined


def leave() -> None:
    """Leave the other processes of the run, when all is done."""
    if launched() and dist.is_initialized():
        dist.destroy_process_group()


def init_recboles(values: dict[str, Any]) -> None:
    """Meet the processes of RecBole's launcher without GPUs, by gloo: its ``Config`` has only nccl.

    Args:
        values: its final settings, ``local_rank`` among them; device and the like are added.
    """
    dist.init_process_group(
        "gloo",
        init_method=f"tcp://{values['ip']}:{values['port']}",
        rank=values["local_rank"] + values["offset"],
        world_size=values["world_size"],
    )
    values |= {"device": torch.device("cpu"), "single_spec": False}
    if values["local_rank"]:
        values |= {"state": "error", "show_progress": False, "verbose": False}


def _within(seconds: float, make: Callable[[], T]) -> T:
    """What ``make`` gives within so many ``seconds``; RuntimeError if it takes longer.

    A group that waits patiently would also wait so for a process that died while it was made.
    """
    found: Future[T] = Future()

    def work() -> None:
        try:
            found.set_result(make())
        except Exception as error:  # raised below
            found.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return found.result(seconds)
    except FutureTimeout:
        raise RuntimeError("it took too long") from None


@contextmanager
def _answered() -> Iterator[None]:
    """Raise LostProcess for whatever a collective fails with: another process took no part."""
    try:
        yield
    except RuntimeError as error:
        raise LostProcess from error
