"""The names that scripts rely on, used as the documentation shows them."""

from importlib import import_module

import numpy as np
import pytest
import torch

import simcrop

PURE = {
    "simcrop.losses": ("masked_patch_mse", "nearest_patches", "info_nce"),
    "simcrop.nn.position": ("sincos_3d",),
    "simcrop.nn.patch": ("PatchGrid",),
    "simcrop.data.preprocess": ("preprocess",),
    "simcrop.data.ingest": ("prepare",),
    "simcrop.data.report": ("sentences",),
}


def test_snippet_from_the_documentation_runs(line) -> None:
    volume = simcrop.read_volume(line.scan)
    assert volume.hu.dtype == np.float32
    assert volume.affine.shape == (4, 4)
    assert len(volume.spacing_mm) == 3

    model = simcrop.load(line.run / "model")
    assert not model.training
    feature = model.embed(volume)
    assert (feature.shape, feature.dtype) == ((48,), np.float32)

    heat = model.ground(volume, ["A nodule in the left upper lobe."])[0]
    assert heat.map.shape == volume.shape
    assert heat.map.dtype == np.float32
    assert heat.boxes_mm.shape == (model.top_k, 2, 3)
    assert (heat.boxes_mm[:, 0] < heat.boxes_mm[:, 1]).all()

    cohort = simcrop.open_cohort(line.cohort)
    assert len(cohort) == cohort.index.height == 14
    study = cohort[0]
    assert study.findings
    np.testing.assert_allclose(model.embed(study.volume()).shape, (48,))


def test_features_of_a_cohort_and_the_nearest_of_them(line) -> None:
    cohort = simcrop.open_cohort(line.cohort)
    features = simcrop.cohort_features(simcrop.load(line.run), cohort)
    assert (features.shape, features.dtype) == ((14, 48), np.float32)
    indices, cosines = simcrop.nearest(features, features[3], 5)
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    expected = np.argsort(-(units @ units[3]), kind="stable")[:5]
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(cosines, (units @ units[3])[expected], atol=1e-6)
    with pytest.raises(simcrop.SimcropError, match="pool wants mean or max"):
        simcrop.cohort_features(simcrop.load(line.run), cohort, "median")


def test_run_folder_and_model_folder_hold_the_same_model(line) -> None:
    volume = simcrop.read_volume(line.scan)
    one, two = (simcrop.load(path).embed(volume) for path in (line.run, str(line.run / "model")))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("module", PURE)
def test_pure_functions_stay_at_their_addresses(module: str) -> None:
    found = __import__(module, fromlist=["x"])
    assert all(callable(getattr(found, name)) for name in PURE[module])


HOMES = {
    "Cohort": "simcrop.data.store.cohort",
    "Embeddings": "simcrop.model.embeddings",
    "Encoder": "simcrop.model.plain_encoder",
    "Heat": "simcrop.model.model",
    "Segmentation": "simcrop.model.segmenter",
    "Segmenter": "simcrop.model.segmenter",
    "load_segmenter": "simcrop.model.segmenter",
    "Model": "simcrop.model.model",
    "PatchTokens": "simcrop.model.seen",
    "Refused": "simcrop.model.scans",
    "SimcropError": "simcrop.errors",
    "Study": "simcrop.data.store.cohort",
    "Volume": "simcrop.data.volume",
    "cohort_features": "simcrop.tasks.features.cohort_features",
    "encoder": "simcrop.model.plain_encoder",
    "load": "simcrop.model.folder",
    "nearest": "simcrop.evaluation.nearest",
    "open_cohort": "simcrop.data.store.cohort",
    "read_volume": "simcrop.data.readers",
}


def test_public_names_are_what_their_homes_define_and_others_are_not_there() -> None:
    assert set(simcrop.__all__) == {*HOMES, "losses"}
    assert simcrop.losses is import_module("simcrop.losses")
    for name, home in HOMES.items():
        assert getattr(simcrop, name) is getattr(import_module(home), name), name
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = simcrop.colour  # pyright: ignore[reportAttributeAccessIssue]


def test_pure_functions_agree_with_the_contract_on_a_small_case() -> None:
    from simcrop.nn.patch import PatchGrid
    from simcrop.nn.position import sincos_3d

    grid = PatchGrid(volume=(10, 21, 12), patch=(5, 7, 3))
    volume = torch.randn(2, 1, 10, 21, 12)
    assert (grid.count, tuple(grid.shape)) == (24, (2, 3, 4))
    assert grid.split(volume).shape == (2, 24, 105)
    torch.testing.assert_close(grid.join(grid.split(volume)), volume, rtol=0, atol=0)
    assert sincos_3d((2, 3, 4), 12).shape == (24, 12)
    zero = simcrop.losses.info_nce(torch.randn(1, 6), torch.randn(1, 6), torch.tensor([0]))
    assert zero.item() == 0
