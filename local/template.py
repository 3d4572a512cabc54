"""Reads the SAM template."""

from functools import cache
from typing import Any

import yaml

from local.settings import ROOT

PATH = ROOT / "template.yaml"


class _Loader(yaml.SafeLoader):
    """Reads the values of CloudFormation's short tags as plain values."""


def _plain(loader: _Loader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_Loader.add_multi_constructor("!", _plain)


@cache
def section(name: str) -> dict[str, dict[str, Any]]:
    """Return a section of the template, such as Parameters or Resources, with intrinsic functions as plain values."""
    declared: dict[str, dict[str, Any]] = yaml.load(PATH.read_text(), Loader=_Loader).get(name, {})
    return declared


def parameters() -> dict[str, dict[str, Any]]:
    """Return the template's parameters by name."""
    return section("Parameters")
