"""Protocols of others as data: what each asks for, and refusals."""

from pathlib import Path

import pytest

from simcrop.errors import SimcropError
from simcrop.evaluation.shipped import shipped_names
from simcrop.evaluation.wording.protocol import PACKAGE, read_protocol
from simcrop.phantom.findings.finding import LABELS


def test_every_protocol_says_whose_it_is_and_asks_of_every_label_it_has() -> None:
    assert shipped_names(PACKAGE) == ["ct-clip", "hlip", "radfinder", "radfinder-t3"]
    for name in shipped_names(PACKAGE):
        protocol = read_protocol(name)
        assert protocol.whose
        for label in protocol.labels_of(LABELS):
            for yes, no in protocol.pairs_of(label):
                assert label in yes
                assert label in no
                assert yes != no


def test_published_figures_of_the_protocols() -> None:
    """18 classes by one template over all volumes; 16; seven templates over the first volume of each study."""
    clip, hlip, finder = (read_protocol(name) for name in ("ct-clip", "hlip", "radfinder"))
    assert clip.pairs_of("Emphysema") == (("Emphysema is present.", "Emphysema is not present."),)
    assert (len(clip.labels_of(LABELS)), clip.volumes) == (18, "all")
    assert set(LABELS) - set(hlip.labels_of(LABELS)) == {"Medical material", "Lymphadenopathy"}
    assert (len(finder.templates), finder.volumes) == (7, "first")
    assert read_protocol("radfinder-t3").templates == (finder.templates[2],)


def test_questions_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "whose: ours\nquestions: {Emphysema: [[Bullae are seen., No bullae.], [The lungs are torn., They are not.]]}"
    )
    mine = read_protocol(str(path))
    assert mine.labels_of(LABELS) == ["Emphysema"]
    assert mine.pairs_of("Emphysema")[1] == ("The lungs are torn.", "They are not.")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("whose: a\ntemplates: [[It is there., It is not.]]", "a template without {label}"),
        ("whose: a", "expected either templates or questions"),
        ("whose: a\ntemplates: [['{label}.', 'No {label}.']]\nquestions: {x: [[y., z.]]}", "expected either"),
        ("whose: a\ntemplates: [['{name}.', 'No {label}.']]", "other braces than {label}: '{name}.'"),
        ("colour: red", "unknown setting colour"),
        (
            "whose: a\ntemplate: [['{label}.', 'No {label}.']]",
            "unknown setting template, did you mean templates?",
        ),
        ("whose: a\ntemplates: [['{label}.', 'No {label}.']]\nvolumes: frist", "volumes = 'frist'"),
        ("whose: a\nquestions: {x: [[y., z.]], Emphysema: []}", "no question about 'Emphysema'"),
        ("{", "it is not YAML"),
    ],
)
def test_file_that_is_no_protocol_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(SimcropError, match="is no protocol") as caught:
        read_protocol(str(tmp_path / "mine.yaml"))
    assert words in caught.value.sentence


def test_nearest_name_is_proposed() -> None:
    with pytest.raises(SimcropError, match="did you mean hlip"):
        read_protocol("hilp")
