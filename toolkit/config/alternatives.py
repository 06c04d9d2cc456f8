"""Variations that are other sets of files: another generator, shower or detector simulation of the same sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pydantic import Field, model_validator

from toolkit.config.base import Section
from toolkit.config.names import Name
from toolkit.config.samples import SampleConfig
from toolkit.model.model import Model

Direction = Literal["up", "down"]


class SampleVariation(Section):
    """Other files in place of those of some samples: NAME_up and NAME_down.

    Their events are others than the nominal ones, so that the statistical fluctuations of both are part of the difference.
    """

    files_up: dict[Name, tuple[str, ...]] = Field(min_length=1)
    """Files of the upward variation by sample, as `files` of a sample."""
    files_down: dict[Name, tuple[str, ...]] = Field(default={})
    """Those of the downward variation, of the same samples."""
    symmetrise: bool = False
    """True takes what `files_up` changes, mirrored, for the downward variation; needed where there is no `files_down`."""
    xsec_pb: dict[Name, float] = Field(default={})
    """Cross-section of the varied files by sample (pb); others have that of their sample, the number or what the files state."""
    gen_sumw_up: dict[Name, float] = Field(default={})
    """Sum of generator weights of `files_up` by sample; needed where that of the sample is a number."""
    gen_sumw_down: dict[Name, float] = Field(default={})
    """The same of `files_down`."""

    @property
    def samples(self) -> tuple[str, ...]:
        """Names of the samples that vary."""
        return tuple(self.files_up)

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The variations that have files."""
        return ("up", "down") if self.files_down else ("up",)

    def varied(self, sample: SampleConfig, direction: Direction) -> SampleConfig:
        """Return the section of a sample with its varied files."""
        files, sums = (self.files_up, self.gen_sumw_up) if direction == "up" else (self.files_down, self.gen_sumw_down)
        update = {"files": files[sample.name], "xsec_pb": self.xsec_pb.get(sample.name, sample.xsec_pb)}
        return sample.model_copy(update={**update, "gen_sumw": sums.get(sample.name, sample.gen_sumw)})

    @model_validator(mode="after")
    def _consistent(self) -> SampleVariation:
        one_sided = sorted(set(self.files_up) ^ set(self.files_down))
        checks = (
            ("`symmetrise` beside `files_down`: both directions have files", self.symmetrise and self.files_down),
            (f"samples {one_sided} have one direction only: `symmetrise: true`, or files of both", not self.symmetrise and one_sided),
            ("every list of files needs an entry", not all([*self.files_up.values(), *self.files_down.values()])),
            (f"xsec_pb of other samples than {list(self.files_up)}", set(self.xsec_pb) - set(self.files_up)),
            ("gen_sumw_up of samples that files_up has not", set(self.gen_sumw_up) - set(self.files_up)),
            ("gen_sumw_down of samples that files_down has not", set(self.gen_sumw_down) - set(self.files_down)),
        )
        for message, wrong in checks:
            if wrong:
                raise ValueError(message)
        return self


def check_alternatives(sections: Mapping[str, SampleVariation], samples: Sequence[SampleConfig], model: Callable[[], Model]) -> None:
    """Check that sets of files replace samples that can be replaced, and that their normalisation is known.

    Args:
        sections: The variations by name.
        samples: All samples of the config, those of the variations among them.
        model: Gives the physics model; data samples alone have none.

    Raises:
        ValueError: A sample is data, a sum of weights is that of the nominal files, or only some of the samples that inform the same
            densities vary, whose nominal events would dilute the variation.
    """
    by_name = {s.name: s for s in samples}
    for name, section in sections.items():
        data = [n for n in section.samples if by_name[n].kind == "data"]
        if data:
            msg = f"systematics.samples.{name}: {data} are data, which do not vary"
            raise ValueError(msg)
        sums = {"gen_sumw_up": (section.files_up, section.gen_sumw_up), "gen_sumw_down": (section.files_down, section.gen_sumw_down)}
        for key, (files, given) in sums.items():
            unknown = [n for n in files if not isinstance(by_name[n].gen_sumw, str) and n not in given]
            if unknown:
                msg = f"systematics.samples.{name}.{key}: missing for {unknown}, whose gen_sumw is the number of their nominal files"
                raise ValueError(msg)
        physics = model()
        for process in (p for p in physics.processes if p.n_amplitudes > 1):
            apart = {s.name for s in physics.separate_samples(process.name)}
            joint = [s.name for s in physics.samples_of(process.name) if s.name not in apart]
            left = [n for n in joint if n not in section.samples]
            varied = [n for n in joint if n in section.samples]
            if left and varied:
                msg = (
                    f"systematics.samples.{name}: {varied} share the densities of {process.name} with {left}, which need varied files, too"
                )
                raise ValueError(msg)
