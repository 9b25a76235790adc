"""The campaign: plants every fault of the table and says which tests catch them.

    python tests/mutants/run.py                     all of them, after the named tests passed without a fault
    python tests/mutants/run.py --short             those that every test run tries
    python tests/mutants/run.py --only "half the"   those whose name or file has this in it
    python tests/mutants/run.py --clean 100         instead: the named tests, so often, with no fault; none may fail
    python tests/mutants/run.py --clean 100 --random    tests that look at noise: set up 5 times, drawn 100 times

Exit status 1 if a fault survives, or if a test fails without one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from campaign import Mutant, clean_copy, mutated_copy, named_tests, package_of, run, table

DRAWN_AT_ONCE = 20
"""How often tests that look at noise are run on one set-up of their data."""


def main() -> int:
    """Runs what the command line asks for; gives the exit status."""
    options = _options()
    mutants = [mutant for mutant in table() if _wanted(mutant, options)]
    if not mutants:
        print("no fault has such a name or file")
        return 1
    if options.clean:
        return _run_clean(named_tests(mutants), options.clean, at_once=DRAWN_AT_ONCE if options.random else 1)
    return _run_mutants(mutants, options.jobs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--short", action="store_true", help="only the faults that every test run tries")
    parser.add_argument("--random", action="store_true", help="only those whose test looks at drawn noise")
    parser.add_argument("--only", metavar="NAME", default="", help="only those whose name or file has this in it")
    parser.add_argument("--jobs", metavar="J", type=int, default=1, help="faults that are tried at once")
    parser.add_argument("--clean", metavar="N", type=int, default=0, help="run the tests N times without a fault")
    return parser.parse_args()


def _wanted(mutant: Mutant, options: argparse.Namespace) -> bool:
    named = options.only.lower() in f"{mutant.name} {mutant.file}".lower()
    return named and (mutant.short or not options.short) and (mutant.random or not options.random)


def _run_mutants(mutants: Sequence[Mutant], jobs: int) -> int:
    began = time.monotonic()
    with clean_copy() as clean:
        tests = named_tests(mutants)
        _say(f"{len(tests)} tests on the package as it is ..")
        before = run(clean, tests, timeout_s=3600)
        if before.status != 0 or package_of(clean) != clean / "dpstats":
            print(before.text)
            print("the named tests do not pass on the package as it is: nothing can be said about faults")
            return 1
        _say(f"all pass, {time.monotonic() - began:.0f} s\n")
        with ThreadPoolExecutor(jobs) as pool:
            found = list(pool.map(lambda mutant: _killed(clean, mutant, mutants), mutants))
    survivors = [mutant for mutant, killed in zip(mutants, found, strict=True) if not killed]
    took = time.monotonic() - began
    print(f"\n{len(mutants) - len(survivors)} of {len(mutants)} faults were caught, in {took:.0f} s")
    for mutant in survivors:
        print(f"SURVIVED: {mutant.name} ({mutant.file})")
    return 1 if survivors else 0


def _killed(clean: Path, mutant: Mutant, mutants: Sequence[Mutant]) -> bool:
    began, place = time.monotonic(), mutants.index(mutant) + 1
    with mutated_copy(clean, mutant) as copy:
        outcome = run(copy, [mutant.test], "-x")
    verdict = "killed" if outcome.caught else "SURVIVED"
    _say(f"{place:3}/{len(mutants)}  {verdict:8}  {time.monotonic() - began:5.1f} s  {mutant.name}  <-  {mutant.test}")
    if not outcome.caught:
        why = "it was given up" if outcome.status is None else f"pytest ended with {outcome.status}"
        _say(f"         {why}:\n" + "\n".join(outcome.text.splitlines()[-15:]))
    return outcome.caught


def _run_clean(tests: Sequence[str], times: int, *, at_once: int) -> int:
    """Runs the tests so often, `at_once` times on each set-up; the exit status says whether one of them failed."""
    began, alarms, done = time.monotonic(), 0, 0
    with clean_copy() as clean:
        _say(f"{len(tests)} tests, {times} times, on the package as it is")
        while done < times:
            often = min(at_once, times - done)
            outcome = run(clean, tests, times=often, timeout_s=3600 * often)
            done += often
            if outcome.status != 0:
                alarms += 1
                print(outcome.text)
            _say(f"{done:4}/{times}  {time.monotonic() - began:6.0f} s  {alarms} alarms")
    return 1 if alarms else 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
