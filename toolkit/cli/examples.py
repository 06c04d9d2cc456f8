"""Examples of every command: shown by `--help`, written into docs/commands.md, parsed by the tests."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("h4l demo", "the whole chain on the example ntuples"),
        ("h4l init ntuples/*.root", "a config for your own ntuples"),
        ("h4l run config.yaml", "all stages"),
    ),
    "demo": (
        ("h4l demo", "writes h4l-demo/ with report.html"),
        ("h4l demo --executor futures --workers 4", "processes files and trains networks in parallel"),
    ),
    "inspect": (
        ("h4l inspect events.root", "layout, branches, entries, weights"),
        ("h4l inspect events.root --json", "the same for a program"),
        ("h4l inspect root://host.example.org//store/events.root", "of a file on a server"),
    ),
    "init": (
        ("h4l init ggF_S_*.root ggF_SBI_*.root ggF_B_*.root qqZZ_*.root", "writes config.yaml: one sample per name"),
        ("h4l init 'https://example.org/ntuples/*.root' datasets.json files.txt", "from servers, datasets and lists"),
        ("h4l init data_*.root --out data.yaml --force", "another file, replaced if it exists"),
    ),
    "validate": (
        ("h4l validate config.yaml", "files, branches, weights, cross-sections"),
        ("h4l validate examples/offshell4l.yaml --data ntuples", "with the folder that stands for {data}"),
        ("h4l validate out/analysis", "files of a run against their checksums, networks against their reference rows"),
    ),
    "run": (
        ("h4l run config.yaml --out results", "all stages; the same command again goes on where it stopped"),
        ("h4l run config.yaml --data root://host.example.org//store/ntuples", "with ntuples on a server"),
        ("h4l run config.yaml --dry-run", "which stages would run, and why"),
        ("h4l run config.yaml --from fit", "fit and report again, on the same networks"),
        ("h4l run config.yaml --executor dask --scheduler tcp://10.0.0.1:8786", "on a cluster"),
        ("h4l run config.yaml --quiet --json", "one JSON document: stages, files, headline of every method"),
    ),
    "status": (
        ("h4l status out/offshell4l", "what is done, in work or missing"),
        ("h4l status out/offshell4l --json", "the same with full hashes and versions"),
    ),
    "cluster": (
        ("h4l cluster --example slurm > workers.py", "edit it, start it with python workers.py, pass the address that it prints"),
        ("h4l run config.yaml --scheduler tcp://10.0.0.1:8786", "uses its workers"),
    ),
    "optimise-reference": (
        ("h4l optimise-reference config.yaml", "trains the local scores of the config at up to 16 points; table, reference.json"),
        ("h4l optimise-reference config.yaml --initial 8 --steps 20", "a longer search; the same command again goes on where it stopped"),
    ),
    "process": (
        ("h4l process config.yaml", "event tables, histograms and the cut flow"),
        ("h4l process config.yaml --executor futures --workers 8", "in eight processes"),
    ),
    "histograms": (
        ("h4l histograms config.yaml", "needs the event tables; another binning selects no event again"),
        ("h4l histograms config.yaml --dry-run", "whether they would be filled, and why"),
    ),
    "classify": (
        ("h4l classify config.yaml", "needs the event tables; without `classifiers` in the config it does nothing"),
        ("h4l classify config.yaml --dry-run", "whether the classifiers would be trained, and why"),
    ),
    "train": (
        ("h4l train config.yaml", "needs the event tables"),
        ("h4l train config.yaml --force", "trains again, although nothing has changed"),
    ),
    "export": (
        ("h4l export config.yaml", "models/mixture.onnx, checked row by row"),
        ("h4l export config.yaml --members", "and every network of the ensemble as a file of its own"),
    ),
    "fit": (
        ("h4l fit config.yaml", "needs event tables and exported networks"),
        ("h4l fit config.yaml --dry-run", "whether the fit would run, and why"),
    ),
    "report": (
        ("h4l report config.yaml", "plots, report.html, results.json"),
        ("h4l report config.yaml --style ATLAS", "in another look"),
    ),
    "combine": (
        ("h4l combine examples/width.yaml --out width", "runs and counts in one fit; page, plots, HEPData tables in width"),
        ("h4l combine examples/width.yaml --runs results --style plain", "the runs are in another folder"),
    ),
    "compare": (
        ("h4l compare out/powheg out/madgraph", "yields, ratios, chi-square; page and plots in h4l-compare"),
        ("h4l compare out/v1 out/v2 --sample ggF_SBI --observables m4l,cos_theta_1 --normalise", "shapes of two observables of a sample"),
    ),
    "predict": (
        ("h4l predict mixture.onnx events.root --config analysis.yaml --sample ggF_S", "computes the observables as the analysis does"),
        ("h4l predict mixture.onnx table.root --column m4l=mass4l --out with_ratios.root", "takes them from branches"),
    ),
    "cpp": (
        ("h4l cpp out/offshell4l/models/mixture.onnx --out cpp", "a CMake project"),
        ("h4l cpp mixture.onnx --out cpp --no-sofie", "for the ONNX Runtime alone"),
    ),
    "export-roofit": (
        ("h4l export-roofit out/offshell4l", "every method of a run, in out/offshell4l/roofit"),
        ("h4l export-roofit combined.json --out roofit", "one workspace file"),
        ("h4l export-roofit out/offshell4l --method nsbi", "the unbinned likelihood alone"),
    ),
    "bundle": (("h4l bundle out/offshell4l offshell4l.tar.gz", "everything that others need to use the result"),),
    "reuse": (
        ("h4l reuse offshell4l.tar.gz", "runs the scans again and compares with the published ones"),
        ("h4l reuse offshell4l.tar.gz --at mu=2 --at mu=0.3", "-2 ln L / L(best fit) at other values"),
        ("h4l reuse offshell4l.tar.gz --only observed --at mu=0", "of the data alone"),
    ),
    "version": (("h4l version --json", "for a report of a problem"),),
}
"""(command line, what it does) by command; the empty name stands for `h4l` itself."""


def epilog(command: str) -> str:
    """Return the examples of a command as the last lines of its help: each command line, and what it does below it.

    Examples:
        >>> epilog("version").splitlines()
        ['Examples:', '', 'h4l version --json', '   for a report of a problem']
    """
    return "Examples:\n\n" + "\n\n".join(f"{words}\n   {meaning}" for words, meaning in EXAMPLES[command])
