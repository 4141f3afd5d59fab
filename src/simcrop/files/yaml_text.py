"""YAML that people write, read so that nothing of it is lost: what stands twice is an error, and not the last of both.

No axes or units. Only plain values come out of it: no Python object is ever made.
"""

from collections.abc import Hashable
from typing import Any

import yaml

NO_YAML = (yaml.YAMLError, ValueError)  # what looks like a date and is none is the second
MERGE = "tag:yaml.org,2002:merge"  # `<<`, whose names may be given again


class Loader(yaml.SafeLoader):
    """PyYAML's own, and a name that stands twice in one mapping is refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = set[str]()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                if key.value in names:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value} stands twice", key.start_mark
                    )
                names.add(key.value)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str) -> Any:
    """What the text says. Raises one of `NO_YAML` where it is none, says something twice or nests without end."""
    try:
        return yaml.load(text, Loader)
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error
