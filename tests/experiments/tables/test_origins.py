"""Results of another cohort, another model or other heads are refused, and no digest is made twice."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from simcrop.errors import SimcropError
from simcrop.experiments.tables import jobs as all_jobs
from simcrop.experiments.tables import origins
from simcrop.experiments.tables.jobs import Ground, Job, Pretrain, Probe, Segment, Transfer
from simcrop.experiments.tables.origins import Digests, refuse_other_origins
from simcrop.files.digest import digest_of_files
from simcrop.tasks.probing.probe import ProbeOptions


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def recorded(folder: Path, settings: dict[str, str], **more: object) -> None:
    written(folder / "run.json", json.dumps({"verb": "some", "settings": settings, **more}))
    written(folder / "metrics.json", "{}")


@pytest.fixture
def jobs(tmp_path: Path) -> dict[str, Job]:
    """Done, each of the files that lie there."""
    cohort, model = tmp_path / "cohort", tmp_path / "run"
    studies = digest_of_files(written(cohort / "studies.parquet", "studies"))
    files = written(model / "model/model.safetensors", "weights"), written(model / "model/config.json", "{}")
    whole, weights = digest_of_files(*files), digest_of_files(files[0])
    places = {name: tmp_path / name for name in ("probe", "transfer", "segment", "ground")}
    recorded(places["probe"], {"cohort": studies, "model": whole})
    heads = digest_of_files(written(places["probe"] / "heads.safetensors", "heads"))
    recorded(places["transfer"], {"cohort": studies, "model": whole, "probe": heads})
    recorded(places["segment"], {"cohort": studies}, start={"sha256": whole})
    recorded(places["ground"], {"cohort": studies})
    recorded(places["ground"] / "01", {"model": weights})
    return {
        "probe": Probe("mae", 0, places["probe"], cohort, model, (1.0,)),
        "transfer": Transfer("mae", 0, places["transfer"], cohort, places["probe"]),
        "segment": Segment("mae", 0, places["segment"], cohort, "segment-tiny", (), after=(model,)),
        "ground": Ground("mae", 0, places["ground"], cohort, model),
    }


CHANGES = {
    "probe": {"cohort/studies.parquet": "cohort", "run/model/model.safetensors": "model"},
    "transfer": {"cohort/studies.parquet": "cohort", "probe/heads.safetensors": "probe"},
    "segment": {"run/model/config.json": "model"},
    "ground": {"cohort/studies.parquet": "cohort", "run/model/model.safetensors": "model"},
}


@pytest.mark.parametrize(("verb", "changed"), [(verb, path) for verb, of in CHANGES.items() for path in of])
def test_results_of_something_else_are_refused_with_the_folder_to_remove(
    verb: str, changed: str, jobs: dict[str, Job], tmp_path: Path
) -> None:
    refuse_other_origins(jobs.values(), (), Digests())
    (tmp_path / changed).write_text("another")
    with pytest.raises(SimcropError) as told:
        refuse_other_origins([jobs[verb]], (), Digests())
    place, what = tmp_path / changed.split("/")[0], CHANGES[verb][changed]
    assert told.value.reason == "other-origin"
    assert f"{tmp_path / verb} has results of another {what} than {place}: " in told.value.sentence
    assert "remove that folder" in told.value.sentence


def test_results_of_a_model_that_has_yet_to_be_trained_are_refused(
    jobs: dict[str, Job], tmp_path: Path
) -> None:
    training = Pretrain("mae", 0, tmp_path / "run", tmp_path / "cohort", "mae-tiny", ())
    with pytest.raises(SimcropError, match="has results of another model than"):
        refuse_other_origins([jobs["probe"]], [training], Digests())


def test_a_model_that_is_not_there_any_more_is_not_asked_for(jobs: dict[str, Job], tmp_path: Path) -> None:
    (tmp_path / "run/model/config.json").unlink()
    refuse_other_origins(jobs.values(), (), Digests())


def test_maps_whose_cohort_is_not_known_are_held_to_their_model(jobs: dict[str, Job], tmp_path: Path) -> None:
    (tmp_path / "ground/run.json").unlink()
    refuse_other_origins([jobs["ground"]], (), Digests())
    (tmp_path / "run/model/model.safetensors").write_text("another")
    with pytest.raises(SimcropError, match="another model"):
        refuse_other_origins([jobs["ground"]], (), Digests())


def test_no_file_is_read_for_its_digest_twice_unless_it_was_written_again(
    jobs: dict[str, Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    monkeypatch.setattr(
        origins, "digest_of_files", lambda *files: (read.extend(files), digest_of_files(*files))[1]
    )
    for _ in range(2):
        digests = Digests(tmp_path / "digests.json")
        refuse_other_origins([*jobs.values(), replace(jobs["probe"], seed=1)], (), digests)
        digests.keep()
    assert sorted(path.name for path in read).count("studies.parquet") == 1
    before = len(read)
    os.utime(tmp_path / "cohort/studies.parquet", ns=(1, 1))
    refuse_other_origins(jobs.values(), (), Digests(tmp_path / "digests.json"))
    assert [path.name for path in read[before:]] == ["studies.parquet"]
    (tmp_path / "digests.json").write_text("not ours")
    refuse_other_origins(jobs.values(), (), Digests(tmp_path / "digests.json"))


def test_a_probe_that_was_begun_and_not_done_is_made_again(
    jobs: dict[str, Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(Probe, "options", lambda *_: ProbeOptions())
    monkeypatch.setattr(all_jobs, "open_cohort", lambda _: None)
    monkeypatch.setattr(all_jobs, "probe", lambda *_, overwrite: asked.append(overwrite))
    monkeypatch.setattr(all_jobs, "transfer", lambda *_, overwrite: asked.append(overwrite))
    for verb in ("probe", "transfer"):
        (jobs[verb].folder / "metrics.json").unlink()
        (jobs[verb].folder / "run.json").write_text('{"verb": "some", "settings": {"cohort": "another"}}')
        refuse_other_origins([jobs[verb]], (), Digests())
        jobs[verb].run()
    assert asked == [True, True]
