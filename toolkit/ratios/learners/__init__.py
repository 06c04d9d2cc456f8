"""How one member of an ensemble learns the heads of a mixture: one way per file."""
