"""Half precision, TF32 and torch.compile: the same training, but for rounding."""

from __future__ import annotations

import shutil
from functools import partial
from typing import Any

import pytest
import torch

from recbole_lpi.nn import tiled_catalogue
from recbole_lpi.plugin.runner import run
from recbole_lpi.settings import SettingError
from recbole_lpi.training.acceleration import compile_encoder
from recbole_lpi.training.learner import PolicyLearner
from recbole_lpi.training.step import TrainingStep
from tests.support.logs import SMALL

pytestmark = pytest.mark.recbole

EXACT = {"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0}  # dropout draws otherwise compiled
HALF = {"enable_amp": True, "amp_dtype": "float16", "enable_scaler": True}
needs_compiler = pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler"
)


class Trained:
    """Losses of every step, and weights, of a run."""

    def __init__(self, model: str, run_dir: str, monkeypatch: pytest.MonkeyPatch, **given):
        steps, take = [], TrainingStep.__call__

        def noting(step, *rest):
            found = take(step, *rest)
            if step.module.name == model:  # not those of its logging policy
                steps.append([float(value) for value in found.values()])
            return found

        with monkeypatch.context() as patched:
            patched.setattr(TrainingStep, "__call__", noting)
            finished = run(model, "shop", (), {**SMALL, **EXACT, "run_dir": run_dir, **given})
        self.steps = torch.tensor(steps)
        self.state = torch.load(finished.folder.model, weights_only=True)["state_dict"]
        self.results = finished.results["test"]

    def weights(self) -> torch.Tensor:
        return torch.cat([value.float().flatten() for value in self.state.values()])


@pytest.mark.parametrize("model", ["LPIRL", "LPI", "SA2C", "IPS"])
@pytest.mark.parametrize(("given", "tolerance"), [({"enable_amp": True}, 0.02), (HALF, 0.004)])
def test_training_in_half_precision_agrees(log, monkeypatch, model, given, tolerance):
    # The scaler begins at 65,536 and skips steps until nothing overflows: those would be missing.
    monkeypatch.setattr(torch.amp, "GradScaler", partial(torch.amp.GradScaler, init_scale=2.0**10))
    warm = {"warmup_epochs": 1} if model == "SA2C" else {}
    plain = Trained(model, "runs/a", monkeypatch, **warm)
    products: set[torch.dtype] = set()
    of_state: Any = vars(tiled_catalogue)["product_dtype"]
    with monkeypatch.context() as patched:
        noted = lambda state: products.add(of_state(state)) or of_state(state)  # noqa: E731
        patched.setattr(tiled_catalogue, "product_dtype", noted)
        half = Trained(model, "runs/b", monkeypatch, **warm, **given)
    torch.testing.assert_close(half.steps, plain.steps, rtol=tolerance, atol=tolerance / 10)
    assert products == {getattr(torch, given.get("amp_dtype", "bfloat16"))}
    assert all(value.dtype == plain.state[name].dtype for name, value in half.state.items())
    # Evaluation is in float32: what differs are the weights, a little.
    moved = (half.weights() - plain.weights()).norm() / plain.weights().norm()
    assert 0 < moved < tolerance
    for name in ("log_pi", "ndcg@10"):
        if name in plain.results:
            assert half.results[name].mean == pytest.approx(plain.results[name].mean, abs=0.05)


def test_precision_of_float32_products_is_that_of_training_alone(log, monkeypatch):
    seen: dict[str, set[str]] = {"step": set(), "rank": set()}
    losses, ranker = PolicyLearner.losses, PolicyLearner.ranker

    def noting(what, method):
        def noted(learner, *rest):
            if learner.network.name == "LPIRL":
                seen[what].add(torch.get_float32_matmul_precision())
            return method(learner, *rest)

        return noted

    monkeypatch.setattr(PolicyLearner, "losses", noting("step", losses))
    monkeypatch.setattr(PolicyLearner, "ranker", noting("rank", ranker))
    plain = Trained("LPIRL", "runs/a", monkeypatch)
    assert seen == {"step": {"highest"}, "rank": {"highest"}}
    seen["step"].clear()
    lower = Trained("LPIRL", "runs/b", monkeypatch, float32_matmul_precision="medium")
    assert seen == {"step": {"medium"}, "rank": {"highest"}}
    assert torch.get_float32_matmul_precision() == "highest"
    torch.testing.assert_close(lower.steps, plain.steps, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("capability", ["AVX2", "AVX512"])
def test_a_cpu_that_is_slow_in_half_precision_is_warned_of(log, monkeypatch, caplog, capability):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    Trained("LoggingPolicy", "runs/a", monkeypatch, enable_amp=True)
    assert ("no instructions for half precision" in caplog.text) == (capability == "AVX2")


def test_what_the_program_sets_itself_is_left_alone_or_refused(log, monkeypatch):
    def mixed():  # as torch answers once torch.backends.fp32_precision has been set
        raise RuntimeError("mix of the legacy and new APIs")

    monkeypatch.setattr(torch, "get_float32_matmul_precision", mixed)
    Trained("LoggingPolicy", "runs/a", monkeypatch)
    with pytest.raises(SettingError, match="float32_matmul_precision cannot be high: this program"):
        Trained("LoggingPolicy", "runs/b", monkeypatch, float32_matmul_precision="high")


@needs_compiler
def test_a_compiled_encoder_agrees_and_its_checkpoint_is_any_others(log, monkeypatch):
    plain = Trained("LPIRL", "runs/a", monkeypatch)
    called, compile_ = [], torch.nn.Module.compile
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda *a, **k: called.append(a[0]) or compile_(*a, **k)
    )
    compiled = Trained("LPIRL", "runs/b", monkeypatch, compile=True)
    assert [type(module).__name__ for module in called] == ["SASRec"]
    torch.testing.assert_close(compiled.steps, plain.steps, rtol=1e-4, atol=1e-5)
    assert list(compiled.state) == list(plain.state)
    for name, found in plain.results.items():
        assert compiled.results[name].mean == pytest.approx(found.mean, abs=1e-3), name


def test_training_alone_is_compiled(log, monkeypatch):
    """By a backend that notes in which mode the encoder runs, and needs no compiler."""
    modes, compile_ = [], torch.nn.Module.compile

    def compile_noting(module, **given):
        def backend(graph, inputs):
            return lambda *values: modes.append(module.training) or graph(*values)

        return compile_(module, backend=backend, **given)

    monkeypatch.setattr(torch.nn.Module, "compile", compile_noting)
    Trained("LoggingPolicy", "runs/a", monkeypatch, compile=True)
    assert modes and all(modes)


def test_the_trial_of_a_compiled_encoder_leaves_no_trace(monkeypatch):
    compile_ = torch.nn.Module.compile
    monkeypatch.setattr(
        torch.nn.Module,
        "compile",
        lambda module, **given: compile_(module, backend="eager", **given),
    )
    encoder = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.5))
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    compile_encoder(encoder, torch.randn(2, 3, 4))
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(parameter.grad is None for parameter in encoder.parameters())
    torch.manual_seed(7)
    compile_encoder(encoder, torch.zeros(2, 3, 4))
    assert torch.equal(torch.rand(1), expected)


def test_without_a_compiler_one_line_says_so_before_anything_is_trained(log, monkeypatch):
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", ("/nowhere/g++",))
    monkeypatch.setattr(config, "force_disable_caches", True)  # nothing that was compiled before
    torch.compiler.reset()
    with pytest.raises(
        SettingError, match=r"^compile: the encoder cannot be compiled on cpu .*g\+\+"
    ):
        Trained("LPIRL", "runs/a", monkeypatch, compile=True)
    assert not list(log.parents[2].glob("runs/logging_policy/*"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"amp_dtype": "fp8"}, "amp_dtype must be one of bfloat16, float16, got 'fp8'"),
        (
            {"enable_amp": True, "amp_dtype": "float16"},
            "float16 needs enable_amp, and enable_scaler",
        ),
        ({"enable_scaler": True, "amp_dtype": "float16"}, "amp_dtype float16 needs enable_amp"),
        (
            {"float32_matmul_precision": "tf32"},
            "float32_matmul_precision must be one of highest, high, medium, or empty, got 'tf32'",
        ),
        ({"compile": "encoder"}, "compile must be true or false, got 'encoder'"),
    ],
)
def test_wrong_settings_are_refused(log, given, says):
    with pytest.raises(SettingError, match=says):
        run("LPIRL", "shop", (), {**SMALL, **given})


@pytest.mark.parametrize("model", ["SASRec", "Popularity"])
def test_what_has_no_encoder_of_ours_is_not_compiled(log, model):
    with pytest.raises(SettingError, match=f"compile: {model} has no encoder"):
        run(model, "shop", (), {**SMALL, "compile": True})
