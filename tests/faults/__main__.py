"""`make faults`: runs every fault against every flow on a deployed system and prints the outcomes."""

import argparse
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from local import ports
from local.lock import locked
from local.progress import say, step
from local.settings import ROOT
from local.stack import forget_database, running
from tests.faults import outages
from tests.faults.flows import Verdict, all_flows
from tests.faults.gateway import Failure
from tests.faults.matrix import Cell, Matrix, Trial
from tests.faults.world import World, world_of

HOME = ROOT / ".local" / "faults"
RESULTS = Path(__file__).parent / "results.json"
EACH = 2
AT_ONCE = 3
LEASES = 5


def main() -> int:
    """Run the matrix and return the exit code: 1 if anything was lost, doubled or answered wrongly."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of what is drawn")
    parser.add_argument("--each", type=int, default=EACH, help="runs of each failure of a call in each flow")
    parser.add_argument("--all", action="store_true", help="every failure of every call instead; takes hours")
    parser.add_argument("--only", default="", help="flows whose name contains this")
    arguments = parser.parse_args()
    environment = {**os.environ, "LOCAL_PORT_BASE": str(ports.free_base())}
    with locked(HOME.with_name("faults-run")):
        forget_database(HOME)
        with running(HOME, environment) as stack, world_of(stack, HOME) as world:
            flows = [flow for flow in all_flows(world) if arguments.only in flow.name]
            matrix = Matrix(world, flows, say)
            say(f"Seed {arguments.seed}")
            with step("Doing everything undisturbed, to see its calls"):
                trials = matrix.learn()
                matrix.settle()
            chosen = trials if arguments.all else drawn(trials, arguments.each, random.Random(arguments.seed))
            run(matrix, world, environment, chosen)
    cells = list(matrix.cells.values())
    say(table(cells, [flow.name for flow in flows]))
    verdicts = sum((cell.verdicts for cell in cells), Counter[Verdict]())
    if arguments.only:
        say("Not written: only the whole is.")
    else:
        write(cells, verdicts, {"seed": arguments.seed, "calls": len({trial.step for trial in trials})})
    return 1 if sum(cell.failed for cell in cells) else 0


def drawn(trials: Sequence[Trial], each: int, chance: random.Random) -> list[Trial]:
    """So many of each failure in each flow, in an order that is drawn too."""
    cells: dict[tuple[str, str], list[Trial]] = {}
    for trial in sorted(trials):
        cells.setdefault((trial.failure, trial.flow), []).append(trial)
    chosen = [trial for cell in cells.values() for trial in chance.sample(cell, min(each, len(cell)))]
    chance.shuffle(chosen)
    return chosen


def run(matrix: Matrix, world: World, environment: Mapping[str, str], trials: Sequence[Trial]) -> None:
    """First what fails a single call, then what breaks for all at once."""
    for failure in Failure:
        chosen = [trial for trial in trials if trial.failure is failure]
        with step(f"Failing {len(chosen)} calls: {failure}"):
            matrix.run(chosen)
            matrix.settle()
    for kinds, is_lasting in ((outages.passing(world, environment), False), (outages.lasting(world), True)):
        for fault, outage in kinds.items():
            with step(f"Everything at once: {fault}"):
                matrix.run_under(fault, outage, is_lasting=is_lasting)
    with step("Sending everything several times at once"):
        matrix.run_repeated(AT_ONCE)
        matrix.settle()
    with step("Putting poison into the queues"):
        matrix.run_poisoned()
        matrix.settle()
    with step("Ending leases"):
        matrix.run_without_leases(LEASES)
        matrix.settle()


def table(cells: Sequence[Cell], flows: Sequence[str]) -> str:
    """Faults as rows, flows as columns; in each cell how many went wrong of how many."""
    found = {(cell.fault, cell.flow): cell for cell in cells}
    width = max(len(name) for name in flows) + 2
    lines = ["", " " * 26 + "".join(name.rjust(width) for name in flows)]
    for fault in dict.fromkeys(cell.fault for cell in cells):
        texts = [_text(found.get((fault, flow))) for flow in flows]
        lines.append(f"{fault:<26}" + "".join(text.rjust(width) for text in texts))
    verdicts = sum((cell.verdicts for cell in cells), Counter[Verdict]())
    lines += [
        "",
        "Lost, doubled or answered wrongly, of so many runs.",
        f"All: {verdicts.total()} runs, lost {verdicts[Verdict.LOST]}, doubled {verdicts[Verdict.DOUBLED]}, "
        f"answered wrongly {verdicts[Verdict.WRONG]}. Told to log in again, because Meta's answer to a code was lost: "
        f"{verdicts[Verdict.TOLD]}.",
    ]
    return "\n".join(lines)


def write(cells: Sequence[Cell], verdicts: Mapping[Verdict, int], details: Mapping[str, object]) -> None:
    """The results, for whoever wants to look closer."""
    RESULTS.write_text(
        json.dumps(
            {
                **details,
                "all": verdicts,
                "cells": [
                    {"fault": cell.fault, "flow": cell.flow, **cell.verdicts, "notes": cell.notes} for cell in cells
                ],
            },
            indent=2,
        )
        + "\n"
    )
    say(f"Written to {RESULTS.relative_to(ROOT)}; docs/faults.md says how to read it.")


def _text(cell: Cell | None) -> str:
    return "" if cell is None or not cell.runs else f"{cell.failed}/{cell.runs}"


if __name__ == "__main__":
    sys.exit(main())
