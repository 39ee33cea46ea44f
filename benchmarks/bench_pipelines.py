"""Azure Pipelines on the desk: expanding, planning, and what a step costs beyond itself.

    .venv/bin/python benchmarks/bench_pipelines.py [--runs 5]

Asked: `lockgate expand` of 40 templates and 1,000 steps under 1 s and 150 MB as a whole process; `lockgate plan` of the largest file under
0.4 s; at most 30 ms of overhead per step. Peers in the same run: a Python process that reads the same files with PyYAML's safe_load, and
one that starts the same bash scripts one after the other.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from measure import ROOT, Cost, machine, run

TEMPLATES, STEPS = 40, 25
SCRIPTS = 100
_TEMPLATE = """\
parameters:
- name: name
  type: string
- name: environment
  type: string
  values: [dev, stage, prod]
- name: extra
  type: stepList
  default: []
steps:
{steps}- ${{{{ parameters.extra }}}}
"""
_STEP = """\
- script: echo ${{{{ parameters.name }}}} {number} ${{{{ upper(parameters.environment) }}}} $(Build.BuildId)
  displayName: Step {number} of ${{{{ parameters.name }}}} in ${{{{ parameters.environment }}}}
  condition: and(succeeded(), ne(variables['skip'], '${{{{ parameters.name }}}}'))
  env:
    NAME: ${{{{ parameters.name }}}}
    ${{{{ if eq(parameters.environment, 'prod') }}}}:
      CAREFUL: 'true'
"""
_LARGEST = "mlops-pipelines/*.yml"


def write_pipeline(folder: Path) -> list[Path]:
    """A pipeline of 40 templates with 25 steps each; all of its files."""
    steps = "".join(_STEP.format(number=number) for number in range(STEPS - 1)) + "- bash: echo the last one\n"
    files = []
    jobs = []
    for number in range(TEMPLATES):
        file = folder / f"steps-{number}.yml"
        file.write_text(_TEMPLATE.format(steps=steps))
        files.append(file)
        environment = ("dev", "stage", "prod")[number % 3]
        jobs.append(
            f"  - job: job_{number}\n    steps:\n    - template: steps-{number}.yml\n      parameters: {{name: n{number}, environment: {environment}}}\n"
        )
    root = folder / "large.yml"
    root.write_text("trigger: none\nvariables:\n  skip: nobody\nstages:\n- stage: all\n  jobs:\n" + "".join(jobs))
    return [root, *files]


def median(costs: list[Cost]) -> tuple[float, float]:
    """Median seconds, largest memory."""
    return statistics.median(cost.seconds for cost in costs), max(cost.megabytes for cost in costs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    lockgate = [sys.executable, "-m", "lockgate"]
    print(f"medians of {runs}; {machine()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / ".lockgate").mkdir()
        files = write_pipeline(folder)
        reading = "import sys, yaml\nfor name in sys.argv[1:]: yaml.safe_load(open(name))"
        large = str(files[0])
        expand, peer, plan = [], [], []
        for _ in range(runs):
            expand.append(run([*lockgate, "expand", large]))
            peer.append(run([sys.executable, "-c", reading, *map(str, files)]))
            plan.append(run([*lockgate, "plan", large]))
        size = sum(file.stat().st_size for file in files)
        (seconds, megabytes), (plain, _) = median(expand), median(peer)
        print(f"  {TEMPLATES} templates, {TEMPLATES * STEPS:,} steps, {size / 1000:.0f} kB")
        print(f"    expand             {seconds:6.2f} s   {megabytes:4.0f} MB   (asked: 1 s, 150 MB)")
        print(f"    plan               {median(plan)[0]:6.2f} s   {median(plan)[1]:4.0f} MB")
        print(f"    PyYAML safe_load   {plain:6.2f} s   reading alone; expand takes {seconds / plain:.2f} times as long")
        own = max(ROOT.glob(_LARGEST), key=lambda path: path.stat().st_size, default=None)
        if own is not None:
            seconds = median([run([*lockgate, "plan", str(own)]) for _ in range(runs)])[0]
            print(f"  plan of {own.relative_to(ROOT)}   {seconds:6.2f} s   (asked: 0.4 s)")
        short = folder / "short.yml"
        short.write_text("steps:\n- checkout: none\n" + "- script: 'true'\n" * SCRIPTS)
        none = folder / "none.yml"
        none.write_text("steps:\n- checkout: none\n")
        script = folder / "true.sh"
        script.write_text("true\n")
        spawning = (
            f"import subprocess\nfor _ in range({SCRIPTS}): subprocess.run(['bash', '--noprofile', '--norc', {str(script)!r}], check=True)"
        )
        ran, empty, bare = [], [], []
        for _ in range(runs):
            ran.append(run([*lockgate, "run", str(short), "--plain"]))
            empty.append(run([*lockgate, "run", str(none), "--plain"]))
            bare.append(run([sys.executable, "-c", spawning]))
        start = median([run([sys.executable, "-c", "pass"]) for _ in range(runs)])[0]
        each = (median(ran)[0] - median(empty)[0]) / SCRIPTS * 1000
        alone = (median(bare)[0] - start) / SCRIPTS * 1000
        print(
            f"  a step of `script: true`   {each:5.1f} ms, of which bash alone takes {alone:.1f} ms: overhead {each - alone:.1f} ms (asked: 30 ms)"
        )
        print(f"  a run without steps        {median(empty)[0]:5.2f} s")


if __name__ == "__main__":
    main()
