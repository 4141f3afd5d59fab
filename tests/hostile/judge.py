"""Reads cases in a process of its own, with a limit on memory and an alarm, and says what came of each.

`python judge.py FIRST COUNT LEFT_OUT...` or `python judge.py traps` writes a JSON line when a case begins and one when
it has ended, so that whoever started it knows the case that killed it. No axes; seconds and bytes.
"""

import json
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from corpus import TABLES, cases, write_case
from lessons import TRAPS
from verdicts import Verdict, judge_scan, judge_table, judge_trap

SECONDS = 10  # of the processor; a reader that waits for ever uses none, so the clock on the wall rings too
SECONDS_WAITING = 60  # a busy machine may let a sound reader wait
MEMORY = 2 << 30
WARM_UP = 25  # cases after which every library is loaded, so that only what a file asks for is limited
Work = Callable[[], Verdict]
Case = tuple[str, Callable[[Path], Work]]


class TooSlowError(BaseException):
    """Passes every `except Exception`."""


def ring(*_: object) -> None:
    raise TooSlowError


def limit_memory() -> None:
    """From here on at most 2 GiB more than what is loaded."""
    loaded = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (loaded + MEMORY, loaded + MEMORY))


def under_alarm(work: Work) -> Verdict:
    begun = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, SECONDS_WAITING)
    try:
        verdict = work()
    except TooSlowError:
        verdict = {"outcome": "slow"}
    except MemoryError:
        verdict = {"outcome": "memory"}
    except Exception as error:  # noqa: BLE001 - whatever a reader lets through is what we look for
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        verdict = {"outcome": "crash", "why": f"{type(error).__name__} at {where}: {str(error)[:200]}"}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    return verdict | {"seconds": round(time.process_time() - begun, 3)}


def mutated_cases(first: int, count: int, left_out: set[str]) -> Iterator[Case]:
    for kind, number in list(cases(count))[first:]:
        if f"{kind}/{number}" not in left_out:
            yield f"{kind}/{number}", mutated_case(kind, number)


def mutated_case(kind: str, number: int) -> Callable[[Path], Work]:
    def prepare(folder: Path) -> Work:
        path = write_case(kind, number, folder)
        judge = judge_table if kind in TABLES else judge_scan
        return lambda: judge(kind, path, folder)

    return prepare


def trap_case(name: str) -> Callable[[Path], Work]:
    def prepare(folder: Path) -> Work:
        path = TRAPS[name][0](folder)
        return lambda: judge_trap(path, folder) | {"expected": TRAPS[name][1]}

    return prepare


def say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def run(all_cases: Iterator[Case], limit_after: int) -> None:
    warnings.simplefilter("error")
    signal.signal(signal.SIGALRM, ring)
    signal.signal(signal.SIGPROF, ring)
    with tempfile.TemporaryDirectory() as home:
        for i, (name, prepare) in enumerate(all_cases):
            if i == limit_after:
                limit_memory()
            folder = Path(home) / str(i)
            folder.mkdir()
            say({"case": name})
            say({"case": name} | under_alarm(prepare(folder)))
            shutil.rmtree(folder)


if __name__ == "__main__":
    if sys.argv[1] == "traps":
        under_alarm(mutated_case("dicom", 0)(Path(tempfile.mkdtemp())))
        run(((name, trap_case(name)) for name in sys.argv[2:] or TRAPS), 0)
    else:
        run(mutated_cases(int(sys.argv[1]), int(sys.argv[2]), set(sys.argv[3:])), WARM_UP)
