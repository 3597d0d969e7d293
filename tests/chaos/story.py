"""One attempt, the faults that strike it, and the way back: what ``facade stat`` says to type, until all is done."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chaos import watch
from chaos.faults import KINDS, Kind, Scene, TooLateError
from chaos.place import CAMPAIGNS, QUANTA, Place
from chaos.truth import Signature, facts, signature, untruths
from e2e.world import BIN

LINES = ("staging", "running", "exec", "saving", "outputs", "stored", "quantum-ended", "job-started", "job-ended")
LONGEST = 6.0
"""Seconds that a fault lasts at most."""
ROUNDS = 8
"""How often the command that stat gives is typed before we give up."""
PATIENCE = 240.0


@dataclass(frozen=True)
class Moment:
    """When to strike: once *quanta* have succeeded and a receipt gets a *line* of that kind, *wait* seconds later."""

    quanta: int
    line: str
    wait: float
    lasts: float


@dataclass
class Row:
    """What became of one fault."""

    number: int
    seed: int
    campaign: str
    engine: str
    archive: str
    attempt: str
    fault: str
    moment: str
    target: str
    after: str = ""
    commands: list[str] = field(default_factory=list)
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Story:
    """One attempt and its faults, in order."""

    seed: int
    campaign: str
    engine: str
    archive: str
    faults: tuple[tuple[Kind, Moment], ...]


def invented(seed: int, campaign: str, kinds: Sequence[str], longest: float = LONGEST) -> Story:
    """Return a story with *kinds* of faults, none longer than *longest* seconds, at moments that *seed* decides."""
    dice, quanta = random.Random(seed), QUANTA[campaign]
    chosen = [KINDS[name] for name in kinds]
    starts = sorted(dice.randrange(int(quanta * 0.9)) for _ in chosen)
    moments = [
        Moment(
            start,
            dice.choice(("", "", *LINES)),
            dice.choice((0.0, 0.0, dice.uniform(0, 0.5))),
            dice.uniform(0.3, longest),
        )
        for start in starts
    ]
    (engine,) = {kind.engine for kind in chosen}
    (archive,) = {kind.archive for kind in chosen}
    return Story(seed, campaign, engine, archive, tuple(zip(chosen, moments, strict=True)))


class Teller:
    """Tells stories in a place; each ends with the truth."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._references: dict[str, Signature] = {}
        self._number = self._quanta = 0

    def reference(self, campaign: str) -> Signature:
        """Return the signature of an attempt that nothing disturbs, made for the first who asks."""
        if campaign not in self._references:
            self._place.settle("home")
            self._place.world.facade("submit", CAMPAIGNS[campaign], "--wait", "--reuse", "none", "-j", 2)
            found = signature(facts(self._place, self._place.world.latest()["name"]), self._place.archive)
            self._references[campaign] = found
            if wrong := untruths(self._place, self._place.world.latest()["name"], "home", QUANTA[campaign], found):
                raise AssertionError(f"an undisturbed attempt is not as it must be: {wrong}")
        return self._references[campaign]

    def tell(self, story: Story) -> list[Row]:
        """Carry out an attempt with its faults, mend it, and look whether all that must hold does."""
        reference, self._quanta = self.reference(story.campaign), QUANTA[story.campaign]
        self._place.settle(story.archive)
        world = self._place.condor() if story.engine == "htcondor" else self._place.world
        known = {path.name for path in self._place.runs.iterdir()}
        began = time.monotonic()
        words = ["submit", CAMPAIGNS[story.campaign], "--wait", "--reuse", "none", "-j", 2, "--engine", story.engine]
        log = self._place.home / f"story-{story.seed}.log"
        engine = _start(world.env(), words, log)
        run = _new(self._place.runs, known, engine)
        scene = Scene(self._place, world, run, engine, watch.Receipts(run), random.Random(story.seed + 1), [])
        rows = [
            row for kind, moment in story.faults if (row := self._strike(scene, story, kind, moment, log)) is not None
        ]
        commands = self._mend(scene, log)
        text = log.read_text(errors="replace")
        wrong = [*scene.lies, *(["a traceback was shown"] if "Traceback" in text else [])]
        wrong += untruths(self._place, run.name, story.archive, QUANTA[story.campaign], reference)
        if wrong:  # the home goes away; what tells how it came stays
            kept = Path(tempfile.mkdtemp(prefix="facade-chaos-kept."))
            shutil.copytree(run, kept / run.name, symlinks=True)
            shutil.copy(log, kept)
            wrong.append(f"see {kept}")
        seconds = round(time.monotonic() - began, 1)
        for row in rows:
            row.commands, row.seconds, row.wrong = [*row.commands, *commands], seconds, wrong
        return rows

    def _strike(self, scene: Scene, story: Story, kind: Kind, moment: Moment, log: Path) -> Row | None:
        commands: list[str] = []
        try:
            self._await(scene, moment, log, commands)
            done = scene.receipts.succeeded
            if scene.engine.poll() is not None and self._advice(scene) is None:
                raise TooLateError
            with kind.strike(scene) as target:
                _lasting(scene, moment.lasts if kind.lasts else 0.1)
        except TooLateError:
            return None
        self._number += 1
        after = scene.engine.poll()
        when = f"{done}/{QUANTA[story.campaign]}" + (f", at {moment.line}" if moment.line else "")
        when += f", for {moment.lasts:.1f} s" if kind.lasts else ""
        return Row(
            self._number, story.seed, story.campaign, story.engine, story.archive, scene.run.name, kind.name, when,
            target, "goes on" if after is None else f"ended with {after}", commands,
        )  # fmt: skip

    def _await(self, scene: Scene, moment: Moment, log: Path, commands: list[str]) -> None:
        """Return at the *moment*; an attempt that nobody carries out any more is taken up again for it."""
        scene.receipts.look()
        while scene.receipts.succeeded < moment.quanta or (moment.line and moment.line not in scene.receipts.fresh):
            if scene.engine.poll() is not None and not self._watched_anew(scene, log):
                command = self._advice(scene)
                if command is None:
                    raise TooLateError
                commands.append(command)
                scene.engine = _start(scene.world.env(), [*command.split()[1:], "--wait", "-j", 2], log)
            time.sleep(0.002)
            scene.receipts.look()
        time.sleep(moment.wait)

    def _watched_anew(self, scene: Scene, log: Path) -> bool:
        """An attempt on a pool goes on without whoever watched it: watch it again. Return whether it does go on."""
        holder = scene.world.json("stat", scene.run.name)["carried_out_by"] or ""
        if holder.startswith("HTCondor"):
            scene.engine = _start(scene.world.env(), ["stat", scene.run.name, "--watch"], log)
        return holder.startswith("HTCondor")

    def _mend(self, scene: Scene, log: Path) -> list[str]:
        """Type what stat says until the attempt has succeeded; return what was typed."""
        commands: list[str] = []
        for _ in range(ROUNDS):
            try:
                scene.engine.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                scene.lies.append(f"nothing came to an end within {PATIENCE:g} s")
                scene.engine.kill()
            command = self._advice(scene)
            if command is None:
                return commands
            commands.append(command)
            scene.engine = _start(scene.world.env(), [*command.split()[1:], "--wait", "-j", 2], log)
        scene.lies.append(f"not mended by {ROUNDS} times {commands[-1]}")
        return commands

    def _advice(self, scene: Scene) -> str | None:
        """Return the command that stat says to type once nobody carries the attempt out, None if all is done."""
        report = self._at_rest(scene)
        if report is None:
            return None
        state, name = report["attempt"]["state"], scene.run.name
        if sum(report["quanta"].values()) != self._quanta:
            scene.lies.append(f"stat counts {report['quanta']}")
        if state == "succeeded":
            return None
        if state not in ("failed", "lost", "planned"):
            scene.lies.append(f"stat says {state}, and nobody carries it out")
        if f"facade resume {name}" in " ".join(report["advice"]):
            return f"facade resume {name}"
        scene.lies.append(f"stat gives no advice for an attempt that is {state}: {report['advice']}")
        return None

    def _at_rest(self, scene: Scene) -> dict[str, Any] | None:
        """Wait until nobody carries the attempt out; return what stat says then, None if that takes too long."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            report: dict[str, Any] = scene.world.json("stat", scene.run.name)
            if report["carried_out_by"] is None:
                return report
            time.sleep(0.2)
        scene.lies.append(f"it is still carried out by {report['carried_out_by']}")
        return None


def _lasting(scene: Scene, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and scene.engine.poll() is None:
        time.sleep(0.05)


def _start(env: dict[str, str], words: Sequence[object], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        out.write(f"$ facade {' '.join(map(str, words))}\n".encode())
        out.flush()
        return subprocess.Popen(
            [str(BIN / "facade"), *map(str, words)], env=env, stdout=out, stderr=out, cwd=log.parent
        )


def _new(runs: Path, known: set[str], engine: subprocess.Popen[bytes]) -> Path:
    """Wait for the run directory of the attempt that *engine* makes."""
    while True:
        for entry in os.scandir(runs):
            if entry.name not in known:
                return Path(entry.path)
        if engine.poll() is not None:
            raise AssertionError(f"no attempt was made: submit ended with {engine.returncode}")
        time.sleep(0.005)
