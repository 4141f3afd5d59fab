"""`simcrop embed` in the shapes of others, read back by those who take features; patch tokens where they belong."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
from torch import Tensor

from simcrop.data.samples.dataset import placement_of
from simcrop.data.store.cohort import open_cohort
from simcrop.files.embeddings import holds_embeddings, read_embeddings
from simcrop.model import Model, load


@pytest.fixture(scope="module")
def table(line, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    from simcrop.tasks.features.embed import embed

    done = embed(str(line.run), line.cohort, tmp_path_factory.mktemp("embed") / "out")
    found = read_embeddings(done.where.parent)  # the folder is as good as the table
    return pl.DataFrame({"id": found.ids, "vector": found.values})


@pytest.mark.parametrize("form", ["h5", "npz", "npy"])
def test_each_format_is_read_back_as_it_was(
    simcrop: Callable, line, table: pl.DataFrame, form: str, tmp_path: Path
) -> None:
    ran = simcrop("embed", line.run, line.cohort, "--out", tmp_path / "out", "--format", form)
    assert ran.code == 0, ran.err
    assert ran.out.strip() == f"{table.height} scans in {tmp_path / 'out'}"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"run.json", "metrics.json", *(f"{name}.{form}" for name in table["id"])}
    assert holds_embeddings(tmp_path / "out")
    found = read_embeddings(tmp_path / "out")
    np.testing.assert_allclose(found.of(table["id"].to_list(), ""), table["vector"].to_numpy(), atol=1e-6)
    first = tmp_path / "out" / f"{table['id'][0]}.{form}"
    if form == "h5":
        with h5py.File(first) as file:
            assert set(file) == {"y_hat"}
    elif form == "npz":
        assert set(np.load(first)) == {"embedding"}


@pytest.mark.parametrize("form", ["h5", "npz"])
def test_tokens_lie_where_their_patches_are_and_pool_to_the_vector(
    simcrop: Callable, line, table: pl.DataFrame, form: str, tmp_path: Path
) -> None:
    words = () if form == "h5" else ("--format", form)
    ran = simcrop("embed", line.run, line.cohort, "--out", tmp_path / "out", "--tokens", *words)
    assert ran.code == 0, ran.err
    found = read_embeddings(tmp_path / "out")
    np.testing.assert_allclose(found.of(table["id"].to_list(), ""), table["vector"].to_numpy(), atol=1e-5)
    model, study = load(line.run), open_cohort(line.cohort)[3]
    tokens, coords, inside = read_tokens(tmp_path / "out" / f"{study.id}.{form}")
    assert tokens.shape == (model.grid.count, 48)
    placement = placement_of(study, model.spec)
    for n in (0, 1, model.grid.count - 1):
        low, high = placement.box_mm(model.grid.index(n), model.grid.patch)
        np.testing.assert_allclose(coords[n], (low + high) / 2, atol=1e-3)
    np.testing.assert_array_equal(inside, placement.holds_scan(model.grid.shape).reshape(-1))


def read_tokens(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if path.suffix == ".npz":
        arrays = np.load(path)
        return arrays["features"], arrays["coords"], arrays["inside"]
    with h5py.File(path) as file:
        return np.asarray(file["features"]), np.asarray(file["coords"]), np.asarray(file["inside"])


def test_tokens_of_a_scan_lie_in_its_own_frame_and_padding_is_marked(
    simcrop: Callable, line, scan: Callable, save: Callable, tmp_path: Path
) -> None:
    """A turned and shifted frame: the tokens that hold some of the scan lie on it, and the others beside it."""
    affine = np.array([[0, -2.5, 0, 31], [2, 0, 0, -57], [0, 0, 4, 900], [0, 0, 0, 1.0]])
    ct = save(tmp_path / "small.nii.gz", scan(1), affine)
    assert simcrop("embed", line.run, ct, "--out", tmp_path / "out", "--tokens").code == 0
    _, coords, inside = read_tokens(tmp_path / "out/small.h5")
    assert 0 < inside.sum() < len(inside)
    corners = np.array([[31, -57, 900], [31 - 2.5 * 22, -57 + 2 * 28, 900 + 4 * 16]])
    model = load(line.run)
    reach = np.array(model.spec.spacing_mm) * model.grid.patch / 2 + 5
    on_it = ((coords > corners.min(0) - reach) & (coords < corners.max(0) + reach)).all(1)
    assert on_it[inside].all()
    assert not ((coords > corners.min(0)) & (coords < corners.max(0))).all(1)[~inside].any()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--tokens", "--format", "parquet"), "--tokens wants --format h5 or npz: parquet has no place"),
        (("--tokens", "--format", "npy"), "--tokens wants --format h5 or npz: npy has no place"),
        (("--format", "hdf5"), "--format wants parquet, h5, npz, npy, got 'hdf5'"),
        (("--tokens", "--ray", "auto"), "without --ray"),
    ],
)
def test_what_has_no_format_is_refused(
    simcrop: Callable, line, words: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    assert sentence in simcrop("embed", line.run, line.cohort, "--out", tmp_path / "out", *words).refusal
    assert not (tmp_path / "out").exists()


def test_missing_package_is_named_before_any_work(
    simcrop: Callable, line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    ran = simcrop("embed", line.run, line.cohort, "--out", tmp_path / "out", "--format", "h5")
    assert 'pip install "simcrop[h5]"' in ran.refusal
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("tokens", [False, True])
def test_interrupted_files_continue(
    simcrop: Callable, line, table: pl.DataFrame, tokens: bool, tmp_path: Path, monkeypatch
) -> None:
    passes: list[int] = []
    real = Model.features_of

    def stop_after_two(self: Model, volumes: Tensor) -> Tensor:
        if len(passes) == 2:
            raise KeyboardInterrupt
        passes.append(len(volumes))
        return real(self, volumes)

    monkeypatch.setattr("simcrop.tasks.features.scan_vectors.AT_ONCE", 4)
    monkeypatch.setattr("simcrop.tasks.features.embed_tokens.AT_ONCE", 4)
    more = ("--format", "npz", *(["--tokens"] if tokens else []))
    words = ("embed", line.run, line.cohort, "--out", tmp_path / "out", *more)
    with monkeypatch.context() as patch:
        patch.setattr(Model, "features_of", stop_after_two)
        assert simcrop(*words).code == 130
    (tmp_path / "out/.a.npz.host-1.tmp").write_bytes(b"half")
    asked: list[int] = []
    monkeypatch.setattr(Model, "features_of", lambda self, v: (asked.append(len(v)), real(self, v))[1])
    assert simcrop(*words, "--resume").code == 0
    assert sum(asked) == table.height - 8
    found = read_embeddings(tmp_path / "out")
    np.testing.assert_allclose(found.of(table["id"].to_list(), ""), table["vector"].to_numpy(), atol=1e-5)
    assert not (tmp_path / "out/.a.npz.host-1.tmp").exists()


@pytest.mark.parametrize("words", [(), ("--format", "npy"), ("--tokens",)], ids=["table", "files", "tokens"])
def test_scan_that_cannot_be_read_is_refused_and_the_rest_goes_on(
    simcrop: Callable, line, table: pl.DataFrame, words: tuple[str, ...], tmp_path: Path
) -> None:
    shutil.copytree(line.cohort, tmp_path / "cohort")
    gone, torn = (open_cohort(tmp_path / "cohort")[row] for row in (1, 5))
    gone.path.unlink()
    torn.path.write_bytes(torn.path.read_bytes()[:200])
    ran = simcrop("embed", line.run, tmp_path / "cohort", "--out", tmp_path / "out", *words)
    assert ran.code == 1
    assert "2 scans refused" in ran.err
    assert gone.id not in ran.out + ran.err
    refused = json.loads((tmp_path / "out/metrics.json").read_text())["refused"]
    assert {one["id"]: one["reason"] for one in refused} == {
        gone.id: "missing-volume",
        torn.id: "corrupt-volume",
    }
    found = read_embeddings(tmp_path / "out")
    assert set(found.ids) == set(table["id"]) - {gone.id, torn.id}
    kept = table.filter(pl.col("id").is_in(found.ids))
    np.testing.assert_allclose(found.of(kept["id"].to_list(), ""), kept["vector"].to_numpy(), atol=1e-5)
    again = simcrop("embed", line.run, tmp_path / "cohort", "--out", tmp_path / "out", *words, "--resume")
    assert again.code == 1


def test_cohort_of_which_nothing_can_be_read_is_refused(simcrop: Callable, line, tmp_path: Path) -> None:
    shutil.copytree(line.cohort, tmp_path / "cohort")
    for study in open_cohort(tmp_path / "cohort"):
        study.path.unlink()
    ran = simcrop("embed", line.run, tmp_path / "cohort", "--out", tmp_path / "out")
    assert ran.code == 2
    assert "none of its 14 scans can be read" in ran.err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
