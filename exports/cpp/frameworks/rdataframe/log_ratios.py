"""Add log_ratio, a vector with one number per density, to a tree: log_ratios.py PREFIX MODEL.dat TREE EVENTS.root OUT.root.

PREFIX is that of `cmake --install` of a project with the model `ratio` (h4l cpp --name ratio), built with BUILD_SHARED_LIBS=ON.
"""

import sys
from pathlib import Path


def main(prefix: str, model: str, tree: str, events: str, out: str) -> None:
    """Write a tree with the log ratios of all events."""
    import ROOT  # noqa: PLC0415 - only to run

    ROOT.gInterpreter.AddIncludePath(str(Path(prefix) / "include"))
    if ROOT.gSystem.Load(str(next(Path(prefix).glob("lib*/**/libh4l_ratio.*")))) < 0:
        sys.exit(f"cannot load the model from {prefix}")
    weights = str(model).replace("\\", "\\\\").replace('"', '\\"')
    ROOT.gInterpreter.Declare(f"""
        #include <h4l/ratio.h>
        #include <h4l/rdataframe.h>
        ROOT::RDF::RNode with_log_ratio(ROOT::RDF::RNode frame)
        {{
           return h4l::define_log_ratio(frame, [] {{ return h4l::open_ratio("{weights}"); }});
        }}
    """)
    ROOT.EnableImplicitMT()
    with_ratios = ROOT.with_log_ratio(ROOT.RDF.AsRNode(ROOT.RDataFrame(tree, events)))
    with_ratios.Snapshot(tree, out, ["log_ratio"])


if __name__ == "__main__":
    main(*sys.argv[1:])
