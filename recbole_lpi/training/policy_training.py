"""Training a policy from a script, without RecBole."""

from __future__ import annotations

from contextlib import ExitStack

from recbole_lpi.data.session_data import SessionData
from recbole_lpi.policy.checkpoint import policy_values
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.training.learner import PolicyLearner
from recbole_lpi.training.recorder import RunDescription
from recbole_lpi.training.run_folder import RunFolder
from recbole_lpi.training.settings import TrainingSettings
from recbole_lpi.training.surroundings import Surroundings
from recbole_lpi.training.training import Training


def train_policy(
    network: PolicyNetwork,
    train: SessionData,
    valid: SessionData | None = None,
    settings: TrainingSettings | None = None,
    logging_policy: PolicyNetwork | None = None,
    folder: RunFolder | None = None,
    show_progress: bool = False,
) -> Training:
    """Train a policy, without RecBole; it ends with the weights of the best epoch.

    Args:
        network: the policy, on the device where it is to be trained.
        train, valid: parts of one log; without ``valid`` the last epoch is the best.
        settings: how it is trained; None: the defaults.
        logging_policy: the policy that made the log, or an estimate, to compare with.
        folder: keeps the run; None: nothing is kept.
        show_progress: whether bars are shown, on a terminal.

    Returns: the training, whose ``evaluate`` measures the policy on another part.

    Raises:
        SettingError: the data do not suit the settings, or the folder holds another run.
        FloatingPointError: the loss is not finite.
    """

    def claim(held: ExitStack) -> RunFolder:
        assert folder is not None
        held.enter_context(folder.exclusive())
        folder.claim(overwrite=False)
        return folder

    learner, settings = PolicyLearner(network), settings or TrainingSettings()
    plain = {"model": network.name, "dataset": train.dataset_name}
    about = RunDescription(
        network.name, train.dataset_name, settings.seed, plain, plain, policy_values(network)
    )
    around = Surroundings(
        device=network.item_embedding.weight.device,
        folder=None if folder is None else claim,
        logging_policy=lambda *parts: logging_policy,
    )
    training = Training(learner, settings, about, around)
    training.fit(train, valid, show_progress=show_progress)
    assert training.loop is not None and training.loop.selector.best_state is not None
    network.load_state_dict(training.loop.selector.best_state)
    return training
