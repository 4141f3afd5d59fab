"""YAML of people: nothing in it is lost without a word, and nothing but plain values comes out."""

import pytest
import yaml

from simcrop.files.yaml_text import NO_YAML, parse_yaml


@pytest.mark.parametrize(
    "text",
    ["a: 1\nb: {c: [1, 2.5, null], d: 'x'}", "- 1\n- {a: b}", "", "x", "a: &p {k: 1}\nb: {<<: *p, k: 2}"],
)
def test_what_is_sound_is_read_as_pyyaml_reads_it(text: str) -> None:
    assert parse_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\nb: 2\na: 3", "a stands twice"),
        ("optim:\n  lr: 1\n  lr: 2", "lr stands twice"),
        ("[" * 5000, "nested too deeply"),
        ("{a: " * 5000 + "1" + "}" * 5000, "nested too deeply"),
        ("a: [", "expected"),
        ("a: 2024-02-30", "day is out of range"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
    ],
)
def test_what_is_not_is_an_error_that_says_why(text: str, why: str) -> None:
    with pytest.raises(NO_YAML, match=why):
        parse_yaml(text)
