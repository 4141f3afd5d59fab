"""What `simcrop pretrain` does before its first step, on a made-up index as large as CT-RATE's.

    python benchmarks/start.py --studies 47149 --json benchmarks/results/start.json

Prints JSON: seconds from the command to its first line on stderr and to its end, and of processor time (for a shared
machine), for a first run and for one that finds what the first has kept; and the memory at the peak. The index has
reports but no scans, so each command ends where it would read its first scan: all that it did is starting up. Reports
are made-up words, as many and as different from one another as CT-RATE's: 16.3 sentences each, one in 7.9 of them new.
The text encoder is by default the first layer of MiniLM, so that a first run on a processor is over soon; --layers 6
takes all of it.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl
from safetensors.torch import load_file, save_file

from simcrop.data.store.format import COHORT, FORMAT, LEDGER, STUDIES
from simcrop.data.store.schema import LEDGER_SCHEMA, STUDY_SCHEMA
from simcrop.weights.embedded import text_encoder_folder

SENTENCES, NEW = 16.3, 0.1275  # per report, and the share of them that no report before has said
WORDS = """
right left upper lower lobe lung nodule opacity effusion pleural mediastinal lymph node calcific plaque heart size
normal observed detected measuring diameter millimetric ground glass consolidation atelectasis segment basal apical
aorta coronary artery stent trachea bronchi thickening emphysema fibrotic sequela density liver kidney adrenal vertebra
degenerative rib fracture no pathological appearance evident within limits bilateral minimal several
"""
VOCABULARY = WORDS.split()


def main() -> None:
    chosen = arguments()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        distinct = write_index(home / "cohort", chosen.studies)
        encoder = write_encoder(home / "encoder", chosen.layers)
        words = [str(home / "cohort"), "--recipe", chosen.recipe]
        words += ["--set", f"text.model={encoder}", "--set", "data.workers=0", *set_words(chosen.set)]
        runs = {
            name: started([*words, "--out", str(home / name)], chosen.threads) for name in ("first", "again")
        }
    report = {
        "studies": chosen.studies,
        "distinct_sentences": distinct,
        "recipe": chosen.recipe,
        "encoder_layers": chosen.layers,
        "threads": chosen.threads,
        "runs": runs,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if chosen.json is not None:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(text + "\n")


def write_index(cohort: Path, studies: int, sentences: float = SENTENCES, new: float = NEW) -> int:
    """A cohort without a voxel: its tables alone; the number of distinct sentences in it."""
    draw = random.Random(0)
    said: list[str] = []
    distinct: set[str] = set()
    rows = []
    for study in range(studies):
        findings = []
        for _ in range(round(draw.gauss(sentences, 4))):
            old = bool(said) and draw.random() >= new
            findings.append(draw.choice(said) if old else new_sentence(draw, distinct))
            said.append(findings[-1])
        rows.append(row(f"train_{study}_a_1", f"train_{study}", " ".join(findings), draw.choice(said)))
    cohort.mkdir(parents=True)
    pl.DataFrame(rows, STUDY_SCHEMA, orient="row").write_parquet(cohort / STUDIES)
    pl.DataFrame(schema=LEDGER_SCHEMA).write_parquet(cohort / LEDGER)
    facts = {"kind": "simcrop-cohort", "format": FORMAT, "codec": "lz4", "antialias": False}
    facts |= {"spacing_mm": [1.5, 1.5, 3.0], "window_hu": [-1000, 1000]}
    (cohort / COHORT).write_text(json.dumps(facts))
    return len(distinct)


def new_sentence(draw: random.Random, distinct: set[str]) -> str:
    """One that is not among `distinct`, to which it is added."""
    sentence = ""
    while not sentence or sentence in distinct:
        words = " ".join(draw.choices(VOCABULARY, k=draw.randint(6, 20)))
        sentence = f"{words.capitalize()} of {draw.randint(2, 40)} mm."
    distinct.add(sentence)
    return sentence


def row(study: str, patient: str, findings: str, impression: str) -> dict[str, Any]:
    """One line of the table of studies; its scan is nowhere."""
    shape, affine = [224, 224, 112], [1.5, 0, 0, 0, 0, 1.5, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1]
    return {
        "id": study,
        "patient": patient,
        "scan": f"{study}.nii.gz",
        "split": "train",
        "findings": findings,
        "impression": impression,
        "sentences": findings.count("."),
        "checksum": study,
        "status": "taken",
        "source_path": f"{study}.nii.gz",
        "source_shape": shape,
        "source_affine": affine,
        "hu_decision": "null",
        "mask_path": None,
        "mask_checksum": None,
        "source_mask_checksum": None,
        "mask_values": None,
        "shape": shape,
        "affine": affine,
    }


def write_encoder(folder: Path, layers: int) -> Path:
    """The first layers of the embedded text encoder: as wide, and sooner done."""
    whole = text_encoder_folder("minilm")
    folder.mkdir()
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        if (whole / name).is_file():
            (folder / name).write_bytes((whole / name).read_bytes())
    config = json.loads((whole / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": layers}))
    left_out = tuple(f"encoder.layer.{i}." for i in range(layers, config["num_hidden_layers"]))
    state = {
        name: tensor
        for name, tensor in load_file(whole / "model.safetensors").items()
        if not name.removeprefix("bert.").startswith(left_out or "none")
    }
    save_file(state, folder / "model.safetensors")
    return folder


def started(words: list[str], threads: int) -> dict[str, float]:
    """Seconds of one command, to its first line and to the scan that it does not find."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    began, before = perf_counter(), processor_seconds()
    command = [sys.executable, "-m", "simcrop", "pretrain", *words]
    lines: list[tuple[float, str]] = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append((perf_counter() - began, line))
    assert lines, "nothing was printed"
    assert "study train_" in lines[-1][1], lines[-1][1]
    return {
        "first_line": round(lines[0][0], 2),
        "first_scan": round(perf_counter() - began, 2),
        "processor": round(processor_seconds() - before, 2),
    }


def processor_seconds() -> float:
    """Of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def set_words(settings: list[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=47_149)
    parser.add_argument("--recipe", default="simcrop-paper")
    parser.add_argument("--set", action="append", default=[], help="further settings of the recipe")
    parser.add_argument("--layers", type=int, default=1, choices=range(1, 7), help="of the text encoder")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the report here as well")
    return parser.parse_args()


if __name__ == "__main__":
    main()
