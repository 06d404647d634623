"""One contestant in a process of its own: a line in starts a round, a line of JSON comes out.

    python -m bench.worker CONTESTANT WORKLOAD    (a workload's fields as JSON)

The first line tells whether it can take part. So rounds can be interleaved, memory is each
contestant's own, and one that waits takes no processor.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from bench import fast_settings, floor, ours, peers, scaling
from bench.machine import Neighbours, peak_memory
from bench.workloads import Workload

Measures = dict[str, float]


def _timed(make: Callable[[Workload], Callable[[], None]], workload: Workload) -> Any:
    """A round of a contestant that is a loop and nothing else, timed from outside."""
    go = make(workload)

    def measured() -> Measures:
        began = time.perf_counter()
        go()
        return {"seconds": time.perf_counter() - began}

    return measured


CONTESTANTS: dict[str, Callable[[Workload], Callable[[], Measures]]] = {
    "advtrain": lambda w: lambda: ours.one_round(w),
    "article": lambda w: _timed(peers.article, w),
    "torchattacks": lambda w: _timed(lambda w: peers.torchattacks(w, peers.pictures(w)), w),
    "torchattacks-tensors": lambda w: _timed(lambda w: peers.torchattacks(w, peers.tensors(w)), w),
    "robustness": lambda w: _timed(peers.robustness, w),
    "art": lambda w: _timed(peers.art, w),
    "floor": lambda w: _timed(floor.floor, w),
    "loop-alone": lambda w: _timed(ours.loop_alone, w),
    "surroundings": lambda w: lambda: ours.surroundings(w),
    "evaluation": lambda w: lambda: ours.evaluation(w),
    "scaling": lambda w: scaling.one_round,
    "fast-settings": lambda w: fast_settings.one_round,
}
# Long, and not to be warmed up:
WHOLE = ("surroundings", "evaluation", "scaling", "fast-settings")


def main() -> None:
    """Prepare, warm up with an attack of one step, then a round for each line on stdin."""
    name, workload = sys.argv[1], Workload(**json.loads(sys.argv[2]))
    answers, sys.stdout = sys.stdout, sys.stderr  # what contestants print is not an answer
    torch.set_num_threads(workload.threads)

    def answer(content: dict[str, Any]) -> None:
        print(json.dumps(content), file=answers, flush=True)

    try:
        if name not in WHOLE:
            CONTESTANTS[name](replace(workload, steps=1, epochs=1))()
        measured = CONTESTANTS[name](workload)
    except Exception as error:  # a peer that does not work here is left out, with the reason
        text = str(error).strip().splitlines() or [""]
        answer({"error": f"{type(error).__name__}: {text[0][:200]}"})
        return
    answer({"ready": True})
    for _ in sys.stdin:
        neighbours = Neighbours()
        result: dict[str, float] = measured()
        answer(result | {"neighbours": neighbours.cores(), "memory": peak_memory()})


if __name__ == "__main__":
    main()
