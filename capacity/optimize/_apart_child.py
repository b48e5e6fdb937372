"""What runs in the child process of ``_apart``: searches that come by standard input, one after the other.

It is started as a file, so that it imports nothing of the package and is ready in the time that NumPy and HiGHS take.
"""

import os
import pickle
import struct
import sys
import threading
from typing import Any, BinaryIO

_LENGTH = struct.Struct("<Q")
# What a child says once it can work.
READY = {"ready": True}


def read(stream: BinaryIO) -> Any:
    """The next message; None where the other end is gone."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    # Both ends are this package: nothing else can write here.
    return pickle.loads(stream.read(_LENGTH.unpack(head)[0]))  # noqa: S301


def write(stream: BinaryIO, message: Any) -> None:
    """Send one message."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(_LENGTH.pack(len(body)) + body)
    stream.flush()


def search(job: dict[str, Any], out: BinaryIO) -> None:
    """One search: a message at each better plan, and one at the end."""
    import highspy
    import numpy as np

    solver = highspy.Highs()
    for option, setting in job["options"].items():
        solver.setOptionValue(option, setting)
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(job["cost"]), len(job["row_lower"])
    model.col_cost_, model.offset_ = job["cost"], job["constant"]
    model.col_lower_, model.col_upper_ = job["lower"], job["upper"]
    model.row_lower_, model.row_upper_ = job["row_lower"], job["row_upper"]
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = job["start"], job["index"], job["value"]
    kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    if job["integer"].any():
        model.integrality_ = [kinds[int(i)] for i in job["integer"]]
    if solver.passModel(model) == highspy.HighsStatus.kError:
        write(out, {"refused": True})
        return
    if len(job["known"][0]):
        solver.setSolution(len(job["known"][0]), *job["known"])

    def better(event: Any) -> None:
        found = event.data_out
        values = np.array(found.mip_solution, dtype=float)
        write(out, {"better": values, "bound": float(found.mip_dual_bound)})

    if job["integer"].any():
        solver.cbMipImprovingSolution.subscribe(better)
    solver.run()
    if len(job["known"][0]) and _stale(solver, job):
        solver.clearSolver()  # and with it the start
        solver.run()
    info, status = solver.getInfo(), solver.getModelStatus()
    feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    bound = float(info.mip_dual_bound) if job["integer"].any() else float(info.objective_function_value)
    if not job["integer"].any() and status != highspy.HighsModelStatus.kOptimal:
        bound = float("-inf")
    values = np.array(solver.getSolution().col_value, dtype=float) if feasible else None
    infeasible = status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible)
    text = solver.modelStatusToString(status).lower()
    write(out, {"ended": text, "infeasible": infeasible, "bound": bound, "values": values})


def _stale(solver: Any, job: dict[str, Any]) -> bool:
    """Whether the values are not those of the objective.

    Measured with HiGHS 1.16: where presolve solves the whole of a model that was given a start, the objective and the
    bound are the optimum's, and the values are still the start's.
    """
    import numpy as np

    values = np.array(solver.getSolution().col_value, dtype=float)
    if not len(values):
        return False
    told = float(solver.getInfo().objective_function_value)
    return bool(abs(float(job["cost"] @ values) + job["constant"] - told) > 1e-6 * max(abs(told), 1.0))


def main() -> None:
    """Serve until standard input ends; a parent that is gone ends a search in progress too."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # HiGHS prints a banner where callbacks are used
    jobs: list[Any] = []
    there = threading.Condition()

    def listen() -> None:
        while True:
            job = read(sys.stdin.buffer)
            if job is None:
                os._exit(0)
            with there:
                jobs.append(job)
                there.notify()

    threading.Thread(target=listen, daemon=True).start()
    import highspy  # noqa: F401 (before the first search, whose clock is running)

    write(out, READY)
    while True:
        with there:
            while not jobs:
                there.wait()
            job = jobs.pop(0)
        search(job, out)


if __name__ == "__main__":
    main()
