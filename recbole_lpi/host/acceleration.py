"""Settings that make a training step faster and change no more than its rounding."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recbole_lpi.settings import SettingError

AMP_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
MATMUL_PRECISIONS = ("highest", "high", "medium")
WITHOUT_HALF = ("DEFAULT", "NO AVX", "AVX2")  # what torch calls CPUs


@dataclass(frozen=True)
class AccelerationSettings:
    """How a training step is computed. ValueError names the setting and what it may be.

    Evaluation is in float32 whatever they are, compiled or not.

    Attributes:
        enable_amp: matrix products run in half precision, sums and probabilities in float32.
        amp_dtype: which: ``bfloat16``, of float32's range, or ``float16``, which needs
            ``enable_scaler``.
        enable_scaler: the loss is scaled, so that small gradients do not vanish in float16.
        float32_matmul_precision: of products in float32, in torch's words: ``highest``; ``high``
            is TF32 on a GPU; ``medium`` may be bfloat16.
        compile: the encoder is compiled by ``torch.compile``.
    """

    enable_amp: bool = False
    amp_dtype: str = "bfloat16"
    enable_scaler: bool = False
    float32_matmul_precision: str = "highest"
    compile: bool = False

    def __post_init__(self) -> None:
        for name, known in (
            ("amp_dtype", AMP_DTYPES), ("float32_matmul_precision", MATMUL_PRECISIONS)
        ):  # fmt: skip
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}"
                )
        if self.enable_amp and self.amp_dtype == "float16" and not self.enable_scaler:
            raise ValueError(
                "amp_dtype float16 needs enable_scaler: small gradients vanish in it; set "
                "enable_scaler: true, or amp_dtype: bfloat16"
            )

    @contextmanager
    def training(self) -> Iterator[None]:
        """Where losses are taken, and their gradients."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision(self.float32_matmul_precision)
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)

    def warn(self, device: torch.device) -> None:
        """Of half precision on a CPU that computes it by software, many times slower."""
        kind = torch.backends.cpu.get_cpu_capability()
        if self.enable_amp and device.type == "cpu" and kind in WITHOUT_HALF:
            logging.getLogger().warning(
                f"enable_amp: this CPU ({kind}) has no instructions for half precision: training "
                "will be many times slower than in float32"
            )

    def autocast(self, device: torch.device) -> torch.autocast:
        """Where losses are taken."""
        return torch.autocast(device.type, AMP_DTYPES[self.amp_dtype], enabled=self.enable_amp)


def compile_encoder(encoder: nn.Module, example: Tensor) -> None:
    """Compile ``encoder`` in place, for batches of every size, and try it on ``example`` [B, L, D].

    Raises:
        SettingError: it cannot be compiled here.
    """
    encoder.compile(dynamic=True)
    try:
        with torch.random.fork_rng():
            encoder(example.requires_grad_()).sum().backward()
    except Exception as error:  # whatever the compiler beneath raises
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        raise SettingError(
            f"compile: the encoder cannot be compiled on {example.device} ({type(error).__name__}: "
            f"{reason}); it needs a C++ compiler such as g++ on a CPU, and Triton on a GPU: "
            "install it, or set compile: false"
        ) from error
    encoder.zero_grad(set_to_none=True)
