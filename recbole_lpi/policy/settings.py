"""Settings of a policy, named as RecBole names them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from recbole_lpi import settings
from recbole_lpi.nn.sasrec import ACTIVATIONS, INITIALIZERS
from recbole_lpi.objectives import ObjectiveSettings
from recbole_lpi.roles import Role, setting
from recbole_lpi.settings import Config

DISTRIBUTIONS = ("popularity", "uniform", "in_batch")
INPUTS = ("item", "event", "time_gap")
# What a run did, or a checkpoint is, of before there were these settings, whatever is default now.
EARLIER: dict[str, Any] = {"inputs": ["item"], "repeat_head": False, "fit_temperature": False}
SAMPLE_NUM, ALPHA = 2048, 0.75  # where they are not said


def read_by(*encoders: str, default: Any) -> Any:
    """Define a field of the network that only these encoders read, by their names."""
    return field(default=default, metadata={"encoders": encoders})


@dataclass(frozen=True)
class NetworkSettings:
    """One architecture for every policy, SASRec in the paper (4.2). ValueError names what is wrong.

    Attributes:
        encoder: sasrec, gru4rec, nextitnet, or the import path of a module (``encoders.Encoder``).
        encoder_args: what the encoder takes beyond the settings below; none for sasrec.
        n_layers, n_heads, hidden_size, inner_size: shape of the transformer.
        hidden_dropout_prob, attn_dropout_prob: in [0, 1).
        hidden_act: gelu, relu or swish.
        layer_norm_eps: ε of the layer norms.
        initializer_range: standard deviation of the initial weights.
        initializer: of the encoder's linear layers: ``normal`` like the rest, or ``xavier_normal``.
        tie_weights: whether the policy scores items by the embedding that the encoder reads.
        inputs: what is read of each earlier event: ``item``, its kind (``event``), and the time
            since the one before (``time_gap``).
        repeat_head: whether items of the history get a score of their own on top.
        fit_temperature: whether logits are divided by a number that is fitted to validation events
            once the policy is trained.
    """

    ROLE: ClassVar[Role] = Role.MODEL

    encoder: str = setting(Role.CODE, "sasrec")
    encoder_args: dict[str, Any] = field(default_factory=dict)
    n_layers: int = read_by("sasrec", "gru4rec", default=1)
    n_heads: int = read_by("sasrec", default=1)
    hidden_size: int = 64
    inner_size: int = read_by("sasrec", default=256)
    hidden_dropout_prob: float = read_by("sasrec", "gru4rec", default=0.2)
    attn_dropout_prob: float = read_by("sasrec", default=0.2)
    hidden_act: str = read_by("sasrec", default="gelu")
    layer_norm_eps: float = read_by("sasrec", default=1e-12)
    initializer_range: float = 0.02
    initializer: str = read_by("sasrec", default="normal")
    tie_weights: bool = True
    inputs: tuple[str, ...] = INPUTS
    repeat_head: bool = True
    fit_temperature: bool = False

    def __post_init__(self) -> None:
        for name in ("n_layers", "n_heads", "hidden_size", "inner_size"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        if self.hidden_size % self.n_heads:
            raise ValueError(
                f"hidden_size must be a multiple of n_heads, got {self.hidden_size} and "
                f"{self.n_heads}"
            )
        for name, known in (("hidden_act", ACTIVATIONS), ("initializer", INITIALIZERS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}"
                )
        if "item" not in self.inputs or not set(self.inputs) <= set(INPUTS):
            raise ValueError(
                f"inputs must be item, and any of {', '.join(INPUTS[1:])} besides, got "
                f"{list(self.inputs)}"
            )
        for name in ("hidden_dropout_prob", "attn_dropout_prob"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")


@dataclass(frozen=True)
class CandidateSettings:
    """How candidates of ``softmax: sampled`` are drawn; ValueError names what is wrong.

    Attributes:
        distribution: ``popularity``, by (how often an item is logged in the training data + 1) to
            the power of alpha; ``uniform``; or ``in_batch``, the logged items of the batch itself.
        sample_num: items drawn for a batch, which all its events share, ≥ 1; None: 2048. In a batch
            there are as many as there are.
        alpha: ≥ 0, of popularity; None: 0.75.
    """

    distribution: str = "popularity"
    sample_num: int | None = None
    alpha: float | None = None

    def __post_init__(self) -> None:
        if self.distribution not in DISTRIBUTIONS:
            raise ValueError(
                f"distribution must be one of {', '.join(DISTRIBUTIONS)}, got {self.distribution!r}"
            )
        if self.sample_num is not None and self.sample_num < 1:
            raise ValueError(f"sample_num must be >= 1, got {self.sample_num}")
        if self.alpha is not None and not 0 <= self.alpha < float("inf"):
            raise ValueError(f"alpha must be >= 0 and finite, got {self.alpha}")
        if self.alpha is not None and self.distribution != "popularity":
            raise ValueError(f"alpha is of popularity, and distribution is {self.distribution}")
        if self.sample_num is not None and self.distribution == "in_batch":
            raise ValueError("sample_num cannot be set in_batch: its logged items are drawn, all")


@dataclass(frozen=True)
class SoftmaxSettings:
    """Settings of the softmax that training normalises over. ValueError names what is wrong.

    Attributes:
        softmax: ``full``, over the catalogue; or ``sampled``, estimated from candidates.
        candidate_sampling: how those are drawn.
        learner: the optimiser; of ``sparse_adam``, tables of items get sparse gradients.
    """

    ROLE: ClassVar[Role] = Role.MODEL

    softmax: str = "full"
    candidate_sampling: CandidateSettings | None = None
    learner: str = setting(Role.TRAINING, "adam")

    def __post_init__(self) -> None:
        if self.softmax not in ("full", "sampled"):
            raise ValueError(f"softmax must be full or sampled, got {self.softmax!r}")
        if self.softmax == "full" and self.candidate_sampling is not None:
            raise ValueError("candidate_sampling needs softmax: sampled; softmax is full")
        if self.softmax == "full" and self.sparse:
            raise ValueError(
                "learner cannot be sparse_adam with softmax: full, which gives every row of a "
                "table a gradient at every step; set softmax: sampled, or learner: adam"
            )

    @property
    def sparse(self) -> bool:
        """Whether tables get sparse gradients."""
        return self.learner.lower() == "sparse_adam"


@dataclass(frozen=True)
class PolicySettings:
    """All that a policy's network is built from, besides its objective and its items.

    Attributes:
        network: the encoder and the tables of items.
        softmax: over what the policy is normalised in training.
        objective: the settings that its row of OBJECTIVES reads.
        max_length: events that the encoder reads at most, >= 1.
        evaluate_first_event: whether sessions open with a start token, so that their first event
            can be predicted.
    """

    network: NetworkSettings = field(default_factory=NetworkSettings)
    softmax: SoftmaxSettings = field(default_factory=SoftmaxSettings)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    max_length: int = 50
    evaluate_first_event: bool = False

    @classmethod
    def of(cls, config: Config) -> PolicySettings:
        """Read the settings of a policy from a flat mapping, such as RecBole's config.

        Raises:
            SettingError: one has the wrong type, or a value that it cannot have.
        """
        return cls(
            settings.read(NetworkSettings, config),
            settings.read(SoftmaxSettings, config),
            settings.read(ObjectiveSettings, config),
            int(config["MAX_ITEM_LIST_LENGTH"]),
            bool(config["evaluate_first_event"]),
        )
