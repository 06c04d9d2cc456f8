"""Runs in a Python that has ROOT: what RooFit makes of our files, as JSON on the last line of stdout. It imports nothing of the toolkit."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import ROOT

ROOT.RooMsgService.instance().setGlobalKillBelow(ROOT.RooFit.ERROR)


def opened(path: str):
    """Return the workspace of a file and its ModelConfig."""
    file = ROOT.TFile(path)
    workspace = next(file.Get(key.GetName()) for key in file.GetListOfKeys() if key.GetClassName() == "RooWorkspace")
    ROOT.SetOwnership(workspace, False)
    return workspace, workspace.obj("ModelConfig")


def evaluate(workspace, nll, points):
    """Return -2 ln L at points, mappings of names to values."""
    found = []
    for point in points:
        for name, value in point.items():
            variable = workspace.var(name)
            variable.setRange(min(value, variable.getMin()), max(value, variable.getMax()))
            variable.setVal(value)
        found.append(2.0 * nll.getVal())
    return found


def minimise(path: str, points):
    """Evaluate, then fit from the snapshot `initial`."""
    workspace, config = opened(path)
    nll = config.createNLL(workspace.data("obsData"))
    values = evaluate(workspace, nll, points)
    workspace.loadSnapshot("best_fit")
    ours = 2.0 * nll.getVal()
    workspace.loadSnapshot("initial")
    minimizer = ROOT.RooMinimizer(nll)
    minimizer.setPrintLevel(-1)
    minimizer.setStrategy(2)
    minimizer.setEps(0.01)
    minimizer.minimize("Minuit2", "migrad")
    floating = minimizer.save().floatParsFinal()
    fitted = {p.GetName(): [p.getVal(), p.getError()] for p in floating}
    interest = [p.GetName() for p in config.GetParametersOfInterest()]
    return {"values": values, "ours": ours, "minimum": 2.0 * nll.getVal(), "fitted": fitted, "interest": interest}


def read_hs3(path: str, points, out: str):
    """Import an HS3 document, evaluate it, and write it again as RooFit does."""
    workspace = ROOT.RooWorkspace("w")
    tool = ROOT.RooJSONFactoryWSTool(workspace)
    tool.importJSON(path)
    ROOT.RooJSONFactoryWSTool(workspace).exportJSON(out)
    config = next(o for o in workspace.allGenericObjects() if isinstance(o, ROOT.RooStats.ModelConfig))
    category = config.GetPdf().indexCat()
    weight, data, columns, kept = ROOT.RooRealVar("weight", "", 1.0), ROOT.std.map("string", "RooDataSet*")(), ROOT.RooArgSet(), []
    for counts in workspace.allData():
        channel = counts.GetName().removeprefix("observed_")
        x = workspace.var(f"obs_{channel}")
        events = ROOT.RooDataSet(channel, "", ROOT.RooArgSet(x, weight), ROOT.RooFit.WeightVar(weight))
        for k in range(counts.numEntries()):
            x.setVal(counts.get(k).getRealValue(x.GetName()))
            events.add(ROOT.RooArgSet(x), counts.weight(k))
        kept.append(events)
        data[channel] = events
        columns.add(x)
    columns.add(weight)
    whole = ROOT.RooDataSet("all", "", columns, ROOT.RooFit.Index(category), ROOT.RooFit.Import(data), ROOT.RooFit.WeightVar(weight))
    nll = config.createNLL(whole)
    return {"values": evaluate(workspace, nll, points)}


task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
print()
print(json.dumps(globals()[task.pop("do")](**task)))
