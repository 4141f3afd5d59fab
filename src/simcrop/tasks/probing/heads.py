"""The fitted heads of a probe on disk, to be asked of other scans. Axes: d features, l label."""

import hmac
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from simcrop.errors import SimcropError
from simcrop.evaluation.heads.probe import Probe
from simcrop.evaluation.heads.trained import MODULES, TrainedHead, Training
from simcrop.evaluation.heads.views import Scaling
from simcrop.files.digest import digest_of_names
from simcrop.files.tensors import save_tensors

Head = Probe | TrainedHead
HEADS, LOGISTIC = "heads.safetensors", "logistic"
HASH_LENGTH = 16
PARTS = ("mean", "scale", "weights", "bias", "thresholds")
SPOILED = (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError)


@dataclass(frozen=True, eq=False)
class Heads:
    """Probes of one share, a seed each, for the features of one model pooled in one way; `head`: of which kind.
    `fitted`: the patients that these learned from, as hashes with `salt`, None of files that do not say.
    """

    labels: list[str]
    pool: str
    model: str
    source: str
    share: float
    probes: tuple[Head, ...]
    head: str = LOGISTIC
    salt: str = ""
    fitted: frozenset[str] | None = None

    def seen(self, patients: Iterable[str]) -> int | None:
        """How many of these the heads learned from; None where nobody knows."""
        if self.fitted is None:
            return None
        return len(self.fitted & set(hashed(patients, self.salt)))

    def fitted_on(self, cohort: str) -> bool:
        """Whether the cohort of this digest is theirs."""
        return self.salt == salt_of(cohort, self.model)


def save_heads(
    path: Path,
    found: Mapping[float, Sequence[Head]],
    labels: Sequence[str],
    settings: Mapping[str, Any],
    source: str,
    patients: Mapping[float, Collection[str]] | None = None,
) -> None:
    """All heads in one file; `source`: where their features came from; `patients`: whom each share learned from."""
    salt = salt_of(str(settings.get("cohort")), str(settings.get("model")))
    tensors = {
        f"{share:g}/{n}/{part}": tensor
        for share, heads in found.items()
        for n, each in enumerate(heads)
        for part, tensor in tensors_of(each).items()
    }
    said = {
        "labels": list(labels),
        "pool": settings["pool"],
        "model": settings["model"],
        "source": source,
        "head": settings.get("head", LOGISTIC),
        "shares": {f"{share:g}": [facts_of(each) for each in heads] for share, heads in found.items()},
        "salt": salt,
        "patients": {f"{share:g}": hashed(of, salt) for share, of in (patients or {}).items()},
    }
    save_tensors(tensors, path, {"simcrop": json.dumps(said)})


def salt_of(cohort: str, model: str) -> str:
    """Nothing is drawn, so that the same probe is the same bytes."""
    return digest_of_names([cohort, model])


def load_heads(folder: Path, share: float | None = None) -> Heads:
    """Of a folder that `simcrop probe` wrote: those of the largest share, or of the one asked for."""
    path = folder / HEADS
    try:
        with safe_open(path, "numpy") as file:
            said = json.loads((file.metadata() or {})["simcrop"])
            chosen = max(said["shares"], key=float) if share is None else f"{share:g}"
            parts: dict[str, dict[str, np.ndarray]] = {}
            for key in file.keys():  # noqa: SIM118 - it is no mapping
                of, n, part = key.split("/", 2)
                if of == chosen:
                    parts.setdefault(n, {})[part] = file.get_tensor(key)
            heads = tuple(
                head_of(parts[str(n)], facts) for n, facts in enumerate(said["shares"].get(chosen, ()))
            )
    except SPOILED as error:
        raise SimcropError(
            "bad-input", f"{folder} is no result of `simcrop probe`: no sound {HEADS} in it"
        ) from error
    if not heads:
        raise SimcropError(
            "bad-setting", f"{folder} has no share {chosen}; it has {', '.join(said['shares'])}"
        )
    fitted = said.get("patients", {}).get(chosen)
    return Heads(
        *(said["labels"], said["pool"], said["model"], said["source"], float(chosen), heads),
        head=said.get("head", LOGISTIC),
        salt=said.get("salt", ""),
        fitted=None if fitted is None else frozenset(fitted),
    )


def hashed(patients: Iterable[str], salt: str) -> list[str]:
    """Each patient once, in an order that tells nothing."""
    key = salt.encode()
    names = {str(name).encode(errors="surrogateescape") for name in patients}
    return sorted(hmac.new(key, name, "sha256").hexdigest()[:HASH_LENGTH] for name in names)


def save_head(path: Path, head: Head) -> None:
    """One alone, to the bit."""
    save_tensors(tensors_of(head), path, {"simcrop": json.dumps(facts_of(head))})


def load_head(path: Path) -> Head | None:
    """None where there is no sound one."""
    try:
        with safe_open(path, "numpy") as file:
            facts = json.loads((file.metadata() or {})["simcrop"])
            return head_of({key: file.get_tensor(key) for key in file.keys()}, facts)  # noqa: SIM118
    except SPOILED:
        return None


def tensors_of(head: Head) -> dict[str, torch.Tensor]:
    """Everything that is an array."""
    if isinstance(head, TrainedHead):
        state = {f"module.{name}": tensor for name, tensor in head.module.state_dict().items()}
        return state | {
            "learned": torch.from_numpy(head.learned),
            "thresholds": torch.from_numpy(head.thresholds),
        }
    arrays = head.scaling.mean, head.scaling.scale, head.weights, head.bias, head.thresholds
    return {
        part: torch.from_numpy(np.asarray(array, np.float64))
        for part, array in zip(PARTS, arrays, strict=True)
    }


def facts_of(head: Head) -> dict[str, Any]:
    """Everything else, as JSON has it."""
    kind = head.kind if isinstance(head, TrainedHead) else LOGISTIC
    return {"kind": kind, "exclusive": head.exclusive, **head.said}


def head_of(arrays: Mapping[str, np.ndarray], facts: Any) -> Head:
    """The head again; facts of earlier versions were a pair of view and strength."""
    said = (
        {"kind": LOGISTIC, "view": facts[0], "strength": facts[1]} if isinstance(facts, list) else dict(facts)
    )
    kind, exclusive = said.pop("kind"), said.pop("exclusive", False)
    if kind == LOGISTIC:
        scaling = Scaling(said["view"], arrays["mean"], arrays["scale"])
        weights, bias, thresholds = (arrays[part] for part in PARTS[2:])
        held_out = said.get("held_out_auroc")
        return Probe(scaling, weights, bias, said["strength"], held_out, thresholds, exclusive)
    learned, width = arrays["learned"], len(arrays["module.norm.weight"])
    module = MODULES[kind](width, int(learned.sum()))
    module.load_state_dict(
        {
            name.removeprefix("module."): torch.from_numpy(np.array(array))
            for name, array in arrays.items()
            if name.startswith("module.")
        }
    )
    return TrainedHead(kind, module, learned, exclusive, arrays["thresholds"], Training(**said))
