"""Training that begins with the weights of another run (``init_from``)."""

from __future__ import annotations

import logging

from torch import nn

from recbole_lpi.policy.checkpoint import read_checkpoint
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.policy.warm_start import begin_from, source_of
from recbole_lpi.settings import SettingError
from recbole_lpi.training.recorder import Recorder


def begin(module: nn.Module, path: str | None, recorder: Recorder, resume: bool) -> None:
    """Give a policy the weights of another run, and say in one line what was taken.

    Args:
        module: what is trained.
        path: the checkpoint or folder of the other run; None: nothing is to be taken.
        recorder: keeps the run that begins.
        resume: it goes on with the epochs that it kept, if it kept any: those began from there.

    Raises:
        SettingError: there is no policy at ``path``, or it does not fit.
    """
    folder, ranks = recorder.folder, recorder.ranks
    if path is None or ranks.from_first(lambda: resume and folder and folder.resume.is_file()):
        return
    if not isinstance(module, PolicyNetwork):
        raise SettingError(f"init_from is for policies; {type(module).__name__} is none")
    source = source_of(ranks.from_first(lambda: read_checkpoint(path)), path)
    found = begin_from(module, recorder.train.item_tokens, source)
    logging.getLogger().info(f"init_from: {path}, {found}")
