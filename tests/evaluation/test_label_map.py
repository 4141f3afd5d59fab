"""Labels of one data set for those of another: a fixed rule, said beforehand, and every label accounted for."""

from pathlib import Path

import numpy as np
import pytest

from simcrop.data.layouts.rad_chestct import CLASSES
from simcrop.errors import SimcropError
from simcrop.evaluation.heads.label_map import map_between, read_map
from simcrop.phantom.findings.finding import LABELS

FIG_2 = "ct-rate-to-rad-chestct"
ARTERIAL, CORONARY, MOSAIC = (
    "Arterial wall calcification",
    "Coronary artery wall calcification",
    "Mosaic attenuation pattern",
)


def test_map_of_fig_2_accounts_for_every_label_of_both_sides() -> None:
    """The sixteen classes of RAD-ChestCT; of CT-RATE's eighteen labels mosaic attenuation alone is dropped."""
    found = read_map(FIG_2)
    assert set(found.labels) == set(CLASSES)
    assert found.needed() | set(found.dropped) == set(LABELS)
    assert set(found.dropped) == {MOSAIC}
    assert found.labels["Calcification"] == (ARTERIAL, CORONARY)
    assert found.beside == {ARTERIAL: "Calcification", CORONARY: "Calcification"}
    assert "Calcification" in found.reasons


def test_larger_of_two_probabilities_counts_whatever_scores_better() -> None:
    """Flaw 6 of the public code: there the test scans choose which of the two is kept."""
    found, names = read_map(FIG_2), list(LABELS)
    scores = np.random.default_rng(0).random((2, 5, len(names)))
    mapped = found.apply(scores, names)
    place = list(found.labels).index("Calcification")
    two = scores[..., [names.index(ARTERIAL), names.index(CORONARY)]]
    np.testing.assert_array_equal(mapped[..., place], two.max(-1))
    place = list(found.labels).index("Emphysema")
    np.testing.assert_array_equal(mapped[..., place], scores[..., names.index("Emphysema")])


def test_a_class_is_judged_by_the_labels_that_were_learned() -> None:
    """A head that was not learned has no probability, NaN; the other label of its class answers alone."""
    found, names = read_map(FIG_2), list(LABELS)
    scores = np.random.default_rng(0).random((2, 5, len(names)))
    place = list(found.labels).index("Calcification")
    scores[..., names.index(CORONARY)] = np.nan
    mapped = found.apply(scores, names)
    np.testing.assert_array_equal(mapped[..., place], scores[..., names.index(ARTERIAL)])
    scores[..., names.index(ARTERIAL)] = np.nan
    assert np.isnan(found.apply(scores, names)[..., place]).all()


def test_map_is_found_where_it_can_be() -> None:
    assert map_between(LABELS, list(CLASSES), None) == read_map(FIG_2)
    same = map_between(["a", "b", "c"], ["c", "a"], None)
    assert (same.labels, set(same.dropped)) == ({"c": ("c",), "a": ("a",)}, {"b"})


@pytest.mark.parametrize(
    ("source", "target", "name", "words"),
    [
        (["a"], ["z"], None, "does not know the label 'z' of the cohort: give --map"),
        (["a"], list(CLASSES), FIG_2, "asks the probe for 'Arterial wall calcification', which it lacks"),
        (LABELS, ["z"], FIG_2, "asks the cohort for 'Atelectasis', which it lacks"),
        (
            LABELS,
            ["z"],
            "nowhere",
            "no label map 'nowhere', did you mean ct-rate-to-rad-chestct? Neither a file nor one of ct-rate",
        ),
    ],
)
def test_label_that_one_side_lacks_is_named(
    source: list[str], target: list[str], name: str | None, words: str
) -> None:
    with pytest.raises(SimcropError, match="label") as caught:
        map_between(list(source), target, name)
    assert words in caught.value.sentence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("labels: [1, 2]", "source is not there; target is not there; labels = [1, 2]"),
        ("source: a\ntarget: b\nlabels: {x: y}", "labels.x = 'y'"),
        (
            "source: a\ntarget: b\nlabels: {x: [y]}\nreason: {x: z}",
            "unknown setting reason.x, did you mean reasons?",
        ),
        ("source: a\ntarget: b\nlabels: {x: []}", "labels: 'x' names no source label"),
        ("source: a\ntarget: b\nlabels: {x: [y]}\nbeside: {y: z}", "beside: 'z' is no class of labels"),
        ("{", "it is not YAML"),
        ("", "it must hold `name: value` lines"),
        ("a: 2020-13-45", "it is not YAML"),
    ],
)
def test_file_that_is_no_map_is_refused_and_what_is_wrong_with_it_said(
    text: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(SimcropError, match="is no label map") as caught:
        read_map(str(tmp_path / "map.yaml"))
    assert words in caught.value.sentence
    assert "\n" not in caught.value.sentence


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(SimcropError, match="is no label map: it is no text"):
        read_map(str(tmp_path / "map.yaml"))
