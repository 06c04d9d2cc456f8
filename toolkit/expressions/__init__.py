"""Safe grammars: arithmetic with derivatives for likelihoods, conditions on events for regions. Nothing is evaluated as code."""

from toolkit.expressions.arithmetic import Expression
from toolkit.expressions.conditions import Condition

__all__ = ["Condition", "Expression"]
