"""Make any model that can be run: a policy, a baseline that counts, or one of RecBole's own."""

from __future__ import annotations

import logging
from typing import Any

from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.models import BASELINES, MODELS

# Models whose scores are probabilities already, not logits.
GIVE_PROBABILITIES = {"GRU4RecCPR", "RepeatNet", "SASRecCPR"}
# Models with an embedding per user, which here is a session.
EMBED_USERS = {"Caser", "FOSSIL", "FPMC", "HGN", "HRM", "NPE", "SHAN", "TransRec"}


def make_model(config: Any, train: PolicyDataset) -> Any:
    """Make the model that ``config`` names, on its device; a counting one is fitted then."""
    from recbole.data.transform import construct_transform
    from recbole.utils import get_model

    name = config["model"]
    construct_transform(config)  # writes into the config what BERT4Rec and SHAN read there
    if name in EMBED_USERS and train.settings.split != "leave_one_out":
        logging.getLogger().warning(
            f"{name} has an embedding for each session, and those of sessions held out are never "
            "trained: it ranks for strangers"
        )
    known: dict[str, Any] = {**MODELS, **BASELINES}
    model = (known.get(name) or get_model(name))(config, train)
    return model.to(config["device"])
