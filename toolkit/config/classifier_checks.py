"""What classifiers ask of the other sections of a config."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from toolkit.config.classifiers import AnyClassifierConfig, ClassifierConfig
from toolkit.config.local_score import check_local_score
from toolkit.expressions import Condition
from toolkit.model.densities import learned_densities
from toolkit.model.model import Model


def check_classifiers(
    classifiers: Mapping[str, AnyClassifierConfig],
    *,
    columns: Sequence[str],
    taken: Collection[str],
    where: str,
    model: Callable[[], Model],
) -> None:
    """Check that classifiers have names of their own, read observables, and tell learned densities apart.

    Args:
        classifiers: The section `classifiers`.
        columns: The columns that they write.
        taken: Names of other scores and columns.
        where: Condition of the selection.
        model: Gives the physics model; called if there are classifiers.

    Raises:
        ValueError: Names the first that does not.
    """
    if not classifiers:
        return
    both = sorted(set(columns) & set(taken))
    if both:
        msg = f"classifiers {both} are names of scores or columns, too: rename one of them"
        raise ValueError(msg)
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        msg = f"classifiers: the columns {repeated} belong to two of them; rename one"
        raise ValueError(msg)
    scores = scores_in(where, columns)
    if scores:
        msg = f"selection.where uses the classifiers {list(scores)}, which are trained on selected events; use a region with this condition"
        raise ValueError(msg)
    known = model()
    densities = [density.name for process in known.processes for density in learned_densities(process)]
    for name, section in classifiers.items():
        if section.local_score is not None:
            check_local_score(f"classifiers.{name}.local_score", section.local_score, known)
        _check_one(f"classifiers.{name}", section, columns=columns, densities=densities)


def scores_in(condition: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of classifiers that a condition names.

    Examples:
        >>> scores_in("D_pre > 0 and m4l > 300", ["D_pre", "mode_ggF"])
        ('D_pre',)
    """
    return tuple(name for name in Condition.parse(condition).names if name in columns) if condition else ()


def _check_one(key: str, section: AnyClassifierConfig, *, columns: Sequence[str], densities: Sequence[str]) -> None:
    decorrelation = section.decorrelate if isinstance(section, ClassifierConfig) else None
    named = {key: section.densities, f"{key}.decorrelate": () if decorrelation is None else decorrelation.densities}
    for place, names in named.items():
        unknown = [density for density in names if density not in densities]
        if unknown:
            msg = f"{place}: no densities {unknown}; the densities are {list(densities)}"
            raise ValueError(msg)
    scores = [feature for feature in section.features if feature in columns]
    if scores:
        msg = f"{key}: features {scores} are scores of classifiers; give it their features"
        raise ValueError(msg)
    scores = [variable for variable in section.decorrelated if variable in columns]
    if scores:
        msg = f"{key}.decorrelate: {scores} are scores of classifiers, which are not there yet; name observables"
        raise ValueError(msg)
    scores = list(scores_in(section.where, columns))
    if scores:
        msg = f"{key}.where uses {scores}, scores of classifiers; use observables"
        raise ValueError(msg)
