"""Who writes the checkpoints of a training, finds them again, and says whether they fit."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import io
from chainrule.core.tree import flatten
from chainrule.errors import DataError, UsageError
from chainrule.forks import load
from chainrule.run import Runner, name_of
from chainrule.train.checkpoint import (
    FORMAT,
    HARMLESS,
    KEPT,
    NAME,
    VERSION,
    Checkpoint,
    Checkpointed,
    Found,
    described,
    fingerprint,
    moment_of,
    read,
    record_of,
    versions,
)
from chainrule.train.data import ArrayData
from chainrule.train.evaluation import HeldOut
from chainrule.train.monitor import EpochMonitor, Moment, TrainingState, all_finite
from chainrule.train.result import FitResult
from chainrule.train.steps import Step


@contextlib.contextmanager
def owned(checkpoint: Any, workers: Any = None) -> Iterator[None]:
    """Keep other trainings off a folder of checkpoints while one runs here, if it is to have any.

    The lock is the system's, on the folder itself: it goes with the process that has it, and leaves
    no file. Where folders cannot be locked (Windows, some network file systems) there is none.

    Raises:
        UsageError: another training has it.
    """
    follows = hasattr(workers, "total") or (
        workers == "mpi" and load("chainrule.train.mpi").Mpi().rank > 0
    )
    if checkpoint is None or follows or sys.platform == "win32":
        yield
        return
    import fcntl

    folder = _made(checkpoint.folder if isinstance(checkpoint, Checkpoint) else checkpoint)
    with io.naming(folder):
        own = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(own)
        raise UsageError(
            f"{folder}: another training keeps its checkpoints there now; wait for its end, or "
            "give this one a folder of its own"
        ) from None
    except OSError:  # no locks there
        pass
    try:
        yield
    finally:
        os.close(own)


def _made(given: Any) -> Path:
    """The folder, made if it is not there."""
    folder = Path(given)
    if folder.is_file():
        raise UsageError(f"{folder}: is a file, and checkpoints are kept in a folder; name another")
    with io.naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def from_files(resume: Any, checkpoint: Any, networks: int | None = None) -> bool:
    """Whether a training goes on from its checkpoints, as ``resume=`` says; of several networks,
    it may list what each goes on from.

    Raises:
        UsageError: there are none, or it is neither a truth value nor what one goes on from.
    """
    if isinstance(resume, (bool, np.bool_)):
        if resume and checkpoint is None:
            raise UsageError("resume=True: say where the checkpoints are, checkpoint=FOLDER")
        return bool(resume)
    each = [resume] if networks is None else resume if isinstance(resume, (list, tuple)) else []
    if len(each) != (networks or 1) or not all(isinstance(x, (Moment, FitResult)) for x in each):
        what = "the FitResult" if networks is None else f"the {networks} FitResults"
        raise UsageError(f"resume={described(resume)}: give True, False, or {what} to go on from")
    return False


class Kept:
    """One network's place among those that a ``Keeper`` writes down."""

    def __init__(self, keeper: Keeper, place: int) -> None:
        self.keeper, self.place = keeper, place
        self.training: TrainingState | None = None
        self.monitor: EpochMonitor | None = None
        self.same: dict[str, str] = {}
        self.stopped: str | None = None
        self.over = False

    def begin(
        self, training: TrainingState, monitor: EpochMonitor, same: Mapping[str, str]
    ) -> str | None:
        """Follow this training, and take it to where it stood; returns why it ended, if it had.

        same: what must be as it was.

        Raises:
            UsageError: it is not.
        """
        self.training, self.monitor, self.same = training, monitor, dict(same)
        keeper = self.keeper
        if keeper.found is not None:
            record = keeper.taken(self.place, same)
            training.go_on(moment_of(keeper.found, self.place, record, training))
            monitor.go_on(training.judged)
            monitor.started -= record["seconds"]
            if record["stopped"] not in (None, "epochs"):
                self.stopped, self.over = record["stopped"], True
            check_epochs(training, monitor.epochs, str(keeper.found.path))
        else:
            training.mark()
        training.seen, training.every = self.seen, keeper.options.steps
        keeper.begun()
        return self.stopped

    def seen(self) -> None:
        """There is a new moment."""
        assert self.training is not None
        self.keeper.maybe(self.training.steps)

    def end(self, stopped: str | None) -> None:
        """This training is over; None if it could go on."""
        self.stopped, self.over = stopped, True
        self.keeper.ended()

    def written(self, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        """The record of this network; its arrays go to ``arrays``."""
        training, monitor = self.training, self.monitor
        assert training is not None
        assert monitor is not None
        record = record_of(training.moment, training.treedef, self.place, arrays)
        seconds = max(0.0, time.perf_counter() - monitor.started)
        return {"same": self.same, **record, "seconds": seconds, "stopped": self.stopped}


class Keeper:
    """Writes the checkpoints of trainings that go side by side, and finds those of earlier ones.

    Raises:
        UsageError: the folder holds a training that is not at its end, and neither ``resume`` nor
            ``force`` says what is to become of it.
        DataError: resuming, and every file is damaged.
        OSError: the folder cannot be made.
    """

    def __init__(self, given: Any, resume: bool, networks: int = 1, team: Any = None) -> None:
        options = given if isinstance(given, Checkpoint) else Checkpoint(given)
        self.options, self.folder = options, _made(options.folder)
        io.sweep(self.folder)
        self.numbers = sorted(
            int(match[1]) for path in self.folder.iterdir() if (match := NAME.fullmatch(path.name))
        )
        self.found: Found | None = None
        self.reading = 0.0
        if self.numbers and (resume or not options.force):
            self.found = self._newest(resume)
        if not resume and self.found is not None and not self.found.ended:
            raise UsageError(
                f"{self.folder}: holds checkpoints of a training that is not at its end; "
                "resume=True goes on with it, force=True begins anew"
            )
        self.found = self.found if resume else None
        self.networks = [Kept(self, k) for k in range(networks)]
        self.waiting = networks
        self.last = time.monotonic()
        self.writes = team is None or team.rank == 0
        if team is not None:
            team.wait()  # till all have read what is there

    def _path(self, number: int) -> Path:
        return self.folder / f"checkpoint-{number:06d}.safetensors"

    def _newest(self, resume: bool) -> Found | None:
        """The newest file that is whole."""
        started, wrong = time.perf_counter(), list[str]()
        for number in reversed(self.numbers):
            try:
                found = read(self._path(number))
            except (DataError, OSError) as error:
                wrong.append(str(error))
                continue
            if wrong and resume:
                warnings.warn(
                    f"{'; '.join(wrong)}; training goes on from the one before, {found.path.name}",
                    stacklevel=2,
                )
            self.reading = time.perf_counter() - started
            return found
        raise DataError(
            f"{self.folder}: no checkpoint there is whole: {'; '.join(wrong)}; begin anew in "
            "another folder, or here with force=True and without resume"
        )

    def taken(self, place: int, same: Mapping[str, str]) -> dict[str, Any]:
        """The record of a network, if it fits what is to be trained."""
        assert self.found is not None
        document, path = self.found.document, self.found.path
        records = document["networks"]
        if len(records) != len(self.networks):
            raise UsageError(
                f"{path}: is of {len(records)} networks, and {len(self.networks)} are to be "
                "trained; give the same options, or begin in another folder"
            )
        then = {**document["same"], **records[place]["same"]}
        now = {**self._everywhere(), **same}
        differ = [name for name in (*now, *(then.keys() - now)) if then.get(name) != now.get(name)]
        if differ == ["processor"]:
            warnings.warn(
                f"{path}: was written on another processor ({then['processor']}, here "
                f"{now['processor']}): the last bits may come out otherwise",
                stacklevel=2,
            )
        elif differ and not (self.options.force and HARMLESS.issuperset(differ)):
            # Options of a table decide others of its networks, whose names its users don't know.
            named = [name for name in differ if name in self.options.about] or differ
            shown = "; ".join(
                "{} was {} and is {}".format(name, *_short(then.get(name), now.get(name)))
                for name in named
                if name != "processor"
            )
            way = "force=True goes on, though not to the same bits" if HARMLESS.issuperset(differ) \
                else "give what was given then, or begin in another folder"  # fmt: skip
            raise UsageError(f"{path}: {shown}; {way}")
        return records[place]

    def _everywhere(self) -> dict[str, str]:
        about = {name: repr(value) for name, value in self.options.about.items()}
        return about | versions()

    def begun(self) -> None:
        """A network is ready; when all are, training begins."""
        self.waiting -= 1
        if self.waiting:
            return
        if self.found is None:
            self.write()
        else:
            found, self.found = self.found, None
            if self.writes:
                self._tell("resumed", found.path, self.reading)
        self.last = time.monotonic()

    def maybe(self, steps: int) -> None:
        """Write, if it is time."""
        if self.waiting:
            return
        every = self.options.steps
        if steps % every == 0 or time.monotonic() - self.last >= self.options.seconds:
            self._try()

    def ended(self) -> None:
        """A network is done; when all are, that is written down."""
        if not self.waiting and all(one.over for one in self.networks):
            self._try()

    def _try(self) -> None:
        """Write; what hinders that does not end a training, whose last good file stays."""
        try:
            self.write()
        except OSError as error:
            warnings.warn(
                f"{error.filename or self.folder}: no checkpoint could be written "
                f"({error.strerror or error}); training goes on, and the last one stays",
                stacklevel=2,
            )
        self.last = time.monotonic()

    def write(self) -> None:
        """Write where all networks stand, and remove what is older than the file before."""
        if not self.writes:
            return
        started, arrays = time.perf_counter(), dict[str, np.ndarray]()
        networks = [one.written(arrays) for one in self.networks]
        if not all_finite([*arrays.values()]):
            return  # the loss will soon say so
        document = {
            "format": FORMAT,
            "version": VERSION,
            "same": self._everywhere(),
            "networks": networks,
        }
        number = self.numbers[-1] + 1 if self.numbers else 1
        self.folder.mkdir(parents=True, exist_ok=True)  # it may have been removed meanwhile
        io.save(self._path(number), arrays, document)
        self.numbers.append(number)
        while len(self.numbers) > KEPT:
            with contextlib.suppress(FileNotFoundError):
                self._path(self.numbers[0]).unlink()
            del self.numbers[0]
        self._tell("written", self._path(number), time.perf_counter() - started)

    def _tell(self, what: str, path: Path, seconds: float) -> None:
        if self.options.callback is not None:
            training = self.networks[0].training
            assert training is not None
            moment = training.moment
            at = moment.position
            event = Checkpointed(what, path, at.epoch, at.step, moment.steps, seconds)
            self.options.callback(event)


def check_epochs(training: TrainingState, epochs: int, where: str) -> None:
    """Refuse fewer epochs than a training that is to go on has."""
    done = training.position.epoch - 1
    if done > epochs:
        raise UsageError(f"{where}: has {done} epochs, and epochs={epochs} counts these too")


def same_as_then(
    step: Step,
    optimizer: Any,
    data: Any,
    rows: Sequence[HeldOut],
    monitor: EpochMonitor,
    seed: int,
    dtype: Any,
    runner: Runner,
) -> dict[str, str]:
    """What must be as it was when a training goes on, in words; data by their fingerprints."""
    found = {
        "model": described(step.model),
        "loss": described(step.loss),
        "optimizer": described(optimizer),
        "batch_size": str(getattr(data, "batch_size", (data.rows, data.steps))),
        "seed": str(seed),
        "penalty": f"{described(step.penalty)} alpha={step.alpha}",
        "dtype": str(dtype),
        "early_stopping": described(monitor.early_stopping),
        "epochs": str(monitor.epochs),
        "metrics": ", ".join(monitor.metrics),
        "evaluate_train": str(any(part.name == "train" for part in rows)),
        "executor": name_of(runner.executor),
        "training data": _print(data),
    }
    return found | {
        f"{part.name} data": getattr(part, "fingerprint", None)
        or fingerprint(part.x, part.targets, part.weights)
        for part in rows
        if part.name != "train"
    }


def _print(data: Any) -> str:
    """The fingerprint of training data: of arrays; of an object its own, or of what it takes first
    and of how much there is."""
    if isinstance(data, ArrayData):
        return fingerprint(data.x, data.targets, data.weights)
    own = getattr(getattr(data, "data", data), "fingerprint", None)
    return own or f"{data.rows} rows, {data.steps} steps, {fingerprint(*data.first)}"


def go_on(
    training: TrainingState, monitor: EpochMonitor, result: FitResult, searching: bool
) -> None:
    """Take up where another training ended."""
    moment = result.moment
    if moment is None or searching:
        raise UsageError(
            "resume=result goes on from a result of minibatches that is finite; L-BFGS goes on "
            "from checkpoints: checkpoint=FOLDER, resume=True"
        )
    given = training.treedef.unflatten(training.now), (result.params, result.state, result.slots)
    (now, tree), (then, was) = map(flatten, given)
    if tree != was or [(x.shape, x.dtype) for x in now] != [(x.shape, x.dtype) for x in then]:
        raise UsageError(f"resume=result: {result.model} was trained, by other rules or in another "
                         f"dtype; give the same model, optimizer and dtype")  # fmt: skip
    training.go_on(moment)
    monitor.go_on(moment.judged)
    check_epochs(training, monitor.epochs, "resume=result")


def _short(*texts: str | None) -> Iterator[str]:
    """Each of two texts; of long ones what stands about their first difference."""
    known = [text or "not known" for text in texts]
    same = [a == b for a, b in zip(*known, strict=False)]
    start = [*same, False].index(False) - 80 if max(map(len, known)) > 200 else 0
    for text in known:
        some = text[max(0, start) : max(0, start) + 200]
        yield "..." * (start > 0) + some + "..." * (not text.endswith(some))
