"""A policy from a file of ONNX: run by onnxruntime, without torch.

Two files: ``policy.onnx`` is the graph (``serving.onnx_graph``), and ``policy.json`` beside it says
what goes into it, what the items are called, and which graph it is of.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recbole_lpi.data.times import GAP_BINS
from recbole_lpi.data.tokens import Tokens
from recbole_lpi.serving.encoding import Encoded, Vocabulary
from recbole_lpi.serving.recommender import Recommender
from recbole_lpi.serving.served_policy import ServedPolicy
from recbole_lpi.settings import SettingError, coerce

FORMAT, SCHEMA = "recbole_lpi.onnx", 1
OUTPUTS = ("best", "best_log_pi", "log_pi")
VALUES: dict[str, Any] = {
    "model": str, "inputs": list[str], "max_length": int, "opens": bool, "k": int,
    "event_names": list[str], "items": list[str], "sha256": str,
}  # fmt: skip


def load_onnx(path: str | os.PathLike[str], threads: int | None = None) -> Recommender:
    """Load a policy to recommend with from what ``recbole-lpi export`` wrote; torch is not needed.

    Args:
        path: the file of ONNX, or the folder that holds ``policy.onnx``.
        threads: of onnxruntime; None: as many as there are cores.

    Raises:
        SettingError: onnxruntime is not installed, a file is missing, or the two are not of one
            export.
    """
    graph = Path(path) / "policy.onnx" if Path(path).is_dir() else Path(path)
    if not graph.is_file():
        raise SettingError(f"no file of ONNX at {graph}: write one with recbole-lpi export")
    about = _read(graph.with_suffix(".json"))
    if about["sha256"] != hash_of(graph):
        raise SettingError(f"{graph} is not what {graph.with_suffix('.json')} is of: export again")
    return Recommender(
        OnnxPolicy(graph, about, threads),
        Vocabulary(Tokens(about["items"]), tuple(about["event_names"])),
    )


def describe_graph(
    policy: ServedPolicy, vocabulary: Vocabulary, model: str, k: int, graph: Path
) -> dict[str, Any]:
    """Return what ``policy.json`` says of a graph, for other programs too."""
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "model": model,
        "inputs": list(policy.inputs),
        "max_length": policy.max_length,
        "opens": policy.opens,
        "k": k,
        "gap_bins": GAP_BINS,
        "sha256": hash_of(graph),
        "event_names": list(vocabulary.event_names),
        "items": vocabulary.items.tolist(),
    }


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


class OnnxPolicy(ServedPolicy):
    """A policy whose graph onnxruntime runs."""

    def __init__(self, graph: Path, about: Mapping[str, Any], threads: int | None = None) -> None:
        n_items = len(about["items"]) - 1
        super().__init__(n_items, about["max_length"], tuple(about["inputs"]), about["opens"])
        self.k = about["k"]
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise SettingError(
                "a file of ONNX needs onnxruntime: pip install 'recbole-lpi[onnx]'"
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 4  # what goes wrong is raised
        try:
            self._session = onnxruntime.InferenceSession(
                str(graph), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # whatever a damaged file provokes
            raise SettingError(f"{graph} is no file that onnxruntime runs: {error}") from None
        self._fields = [given.name for given in self._session.get_inputs()]

    def log_pi(self, histories: Encoded) -> np.ndarray:
        """Return log π of every item after each of n histories, float32 [n, A]."""
        return np.asarray(self._run(histories, "log_pi")[0])

    def best(self, histories: Encoded, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the index and log π of the k best items, from the graph where it gives as many."""
        if k > self.k:
            return super().best(histories, k)
        ids, scores = self._run(histories, "best", "best_log_pi")
        return ids[:, :k] - 1, scores[:, :k]

    def _run(self, histories: Encoded, *outputs: str) -> list[np.ndarray]:
        given = {name: getattr(histories, name) for name in self._fields}
        return [np.asarray(found) for found in self._session.run(list(outputs), given)]


def _read(path: Path) -> dict[str, Any]:
    """Read ``policy.json``; SettingError for anything else."""
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingError(f"{path} is missing: it was written beside the file of ONNX") from None
    except (ValueError, RecursionError):
        about = None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise SettingError(f"{path} is not what recbole-lpi export writes beside a file of ONNX")
    if about.get("schema") != SCHEMA:
        raise SettingError(
            f"{path} has schema {about.get('schema')}, and this version reads {SCHEMA}: export "
            "again"
        )
    return {name: coerce(f"{path}: {name}", about.get(name), kind) for name, kind in VALUES.items()}
