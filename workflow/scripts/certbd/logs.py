"""The log file of a job: what it did, how far it is, and why it stopped."""

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from certbd.io import DataError

T = TypeVar("T")
LOGGER = logging.getLogger("certbd")


@contextmanager
def job_log(path: str | Path) -> Iterator[logging.Logger]:
    """Send the library's log to a job's file; end the job with one line on unusable input."""
    handler = logging.FileHandler(path, mode="w")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        yield LOGGER
    except DataError as error:
        LOGGER.error("%s", error)
        sys.exit(f"error: {error}")
    except BaseException:
        LOGGER.exception("the job failed")
        raise
    finally:
        LOGGER.removeHandler(handler)
        handler.close()


class _LogLines:
    """A text stream that logs each state of a progress bar as a line."""

    def write(self, text: str) -> None:
        if text.strip("\r\n "):
            LOGGER.info(text.strip("\r\n "))

    def flush(self) -> None:
        """Log lines are written at once."""


def progress(steps: Iterable[T], total: int, description: str, unit: str) -> Iterator[T]:
    """Iterate over `steps` while a progress bar goes to the log, a line every 5 s."""
    bar = tqdm(
        steps, description, total, unit=unit, ascii=" =", ncols=88, mininterval=5, file=_LogLines()
    )
    yield from bar
