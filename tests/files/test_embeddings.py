"""Features from elsewhere: every shape that others store, and one line for what cannot be used."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from simcrop.errors import SimcropError
from simcrop.files.embeddings import holds_embeddings, read_embeddings

IDS = ("a_1", "b_2", "c.v3")
VECTORS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
TOKENS = np.random.default_rng(1).normal(size=(3, 5, 4)).astype(np.float32)


def parquet(path: Path) -> Path:
    pl.DataFrame({"id": IDS, "split": "x", "embedding": VECTORS.tolist()}).write_parquet(
        path / "made.parquet"
    )
    return path / "made.parquet"


def parquet_of_arrays(path: Path) -> Path:
    vectors = pl.Series("vector", VECTORS, dtype=pl.Array(pl.Float32, 4))
    pl.DataFrame({"id": [f"{name}.nii.gz" for name in IDS]}).with_columns(vectors).write_parquet(
        path / "made.parquet"
    )
    return path / "made.parquet"


def y_hat(path: Path) -> Path:
    for name, vector in zip(IDS, VECTORS, strict=True):
        with h5py.File(path / f"{name}.h5", "w") as file:
            file["y_hat"] = vector
    return path


def npz(path: Path) -> Path:
    for name, vector in zip(IDS, VECTORS, strict=True):
        np.savez(path / f"{name}.npz", embedding=vector)
    return path


def npy(path: Path) -> Path:
    for name, vector in zip(IDS, VECTORS, strict=True):
        np.save(path / f"{name}.nii.gz.npy", vector[None])
    return path


def folders(path: Path) -> Path:
    for name, vector in zip(IDS, VECTORS, strict=True):
        (path / name).mkdir()
        np.save(path / name / "image_projection.npy", vector)
        np.save(path / name / "text_projection.npy", -vector)
    return path


def tiles(path: Path) -> Path:
    for name, tokens in zip(IDS, TOKENS, strict=True):
        with h5py.File(path / f"{name}.h5", "w") as file:
            file["features"], file["coords"] = tokens, np.zeros((5, 2))
    return path


@pytest.mark.parametrize("write", [parquet, parquet_of_arrays, y_hat, npz, npy, folders])
def test_every_shape_gives_the_same_vectors(write: Callable[[Path], Path], tmp_path: Path) -> None:
    made = write(tmp_path)
    assert holds_embeddings(made)
    found = read_embeddings(made)
    assert sorted(found.ids) == sorted(IDS)
    np.testing.assert_array_equal(found.of(IDS, "it"), VECTORS)
    np.testing.assert_array_equal(found.of(IDS[::-1][:2], "it"), VECTORS[::-1][:2])


def test_tokens_are_pooled_as_asked(tmp_path: Path) -> None:
    tiles(tmp_path)
    np.testing.assert_allclose(read_embeddings(tmp_path).of(IDS, ""), TOKENS.mean(1), rtol=1e-5)
    np.testing.assert_array_equal(read_embeddings(tmp_path, "max").of(IDS, ""), TOKENS.max(1))


def test_scans_without_features_are_counted(tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match=r"lacks 4 of 5 scans: q0, q1, q2, \.\.\."):
        read_embeddings(parquet(tmp_path)).of(["q0", "q1", "a_1", "q2", "q3"], "made.parquet")


def torn_npz(path: Path, at: int | None = None) -> None:
    """Its end is gone, or one byte is another."""
    np.savez(path, embedding=np.arange(100.0))
    content = path.read_bytes()
    path.write_bytes(
        content[:200] if at is None else content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    )


def spoiled(path: Path, change: Callable[[Path], object]) -> str:
    change(npy(path))
    with pytest.raises(SimcropError) as caught:
        read_embeddings(path)
    return caught.value.sentence


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: np.save(path / "d.npy", np.zeros(5)), "vectors of several widths: 4, 5"),
        (lambda path: np.save(path / "d.npy", np.full(4, np.nan)), "NaN or infinite) in 1 of its vectors"),
        (lambda path: np.save(path / "a_1.npy", np.zeros(4)), "several vectors for 1 of its ids"),
        (lambda path: np.save(path / "d.npy", np.array([{"code": 1}]), allow_pickle=True), "no sound .npy"),
        (lambda path: np.save(path / "d.npy", np.array(["a", "b"])), "holds no vector of numbers"),
        (lambda path: np.save(path / "d.npy", np.zeros(4, complex)), "holds no vector of numbers"),
        (lambda path: np.savez(path / "d.npz", other=np.zeros(4)), "no sound .npz with the key 'embedding'"),
        (lambda path: torn_npz(path / "d.npz"), "no sound .npz with the key 'embedding'"),
        (lambda path: torn_npz(path / "d.npz", 150), "no sound .npz with the key 'embedding'"),
        (
            lambda path: (path / "d.h5").write_bytes(b"no such thing"),
            "no sound .h5 with a dataset 'y_hat' or",
        ),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(
    tmp_path: Path, change: Callable[[Path], object], words: str
) -> None:
    assert words in spoiled(tmp_path, change)


def test_table_without_lists_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "made.parquet"
    pl.DataFrame({"id": IDS, "value": [1.0, 2.0, 3.0]}).write_parquet(path)
    with pytest.raises(SimcropError, match="a column `id` and a column of lists"):
        read_embeddings(path)
    path.write_bytes(b"PAR1 torn")
    with pytest.raises(SimcropError, match="damaged or no Parquet"):
        read_embeddings(path)


def test_row_without_an_id_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path)
    table = pl.read_parquet(path)
    table.with_columns(pl.Series("id", [*IDS[:-1], None])).write_parquet(path)
    with pytest.raises(SimcropError, match=r"made.parquet has no id in 1 of its rows"):
        read_embeddings(path)


def test_model_folder_is_no_folder_of_features(tmp_path: Path) -> None:
    assert not holds_embeddings(tmp_path)
    npy(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert not holds_embeddings(tmp_path)
