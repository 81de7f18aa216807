"""The log file of a job: what it did, how far it is, and why it stopped."""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from certbd.artifacts.fingerprint import check_loaded
from certbd.artifacts.io import DataError

SCRIPTS = Path(__file__).parents[2]
T = TypeVar("T")
LOGGER = logging.getLogger("certbd")


@contextmanager
def job_log(job: Any) -> Iterator[logging.Logger]:
    """Send the library's log to a job's file; end the job with one line on unusable input.

    `job` is what a script is given by Snakemake.
    """
    path = job.log[0]
    try:
        handler = _LogFile(path, mode="w")
    except OSError as error:
        sys.exit(f"error: {path}: cannot be written: {error.strerror}")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        yield LOGGER
        _check_modules(job.params.get("entries", ()))
    except DataError as error:
        LOGGER.error("%s", error)
        sys.exit(f"error: {error}")
    except BaseException:
        LOGGER.exception("the job failed")
        raise
    finally:
        LOGGER.removeHandler(handler)
        with suppress(OSError):
            handler.close()


def _check_modules(entries: Iterable[str]) -> None:
    """Check, in a job, that its fingerprint covers every module that it loaded."""
    main = sys.modules["__main__"]
    if not hasattr(main, "snakemake"):  # a test, which runs a script's main itself
        return
    script = SCRIPTS / Path(str(main.__file__)).name  # Snakemake says which, though it runs a copy
    if not script.is_file():
        raise RuntimeError(f"{main.__file__}: a job whose script is not in {SCRIPTS}")
    check_loaded(script, entries, list(sys.modules))


class _LogFile(logging.FileHandler):
    """A log file that does not hide why a job stops where the disk is full."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the name is logging's)
        """Go on without this line."""


class _LogLines:
    """A text stream that logs each state of a progress bar as a line."""

    def write(self, text: str) -> None:
        if text.strip("\r\n "):
            LOGGER.info(text.strip("\r\n "))

    def flush(self) -> None:
        """Log lines are written at once."""


@contextmanager
def progress_bar(total: int, description: str, unit: str) -> Iterator[Callable[[int], object]]:
    """Show a progress bar with rate and time left: in the log every 5 s, and on a terminal.

    Yields the function that advances it by a number of units.
    """
    style: dict[str, Any] = {"unit": f" {unit}s", "ascii": " =", "ncols": 88}
    with (
        tqdm(desc=description, total=total, mininterval=5, file=_LogLines(), **style) as logged,
        tqdm(desc=description, total=total, leave=False, disable=None, **style) as shown,
    ):

        def advance(units: int) -> None:
            logged.update(units)
            shown.update(units)

        yield advance


def progress(steps: Iterable[T], total: int, description: str, unit: str) -> Iterator[T]:
    """Iterate over `steps` under a progress bar."""
    with progress_bar(total, description, unit) as advance:
        for step in steps:
            yield step
            advance(1)
