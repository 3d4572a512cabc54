"""Runs every fault against every flow and counts the outcomes."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.faults.flows import Connect, Flow, Run, Sweep, Verdict
from tests.faults.gateway import DEADLY, Failure, Plan, Step
from tests.faults.outages import Outage
from tests.faults.world import World

# A second try of a client meets the same failure, a third one does not.
CALLS_IN_A_ROW = 2
ONCE = DEADLY | {Failure.DOUBLED}
MET_WITHIN_S = 25
# What these call is called before they have answered.
ANSWERING = ("exchange_token", "refresh_token", "webhook", "accounts")
# Of one run, which may have to wait until its function is ended and its message comes again.
RIGHT_WITHIN_S = 120
SETTLED_WITHIN_S = 240
TICK_S = 5
LOOK_AGAIN_S = 0.3
AT_ONCE = 5
POISON = ("no JSON", "{}", '{"kind": "batch"}', "[1, 2", '"text"')


@dataclass(frozen=True, order=True)
class Trial:
    """One run of a flow with one failing step."""

    flow: str
    step: Step
    failure: Failure
    calls: int
    is_cold: bool
    """Whether the function is started anew for it: the step is part of starting."""

    def __str__(self) -> str:
        return f"{self.flow}: {self.failure}, {self.step}" + (f", {self.calls} calls" if self.calls > 1 else "")


@dataclass
class Cell:
    """A fault and a flow: what became of its runs, and what was seen of those that did not go right."""

    fault: str
    flow: str
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    not_met: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def runs(self) -> int:
        """The number of runs that met the fault."""
        return self.verdicts.total()

    @property
    def failed(self) -> int:
        """The number of runs lost, doubled or answered wrongly."""
        return sum(self.verdicts[verdict] for verdict in (Verdict.LOST, Verdict.DOUBLED, Verdict.WRONG))


@dataclass
class _Pending:
    flow: Flow
    run: Run
    cell: Cell
    name: str


class Matrix:
    """Runs trials and counts. `say` gets a line for each run that did not go right."""

    def __init__(
        self,
        world: World,
        flows: Sequence[Flow],
        say: Callable[[str], None],
        settled_within_s: float = SETTLED_WITHIN_S,
    ) -> None:
        self.world = world
        self.flows = {flow.name: flow for flow in flows}
        self.cells: dict[tuple[str, str], Cell] = {}
        self._say = say
        self._is_over = False
        self._settled_within_s = settled_within_s
        self._pending: list[_Pending] = []
        self._lock = threading.Lock()

    def learn(self, *, is_cold: bool = True) -> list[Trial]:
        """Runs each flow undisturbed, first from a cold start if wanted; every failure of each step that was seen."""
        self._fill(Counter([*self.flows, *self.flows]))
        trials: list[Trial] = []
        for flow in self.flows.values():
            first = self._steps(flow, is_cold=is_cold)
            warm = self._steps(flow, is_cold=False)
            for step in dict.fromkeys([*first, *warm] if is_cold else warm):
                for failure in Failure:
                    calls = [1] if failure in ONCE else [1, CALLS_IN_A_ROW]
                    trials += [Trial(flow.name, step, failure, number, step not in warm) for number in calls]
        return trials

    def run(self, trials: Sequence[Trial]) -> None:
        """Runs trials: one after the other where they share a lane, the others side by side."""
        self._fill(Counter(trial.flow for trial in trials))
        lanes: dict[str, list[Trial]] = {}
        for trial in trials:
            lanes.setdefault(self.flows[trial.flow].lane, []).append(trial)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            try:
                for done in [threads.submit(self._run_lane, lane) for lane in lanes.values()]:
                    done.result()
            except BaseException:
                self._is_over = True  # Ctrl-C, or one lane's failure: the others end with their present trial
                raise

    def run_under(self, fault: str, outage: Outage, *, is_lasting: bool) -> None:
        """Runs every flow, all at once, in an outage; a lasting one ends when all that can go right did."""
        self._fill(Counter(list(self.flows)))
        runs = [(flow, flow.begin()) for flow in self.flows.values()]
        with ThreadPoolExecutor(len(runs)) as threads:
            with outage():
                acting = [threads.submit(flow.act, run) for flow, run in runs]
                if is_lasting:
                    self._finish(acting, runs, fault)
            if not is_lasting:
                self._finish(acting, runs, fault)

    def run_repeated(self, times: int) -> None:
        """Runs every flow with everything sent several times at once."""
        self._fill(Counter(list(self.flows)))
        for flow in self.flows.values():
            run = flow.begin()
            with ThreadPoolExecutor(times) as threads:
                for done in [threads.submit(flow.act, run) for _ in range(times)]:
                    done.result()
            self._await(flow, run, f"sent {times} times at once", flow.name)

    def run_poisoned(self) -> None:
        """Runs every flow that has a queue with messages in it that nobody can read."""
        self._fill(Counter(list(self.flows)))
        for flow in self.flows.values():
            if flow.queue:
                run = flow.begin()
                self.world.send(flow.queue, *POISON)
                flow.act(run)
                self._await(flow, run, "poison messages", flow.name)

    def run_without_leases(self, times: int) -> None:
        """Has leases end while a worker waits for Meta, and another worker start on the same accounts."""
        for flow in self.flows.values():
            if isinstance(flow, Sweep):
                self._fill(Counter({flow.name: times}))
                for _ in range(times):
                    self._run_without_lease(flow)

    def settle(self) -> None:
        """Waits until every run went right, or until the time is up; counts what became of them."""
        self._wait([(pending.flow, pending.run) for pending in self._pending], self._settled_within_s)
        # All of them once more: what was right may have been done again since.
        for pending in self._pending:
            self._count(pending, pending.flow.judge(pending.run))
        self._pending = []

    def _wait(self, runs: Sequence[tuple[Flow, Run]], seconds: float) -> None:
        """Until all went right; meanwhile what comes back by itself comes back."""
        until = time.monotonic() + seconds
        ticked = time.monotonic()
        while waiting := [(flow, run) for flow, run in runs if flow.judge(run) is Verdict.LOST]:
            if time.monotonic() > until:
                return
            if time.monotonic() > ticked + TICK_S:
                for name in sorted({flow.name for flow, _ in waiting}):
                    self.flows[name].tick()
                ticked = time.monotonic()
            time.sleep(LOOK_AGAIN_S)

    def _finish(self, acting: Sequence[Future[None]], runs: Sequence[tuple[Flow, Run]], fault: str) -> None:
        for done in acting:
            done.result()
        for flow, run in runs:
            self._await(flow, run, fault, f"{flow.name}: {fault}")
        self.settle()

    def _run_lane(self, trials: Sequence[Trial]) -> None:
        for trial in trials:
            if self._is_over:
                return
            flow = self.flows[trial.flow]
            run = flow.begin()
            if trial.is_cold:
                self.world.restart(trial.step.function)
            run.plan = plan = Plan(trial.step, trial.failure, trial.calls)
            with self.world.gateway.failing(plan):
                flow.act(run)
                if trial.step.function not in ANSWERING:
                    plan.wait_until_met(MET_WITHIN_S)
                # Before the next one in this lane: its failure would meet this run too.
                self._wait([(flow, run)], RIGHT_WITHIN_S)
            self._await(flow, run, trial.failure, str(trial))

    def _run_without_lease(self, flow: Sweep) -> None:
        run = flow.begin()
        account = run.what.account_id
        step = Step("refresh_worker", "meta", "GET refresh_access_token")

        def end_lease() -> None:
            self.world.rows(
                "update instagram_credentials set lease_expires_at = now() - interval '1 second' "
                "where business_account_id = %s",
                account,
            )
            flow.act(run)

        run.plan = plan = Plan(step, Failure.SLOW, when_met=end_lease)
        with self.world.gateway.failing(plan):
            flow.act(run)
            plan.wait_until_met(MET_WITHIN_S)
        self._await(flow, run, "lease ended in the call", flow.name)

    def _fill(self, runs: Counter[str]) -> None:
        """Connects the accounts that so many runs of each flow take."""
        self.world.fill(sum(runs[name] for name, flow in self.flows.items() if flow.takes_an_account))

    def _steps(self, flow: Flow, *, is_cold: bool) -> list[Step]:
        run = flow.begin()
        if is_cold:
            self.world.restart(*flow.functions)
        with self.world.gateway.watching(flow.functions) as steps:
            flow.act(run)
            until = time.monotonic() + MET_WITHIN_S
            while flow.judge(run) is Verdict.LOST and time.monotonic() < until:
                time.sleep(0.2)
            time.sleep(0.5)  # what comes after the last thing that a judge looks at
        self._await(flow, run, "nothing", flow.name)
        return steps

    def _await(self, flow: Flow, run: Run, fault: str, name: str) -> None:
        with self._lock:
            cell = self.cells.setdefault((fault, flow.name), Cell(fault, flow.name))
            if run.plan and not run.plan.happened:
                cell.not_met += 1
            self._pending.append(_Pending(flow, run, cell, name))

    def _count(self, pending: _Pending, verdict: Verdict) -> None:
        flow, run, cell = pending.flow, pending.run, pending.cell
        if run.wrong:
            verdict = Verdict.WRONG
        if verdict is Verdict.TOLD and not (run.plan and isinstance(flow, Connect) and flow.may_tell(run.plan)):
            verdict = Verdict.LOST
        if not (run.plan and not run.plan.happened and verdict is Verdict.RIGHT):
            cell.verdicts[verdict] += 1
        if verdict not in (Verdict.RIGHT, Verdict.TOLD):
            answers = " | ".join(f"{answer.status_code} {answer.text[:300]}" for answer in run.answers[-2:])
            cell.notes.append(f"{verdict}: {pending.name}: {run.wrong or answers or 'no answer'}")
            self._say(cell.notes[-1])
