"""Ratio estimation: splits, features, estimators and their networks, ensembles, calibration.

One class per estimator, told apart by `estimator`; what all of them have stands in `RatioSettings`, what those with networks have in
`NetworkSettings`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from toolkit.config.base import Section
from toolkit.config.names import Seed

Width = Annotated[int, Field(ge=1, le=100_000)]
ActivationName = Annotated[
    Literal["silu", "tanh", "relu", "gelu"], BeforeValidator(lambda value: "silu" if isinstance(value, str) and value == "swish" else value)
]
"""Activation function; `swish` is another name of `silu`."""


USUAL_MEMBERS = 10
"""Members of an ensemble of shares whose number nobody gave."""
MOST_MEMBERS = 1000
TEST_SHARE = 0.4
"""Fraction of test events where nobody chose one."""
FOUR_LEPTONS = ("m4l", "m_z1", "m_z2", "cos_theta_star", "cos_theta_1", "cos_theta_2", "phi", "phi_1", "pt4l", "y4l", "n_jets")
"""Features that know nothing of single leptons."""
DECAY_ANGLES = ("cos_theta_1", "cos_theta_2", "phi", "phi_1")
"""What depends on the charges of the leptons."""


def other_leptons(features: Sequence[str]) -> dict[str, str]:
    """Return the quantity of the other lepton of the same Z, by those of single leptons.

    Examples:
        >>> other_leptons(("m4l", "pt_z1_lep1"))
        {'pt_z1_lep1': 'pt_z1_lep2'}
    """
    other = {"lep1": "lep2", "lep2": "lep1"}
    heads = {name: name.rsplit("_", 1) for name in features}
    return {name: f"{parts[0]}_{other[parts[-1]]}" for name, parts in heads.items() if parts[-1] in other}


def check_layers(architecture: str, hidden: Sequence[int], features: Sequence[str]) -> None:
    """Check that layers and features are those that an architecture can have.

    Raises:
        ValueError: Residual layers differ in width, or a network of objects has none among its features.
    """
    if architecture == "residual" and len(set(hidden)) != 1:
        msg = f"architecture residual adds layers to each other: give `hidden` equal widths, not {list(hidden)}"
        raise ValueError(msg)
    if architecture in {"deep_set", "recurrent"} and not any("_lep" in name or name.endswith(("_j1", "_j1_filled")) for name in features):
        msg = f"architecture {architecture} needs leptons or jets among `features`: pt_z1_lep1, ..., or pt_j1_filled, ..."
        raise ValueError(msg)


def group_size(fraction: float) -> int:
    """Return how many members that train on such a share of the events leave out every event once.

    Examples:
        >>> group_size(0.8), group_size(0.5), group_size(0.3), group_size(1.0)
        (5, 2, 2, 1)
    """
    return 1 if fraction >= 1.0 else math.ceil(round(1.0 / (1.0 - fraction), 9))


class SplitConfig(Section):
    """Which events learn and which test, by a hash of the event number.

    The test events see no network, no calibration and no template. The others form folds, of which each member of the ensemble
    sees a part; the calibration uses for every event only the members that did not train on it.
    """

    test: float = Field(default=TEST_SHARE, gt=0, lt=1)
    """Expected fraction of test events; has no meaning with `cross_fit`."""
    cross_fit: bool = False
    """Use every simulated event as data once: no events are set aside, and those of a fold are fitted with the members, the calibration,
    the yields and the templates of the other folds (docs/method.md)."""
    folds: int = Field(default=4, ge=2, le=100)
    """Folds of the other events. Every choice of half of them trains a member unless `ensemble` says otherwise: 4 give 6 members,
    6 give 20."""
    salt: str = "h4l"
    """Key of the hash; another salt gives an independent split."""

    @model_validator(mode="after")
    def _one_way(self) -> SplitConfig:
        if self.cross_fit and self.test != TEST_SHARE:
            msg = f"cross_fit uses every event as data, and sets none aside: leave out `test: {self.test}`, or take cross_fit: false"
            raise ValueError(msg)
        return self


class EnsembleConfig(Section):
    """How many members there are, and which events each of them trains on; every event is left out by at least one of them."""

    subsets: Literal["folds", "fraction", "bootstrap"] = "folds"
    """Events of a member: some of the folds of `splits`; a share of the events, drawn without replacement such that all events are left out
    equally often; or as many events as there are, drawn with replacement from such a share."""
    members: int | None = Field(default=None, ge=2, le=1000)
    """Number of members. By default every choice of folds, or 10 members of a share. Without the section `ensemble`, 15 members learn from
    labels, each on four fifths of the events."""
    train_folds: int | None = Field(default=None, ge=1, le=99)
    """Folds that a member trains on, for `folds`; by default half of them. One less than there are is the usual cross-fitting."""
    fraction: float = Field(default=0.8, gt=0, lt=1)
    """Share of the events that a member trains on, for `fraction` and `bootstrap`."""


class RatioSettings(Section):
    """What every estimator has."""

    estimator: str
    """How the density ratios are learned; every estimator has a section of its own (docs/estimators.md)."""
    features: tuple[str, ...] = Field(
        default=(*FOUR_LEPTONS, *(f"{quantity}_z{z}_lep{k}" for quantity in ("pt", "eta") for z in (1, 2) for k in (1, 2))),
        min_length=1,
    )
    """Observables that the networks read; every selected event must have them. By default without those of single leptons where the
    networks learn from labels."""
    fold_beam_axis: bool = True
    """Use that two identical beams look the same from both sides; every feature must say what it becomes when they are exchanged
    (docs/observables.md). Turn off for asymmetric beams or acceptance."""
    splits: SplitConfig = SplitConfig()
    ensemble: EnsembleConfig = EnsembleConfig()
    calibration_mu: tuple[float, ...] = Field(default=(0.0, 0.3, 1.0, 2.0), min_length=1)
    """Values of the parameter of interest whose scores span the calibration: it removes the bias along these directions."""
    patience: int = Field(default=10, ge=1, le=1_000_000)
    """Epochs (trees for `bit`) without a better validation loss after which a member stops."""
    validation_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    """Share of a member's training events that decide which epoch is kept."""
    negative_weights: Literal["refuse", "resample"] = "refuse"
    """What to do with negative weights of backgrounds, which the mixture networks cannot learn from: `resample` learns how the
    signs cancel and trains with positive weights of the same expectation (docs/weights.md). Fits keep the signed weights."""
    seed: Seed = 1
    """Seed of the first member; the others follow from it."""
    stream_above_mb: float = Field(default=4000.0, ge=0)
    """Training events of a member that take more memory than this many MB are written to a file and streamed from it while the networks
    train."""
    threads: int = Field(default=1, ge=1, le=1024)
    """Processor threads of a training, of calibration and export. Small networks gain little from more, and the last digits of the result
    depend on the number."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the networks train."""

    @model_validator(mode="after")
    def _consistent(self) -> RatioSettings:
        if len(set(self.features)) != len(self.features):
            msg = f"features repeat: {list(self.features)}"
            raise ValueError(msg)
        self._check_ensemble()
        return self

    @property
    def train_folds(self) -> int:
        """Folds that a member trains on."""
        return self.ensemble.train_folds or self.splits.folds // 2

    @property
    def n_members(self) -> int:
        """Number of members of the ensemble.

        Examples:
            >>> RatioConfig().n_members, RatioConfig(ensemble=EnsembleConfig(subsets="fraction")).n_members
            (6, 10)
        """
        chosen = self.ensemble
        if chosen.members is not None:
            return chosen.members
        if chosen.subsets == "folds":
            return math.comb(self.splits.folds, self.train_folds)
        return max(USUAL_MEMBERS, group_size(chosen.fraction))

    @property
    def spread_factor(self) -> float:
        """What turns the spread of the members into the statistical error of their mean under a new training sample, to first order.

        Members on a share f of the events spread by (1 - f)/f of the variance of a training on all (the jackknife that deletes a
        part), those on as many events drawn from such a share by 1/f of it.

        Examples:
            >>> RatioConfig().spread_factor  # half of the folds each
            1.0
            >>> round(RatioConfig(ensemble=EnsembleConfig(subsets="fraction", fraction=0.8)).spread_factor, 6)
            2.0
        """
        chosen = self.ensemble
        share = self.train_folds / self.splits.folds if chosen.subsets == "folds" else chosen.fraction
        return math.sqrt(share if chosen.subsets == "bootstrap" else share / (1.0 - share))

    def _check_ensemble(self) -> None:
        chosen, folds = self.ensemble, self.splits.folds
        if chosen.subsets != "folds" and chosen.train_folds is not None:
            msg = f"ensemble.train_folds belongs to subsets: folds, not {chosen.subsets}"
            raise ValueError(msg)
        if chosen.subsets == "folds" and self.train_folds >= folds:
            msg = f"ensemble.train_folds: {self.train_folds} of {folds} folds; one at least must be left out, for the calibration"
            raise ValueError(msg)
        if self.n_members > MOST_MEMBERS:
            msg = (
                f"ensemble: {self.n_members} members, all choices of {self.train_folds} of {folds} folds; give `members` (at most "
                f"{MOST_MEMBERS}), or `train_folds: {folds - 1}` for {folds} members"
            )
            raise ValueError(msg)
        least = math.ceil(folds / (folds - self.train_folds)) if chosen.subsets == "folds" else group_size(chosen.fraction)
        if self.n_members < least:
            msg = f"ensemble.members: {self.n_members} do not leave out every event once, for the calibration; at least {least} are needed"
            raise ValueError(msg)


class NetworkSettings(RatioSettings):
    """What the estimators with networks have."""

    architecture: Literal["mlp", "residual", "deep_set", "recurrent"] = "mlp"
    """Layers one after the other; such layers that add to their input, for deep networks; a network per lepton and jet whose results are
    summed; a network that reads them one after the other. The last two need the columns of the objects among `features`
    (docs/training.md) and `fold_beam_axis: false`."""
    hidden: tuple[Width, ...] = Field(default=(64, 64, 64), min_length=1, max_length=100)
    """Widths of the hidden layers."""
    activation: ActivationName = "silu"
    """Activation function of the hidden layers; `swish` is another name of `silu`."""
    epochs: int = Field(default=20, ge=1, le=1_000_000)
    """Passes of the class networks over the training events, at most."""
    batch_size: int = Field(default=512, ge=16, le=100_000_000)
    """Events per step; 2048 by default where the networks learn from labels, and half of the events where the default is more than that."""
    largest_batch_size: int | None = Field(default=None, ge=16, le=100_000_000)
    """Events per step in the last epoch: the batches grow by the same factor from epoch to epoch. They keep their size by default."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Highest step size of the schedule."""
    optimiser: Literal["adamw", "nadam"] = "adamw"
    """Adam, or Adam with Nesterov momentum; both decay the weights apart from the gradient."""
    schedule: Literal["one_cycle", "cosine", "plateau", "constant"] = "one_cycle"
    """Step size over the training: climb in the first tenth and fall to zero; fall to zero; halve where the validation loss stands still;
    constant."""
    gradient_clip: float | None = Field(default=None, gt=0)
    """Largest norm of the gradient of a step; longer ones are shortened to it. A safeguard for weights of both signs; none by default."""
    weight_decay: float = Field(default=1e-2, ge=0)
    """Decay of the weights per step, relative to the step size; 0.3 by default where the networks learn from labels."""
    fold_lepton_charges: bool | None = None
    """Forget the charges of the leptons: every event goes to cos_theta_1, cos_theta_2 >= 0 and phi in [0, pi], an eighth of the space, by
    symmetries that hold up to some per cent (docs/training.md). By default only where the networks learn from labels."""

    @model_validator(mode="after")
    def _networks(self) -> NetworkSettings:
        if self.largest_batch_size is not None and self.largest_batch_size < self.batch_size:
            msg = f"largest_batch_size {self.largest_batch_size} is below batch_size {self.batch_size}: batches grow"
            raise ValueError(msg)
        check_layers(self.architecture, self.hidden, self.features)
        absent = [name for name in (*DECAY_ANGLES, *other_leptons(self.features).values()) if name not in self.features]
        if self.fold_lepton_charges and absent:
            msg = f"fold_lepton_charges needs all decay angles and both leptons of a Z among `features`: {absent} are not"
            raise ValueError(msg)
        if self.architecture in {"deep_set", "recurrent"}:
            if self.fold_lepton_charges:
                msg = f"architecture {self.architecture} reads charged leptons: leave fold_lepton_charges out"
                raise ValueError(msg)
            if self.fold_beam_axis:
                msg = f"architecture {self.architecture} needs fold_beam_axis: false: leptons and jets would have to be rotated, too"
                raise ValueError(msg)
        return self


class RatioConfig(NetworkSettings):
    """Mixture networks: one for the classes, one for the composition of every process whose amplitudes interfere (the default)."""

    estimator: Literal["mixture"] = "mixture"
    composition_epochs: int = Field(default=60, ge=1, le=1_000_000)
    """Epochs of the networks of signal share and interference, whose exact targets allow a longer training than `epochs`."""


class PerProcessConfig(NetworkSettings):
    """A classifier per density against the reference, in the manner of ATLAS; interference is a difference of densities."""

    estimator: Literal["per_process"]


class ThetaSection(Section):
    """Where the parameter is drawn from while a network that reads it learns; it can be evaluated at any value of the range."""

    kind: Literal["uniform", "listed"] = "uniform"
    """`uniform` over the range, in the coordinate in which densities are smooth (the root of a signal strength); or a list of points, each
    equally likely."""
    points: tuple[float, ...] = ()
    """The points of kind `listed`."""

    @model_validator(mode="after")
    def _listed(self) -> ThetaSection:
        if (self.kind == "listed") != bool(self.points):
            msg = f"kind {self.kind} with {len(self.points)} points: kind listed has `points`, uniform has none"
            raise ValueError(msg)
        return self


class ThetaConfig(NetworkSettings):
    """One network that reads the parameter of interest: the density at every value, without a decomposition into a few densities."""

    estimator: Literal["alices", "alice", "carl", "cascal", "rascal", "rolr"]
    """How it learns (docs/estimators.md): cross-entropy with exact weights (`alice`) or with labels alone (`carl`), squared errors of the
    ratio (`rolr`), and each with the gradient by the parameter beside it (`alices`, `cascal`, `rascal`)."""
    theta: ThetaSection = ThetaSection()
    gradient_weight: float = Field(default=1.0, ge=0)
    """Weight of the gradient in the loss of `alices`, `cascal` and `rascal`."""

    @model_validator(mode="after")
    def _theta(self) -> ThetaConfig:
        if self.activation == "relu":
            msg = f"{self.estimator} needs a smooth activation, tanh or silu: fits use the network as a smooth function of the parameter"
            raise ValueError(msg)
        unused = [] if self.negative_weights == "refuse" else ["negative_weights"]
        if self.gradient_weight != 1.0 and self.estimator not in {"alices", "cascal", "rascal"}:
            unused.append("gradient_weight")
        if unused:
            msg = f"{self.estimator} does not use {', '.join(unused)}: leave them out"
            raise ValueError(msg)
        return self


class MulticlassConfig(NetworkSettings):
    """A softmax over all densities; interference is a difference of densities."""

    estimator: Literal["multiclass"]


class QuasiParametricConfig(NetworkSettings):
    """One network of the coefficients of the exact parameter dependence, learned at random parameter points."""

    estimator: Literal["quasi_parametric"]


class BitConfig(RatioSettings):
    """Boosted trees on the coefficients of the ratio (extra `trees`), positive by construction; they read the features as they are."""

    estimator: Literal["bit"]
    fold_beam_axis: bool = False
    """Not for trees, which read the features as they are."""
    patience: int = Field(default=20, ge=1, le=1_000_000)
    """Rounds without a better validation loss after which the boosting stops."""
    trees: int = Field(default=100, ge=1, le=10_000)
    """Rounds of boosting, at most; each grows one tree per coefficient."""
    leaves: int = Field(default=8, ge=2, le=64)
    """Leaves per tree. The file and the memory of its evaluation grow with trees times leaves squared."""
    learning_rate: float = Field(default=0.1, gt=0, le=1)
    """Shrinkage of every tree."""
    min_events: int = Field(default=100, ge=1)
    """Fewest events in a leaf."""

    @model_validator(mode="after")
    def _as_they_are(self) -> BitConfig:
        if self.fold_beam_axis:
            msg = "fold_beam_axis: estimator bit reads the features as they are; leave it out"
            raise ValueError(msg)
        return self


def for_labels(settings: AnyRatioConfig) -> AnyRatioConfig:
    """Return settings for networks that learn from labels: these are noisy, so that what nobody chose is chosen to keep the noise down.

    Examples:
        >>> for_labels(RatioConfig(batch_size=512)).weight_decay, for_labels(RatioConfig(batch_size=512)).batch_size
        (0.3, 512)
        >>> for_labels(RatioConfig()).n_members, for_labels(RatioConfig(features=("m4l",))).fold_lepton_charges
        (15, False)
        >>> for_labels(RatioConfig()).batch_size, sorted(for_labels(RatioConfig(epochs=3)).model_fields_set)
        (2048, ['epochs'])
        >>> for_labels(RatioConfig()).features == FOUR_LEPTONS, for_labels(RatioConfig()).fold_lepton_charges
        (True, True)
    """
    if not isinstance(settings, NetworkSettings):
        return settings
    plain = settings.architecture in {"mlp", "residual"}
    features = FOUR_LEPTONS if plain and "features" not in settings.model_fields_set else settings.features
    chosen = {
        "features": features,
        "weight_decay": 0.3,
        "batch_size": 2048,
        "ensemble": EnsembleConfig(subsets="fraction", fraction=0.8, members=15),
        "fold_lepton_charges": plain and {*DECAY_ANGLES, *other_leptons(features).values()} <= set(features),
    }
    given = settings.model_fields_set if settings.fold_lepton_charges is not None else settings.model_fields_set - {"fold_lepton_charges"}
    if settings.largest_batch_size is not None:
        chosen["batch_size"] = min(2048, settings.largest_batch_size)
    values = {**dict(settings), **{key: value for key, value in chosen.items() if key not in given}}
    return type(settings).model_construct(_fields_set=settings.model_fields_set, **values)


def _named(value: Any) -> Any:
    """Take a section without `estimator` as one of the default."""
    return {"estimator": "mixture", **value} if isinstance(value, dict) else value


AnyRatioConfig = Annotated[
    RatioConfig | PerProcessConfig | MulticlassConfig | QuasiParametricConfig | BitConfig | ThetaConfig,
    Field(discriminator="estimator"),
    BeforeValidator(_named),
]
"""The section `ratios`, told apart by `estimator`; without it the default, mixture networks."""
