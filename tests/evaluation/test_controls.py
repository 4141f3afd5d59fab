"""The controls on models made by hand: one that looks, one that knows places only, one that knows nothing.

Axes: b 3 images, s 7 sentences, n 5 patches, e 8 features.
"""

import pytest
import torch
from torch import Tensor

from simcrop.data.samples.batch import Sentences
from simcrop.evaluation.controls import align_accuracy, control_metrics, image_scores, regions, retrieval_auc
from simcrop.losses import nearest_patches_of, region_scores

IMAGE_INDEX = torch.tensor([0, 0, 1, 1, 1, 2, 2])
SENTENCE_ID = torch.tensor(
    [0, 1, 2, 3, 4, 0, 5]
)  # the first sentence of image 0 stands in the report of image 2, too
FREQUENCY = torch.tensor([0.5, 0.0, 0.1, 0.1, 0.14, 0.5, 0.15])
EMBEDDINGS = torch.eye(8)[SENTENCE_ID]
SENTENCES = Sentences(IMAGE_INDEX, SENTENCE_ID, FREQUENCY)


def looking() -> Tensor:
    """Every image shows what its report says, one sentence per patch, elsewhere in each; the rest is like nothing."""
    seen = torch.zeros(3, 5, 8)
    seen[..., 7] = 0.1
    for place, (image_index, sentence_id) in enumerate(
        zip(IMAGE_INDEX.tolist(), SENTENCE_ID.tolist(), strict=True)
    ):
        seen[image_index, (2 * place + image_index) % 5, sentence_id] = 1
    return seen


def by_place() -> Tensor:
    """Every image is the same: a map from place to sentence."""
    return torch.eye(8)[:5].expand(3, 5, 8) + torch.eye(8)[[5, 5, 5, 5, 5]] * 0.3


def figures(seen: Tensor, blank: Tensor) -> dict[str, float]:
    return control_metrics(EMBEDDINGS, SENTENCES, seen, blank, seen.mean(1), k=1, scored=1)


def test_model_that_looks_fails_on_empty_and_on_foreign_images() -> None:
    found = figures(looking(), torch.zeros(5, 8) + 0.1)
    assert found["align_accuracy"] == 1.0
    assert found["align_accuracy_blank"] < 0.5
    assert found["align_accuracy_mispaired"] < 0.7
    assert found["retrieval_auc"] == 1.0
    assert found["effective_rank"] > 1.5


def test_model_that_knows_places_retrieves_as_well_without_the_image() -> None:
    found = figures(by_place(), by_place()[0])
    assert found["align_accuracy"] == found["align_accuracy_blank"] == found["align_accuracy_mispaired"]
    assert found["align_accuracy"] > 0.9
    assert found["retrieval_auc"] == 0.5
    assert found["effective_rank"] == 1.0


def test_regions_and_scores_are_those_of_the_losses() -> None:
    embeddings, seen = torch.randn(7, 8), torch.randn(3, 5, 8)
    expected = nearest_patches_of(embeddings, seen, IMAGE_INDEX, 2)
    for study in range(3):
        mine = study == IMAGE_INDEX
        torch.testing.assert_close(regions(embeddings[mine], seen[study], 2), expected[mine])
    torch.testing.assert_close(image_scores(embeddings, seen, 2), region_scores(embeddings, seen, 2))


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_agrees_with_a_slow_loop(seed: int) -> None:
    torch.manual_seed(seed)
    embeddings, seen = torch.nn.functional.normalize(torch.randn(7, 8), dim=-1), torch.randn(3, 5, 8)
    region = torch.nn.functional.normalize(nearest_patches_of(embeddings, seen, IMAGE_INDEX, 2), dim=-1)
    right = []
    for i in range(7):
        others = [j for j in range(7) if IMAGE_INDEX[j] == IMAGE_INDEX[i]]
        right.append(max(others, key=lambda j, i=i: float(region[i] @ embeddings[j])) == i)
        right.append(max(others, key=lambda j, i=i: float(region[j] @ embeddings[i])) == i)
    assert align_accuracy(embeddings, IMAGE_INDEX, SENTENCE_ID, seen, 2) == pytest.approx(sum(right) / 14)


def test_equal_sentences_of_a_report_count_as_one_and_a_single_one_asks_nothing() -> None:
    image_index, sentence_id = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 1, 2])
    embeddings = torch.eye(8)[sentence_id]
    seen = torch.eye(8)[[0, 1, 7, 7, 7]].expand(2, 5, 8)
    assert align_accuracy(embeddings, image_index, sentence_id, seen, 1) == 1.0
    alone = align_accuracy(embeddings[1:], image_index[1:], sentence_id[1:], seen, 1)
    assert alone != alone


@pytest.mark.parametrize("seed", range(5))
def test_retrieval_agrees_with_a_slow_loop(seed: int) -> None:
    torch.manual_seed(seed)
    scores = torch.randint(0, 4, (7, 3)).float()
    says = [{int(k) for k, o in zip(SENTENCE_ID, IMAGE_INDEX, strict=True) if o == b} for b in range(3)]
    means = []
    for i in range(7):
        if FREQUENCY[i] >= 0.15:
            continue
        others = [scores[i, b] for b in range(3) if int(SENTENCE_ID[i]) not in says[b]]
        own = scores[i, IMAGE_INDEX[i]]
        means.append(sum(float(own > other) + 0.5 * float(own == other) for other in others) / len(others))
    assert len(means) == 4  # a share of .15 tells images apart no longer
    assert retrieval_auc(scores, IMAGE_INDEX, SENTENCE_ID, FREQUENCY) == pytest.approx(sum(means) / 4)


def test_figures_that_are_not_defined_are_not_there() -> None:
    one = Sentences(IMAGE_INDEX[:2], SENTENCE_ID[:2], FREQUENCY[:2])
    found = control_metrics(
        EMBEDDINGS[:2], one, looking()[:1], torch.zeros(5, 8), torch.ones(1, 3), k=1, scored=1
    )
    assert set(found) == {"align_accuracy", "align_accuracy_blank", "effective_rank"}
    common = Sentences(IMAGE_INDEX, SENTENCE_ID, torch.ones(7))
    found = control_metrics(EMBEDDINGS, common, looking(), torch.zeros(5, 8), torch.ones(3, 3), k=1, scored=1)
    assert "retrieval_auc" not in found
    assert "align_accuracy_mispaired" in found
