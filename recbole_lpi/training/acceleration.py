"""Settings that make a training step faster and change no more than its rounding."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from recbole_lpi.roles import Role, setting
from recbole_lpi.settings import SettingError

AMP_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
MATMUL_PRECISIONS = ("highest", "high", "medium")
WITHOUT_HALF = "AVX2"  # what torch calls x86 CPUs that surely lack instructions for it


@dataclass(frozen=True)
class AccelerationSettings:
    """Settings of how a training step is computed. ValueError names the setting and what it may be.

    Evaluation is in float32 and not compiled, whatever they are.

    Attributes:
        enable_amp: matrix products run in half precision; sums and probabilities in float32, and so
            does the product that forms the gradient of items.
        amp_dtype: which: ``bfloat16``, of float32's range, or ``float16``, which needs
            ``enable_scaler``.
        enable_scaler: the loss is scaled, so that small gradients do not vanish in float16.
        float32_matmul_precision: of products in float32, in torch's words: ``highest``; ``high``
            is TF32 on a GPU; ``medium`` may be bfloat16. None: as torch is set.
        compile: the encoder is compiled by ``torch.compile``.
    """

    ROLE: ClassVar[Role] = Role.TRAINING

    enable_amp: bool = False
    amp_dtype: str = "bfloat16"
    enable_scaler: bool = False
    float32_matmul_precision: str | None = None
    compile: bool = setting(Role.SPEED, False, policies_alone=True)

    def __post_init__(self) -> None:
        if self.amp_dtype not in AMP_DTYPES:
            known = ", ".join(AMP_DTYPES)
            raise ValueError(f"amp_dtype must be one of {known}, got {self.amp_dtype!r}")
        if self.float32_matmul_precision not in (None, *MATMUL_PRECISIONS):
            raise ValueError(
                f"float32_matmul_precision must be one of {', '.join(MATMUL_PRECISIONS)}, or "
                f"empty, got {self.float32_matmul_precision!r}"
            )
        if self.amp_dtype == "float16" and not (self.enable_amp and self.enable_scaler):
            raise ValueError(
                "amp_dtype float16 needs enable_amp, and enable_scaler, without which small "
                "gradients vanish; set both to true, or amp_dtype: bfloat16"
            )

    @contextmanager
    def training(self) -> Iterator[None]:
        """Compute float32 products inside at the precision of training: of losses and gradients.

        Raises:
            SettingError: this program has set torch's precision by other means.
        """
        if self.float32_matmul_precision is None:
            yield
            return
        try:
            before = torch.get_float32_matmul_precision()
            torch.set_float32_matmul_precision(self.float32_matmul_precision)
        except RuntimeError as error:  # torch.backends.fp32_precision and the like
            raise SettingError(
                f"float32_matmul_precision cannot be {self.float32_matmul_precision}: this program "
                f"sets torch's fp32_precision itself ({_first_line(error)}); leave it empty"
            ) from error
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Run what was compiled inside as it was written: a policy is evaluated there."""
        if not self.compile:
            yield
            return
        with torch.compiler.set_stance("force_eager"):
            yield

    def warn(self, device: torch.device) -> None:
        """Warn of half precision on a CPU that computes it by software, many times slower."""
        kind = torch.backends.cpu.get_cpu_capability()
        if self.enable_amp and device.type == "cpu" and kind == WITHOUT_HALF:
            logging.getLogger().warning(
                f"enable_amp: this CPU ({kind}) has no instructions for half precision: training "
                "will be many times slower than in float32"
            )

    def autocast(self, device: torch.device) -> torch.autocast:
        """Return the context in which losses are taken in half precision, if at all."""
        return torch.autocast(device.type, AMP_DTYPES[self.amp_dtype], enabled=self.enable_amp)


def compile_encoder(encoder: nn.Module, example: Tensor) -> None:
    """Compile ``encoder`` in place, for batches of every size, and try it on ``example`` [B, L, D].

    What was compiled in this process before is forgotten: torch compiles a piece of code for so
    many networks only, and then runs it as it is.

    Raises:
        SettingError: it cannot be compiled here.
    """
    torch.compiler.reset()
    encoder.compile(dynamic=True)
    state = {name: value.clone() for name, value in encoder.state_dict().items()}
    try:
        with torch.random.fork_rng():
            encoder(example.requires_grad_()).sum().backward()
    except Exception as error:  # whatever the compiler beneath raises
        raise SettingError(
            f"compile: the encoder cannot be compiled on {example.device} ({type(error).__name__}: "
            f"{_first_line(error)}); torch.compile needs a C++ compiler such as g++ on a CPU, and "
            "Triton on a GPU: install it, or set compile: false"
        ) from error
    encoder.zero_grad(set_to_none=True)
    encoder.load_state_dict(state)  # running statistics, where it has any


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), "")
