"""Where the example ntuples and the demo's config lie, in a checkout or an installed wheel."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def example_folder() -> Path:
    """Return the folder with the example ntuples (``<sample>_<i>.root``) and the demo's config.

    Examples:
        >>> sorted({path.name.rsplit("_", 1)[0] for path in example_folder().glob("*.root")})
        ['ggF_B', 'ggF_S', 'ggF_SBI', 'qqZZ']
    """
    return Path(str(resources.files("toolkit.example")))


def demo_config() -> Path:
    """Return the config of the demo; `load_config` reads it.

    Examples:
        >>> demo_config().name
        'demo.yaml'
    """
    return example_folder() / "demo.yaml"
