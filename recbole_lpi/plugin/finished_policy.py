"""The policy of a finished run with the data that it was trained, validated and tested on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recbole_lpi.plugin.dataset import PolicyDataset, part_of
from recbole_lpi.plugin.logging_policy.resolving import resolve
from recbole_lpi.plugin.saved_model import load_data_and_model
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_folder import RunFolder


class NoNetwork(SettingError):
    """The run's policy has no network of ours: it is a floor, or a model of RecBole's."""


@dataclass(frozen=True)
class FinishedPolicy:
    """A policy and its data.

    Attributes:
        folder: of the run. config: RecBole's, with all its settings.
        policy: the network, in evaluation mode.
        train, valid, test: the parts of the data.
    """

    folder: RunFolder
    config: Any
    policy: PolicyNetwork
    train: PolicyDataset
    valid: PolicyDataset
    test: PolicyDataset

    def logging_policy(self) -> PolicyNetwork:
        """Return the logging policy that the run was compared with, in evaluation mode.

        Raises:
            SettingError: there was none, or it is no longer where it was.
        """
        named = str(self.config["logging_policy"])
        mu = resolve(named, self.config, self.train, self.valid, self.folder.path.parent)
        if mu is None:
            raise SettingError(
                f"{self.folder.path} ran with logging_policy: none: without an estimate of the "
                "logging policy there is no other policy to compare with"
            )
        return mu.eval()


def finished_policy(folder: RunFolder, **given: Any) -> FinishedPolicy:
    """Load the policy of a finished run and its data.

    Args:
        folder: of the run.
        given: settings of the machine that are others here, such as ``data_path``.

    Raises:
        NoNetwork: the run's policy has no network of ours.
        SettingError: the data are not there, or are others.
    """
    policy = None
    if folder.model.is_file():
        config, model, _, *loaders = load_data_and_model(str(folder.path), **given)
        policy = getattr(model, "network", None)
    if not isinstance(policy, PolicyNetwork):
        raise NoNetwork(
            f"{folder.path} is a {folder.read_config()['model']}, which has no network of ours"
        )
    return FinishedPolicy(folder, config, policy.eval(), *(part_of(loader) for loader in loaders))
