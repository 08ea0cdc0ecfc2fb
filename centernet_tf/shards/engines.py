"""What runs the blocks: this process, or workers of Ray on this machine or a cluster.

Ray schedules, starts a worker again that died, and gives the block that it had to it once more. A block's part is
written whole under its number, so a block that was searched twice has one part.
"""

import dataclasses
import logging
import os
from collections.abc import Callable, Iterator, Sequence

from centernet_tf.errors import DataError, UsageError
from centernet_tf.shards.block import Job, Searcher
from centernet_tf.shards.listing import Block

CORES = 4  # of a worker, where their number is not given
RETRIES = 3  # of a block whose worker dies; an image that ends every process ends the run
RESTARTS = 100  # of a worker, on machines that come and go
# What the libraries of a worker, each of them, would else start for every core of the machine.
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "NPROC")
INHERITED = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL")


@dataclasses.dataclass(frozen=True)
class Engine:
    """A line of the table of engines.

    Attributes:
        run: From a job, its blocks and the number of workers, yields the number of images of each block that is done,
            in any order.
        needs: As of `formats.Format`.
        apart: Whether it has workers, whose number is chosen.
    """

    run: Callable[[Job, Sequence[Block], int | None], Iterator[int]]
    needs: tuple[tuple[str, str], ...] = ()
    apart: bool = False


def run_here(job: Job, blocks: Sequence[Block], workers: int | None = None) -> Iterator[int]:
    """One block after the other in this process."""
    del workers
    if blocks:
        yield from map(Searcher(job).search, blocks)


def run_on_ray(job: Job, blocks: Sequence[Block], workers: int | None = None) -> Iterator[int]:
    """Blocks on workers of Ray: of the cluster that RAY_ADDRESS names, or of this machine alone.

    Args:
        job: What to do.
        blocks: Of the job's run.
        workers: Processes with a model each; one for each 4 cores if left out.

    Raises:
        DataError: As `Searcher.search`, or workers died over one block again and again.
    """
    import ray
    from ray.util import ActorPool

    if not blocks:
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report each run to its makers
    ours = not ray.is_initialized()
    if ours:
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    try:
        there = ray.cluster_resources()
        workers = min(workers or max(1, int(there.get("CPU", 1)) // CORES), len(blocks))
        start = ray.remote(Searcher).options(**options_of(workers, there)).remote
        pool = ActorPool([start(job) for _ in range(workers)])
        yield from pool.map_unordered(lambda actor, block: actor.search.remote(block), blocks)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, (DataError, UsageError)):
            raise error.cause from None
        raise
    except ray.exceptions.RayActorError as error:
        raise DataError(
            f"A worker died {RETRIES + 1} times over one block ({str(error).splitlines()[0]:.200}). Where memory is "
            "short, give fewer --workers or a smaller --batch-size. What is done stays; run again to go on."
        ) from error
    finally:
        if ours:
            ray.shutdown()


def options_of(workers: int, there: dict[str, float]) -> dict[str, object]:
    """How Ray is to run each of so many workers on what is there: {"CPU": cores, "GPU": number} of the whole cluster.

    The cores are divided among the workers' threads, but a worker asks for one core at most, so that any machine of a
    cluster has room for it.
    """
    cores, gpus = there.get("CPU", 1), there.get("GPU", 0)
    threads = str(max(1, int(cores // workers)))
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {
        "num_cpus": min(1, int(cores / workers * 100) / 100),
        "num_gpus": min(1, int(gpus / workers * 100) / 100),
        "max_restarts": RESTARTS,
        "max_task_retries": RETRIES,
        "scheduling_strategy": "SPREAD",
        "runtime_env": {"env_vars": {**inherited, **dict.fromkeys(THREADS, threads)}},
    }


ENGINES = {
    "local": Engine(run_here),
    "ray": Engine(run_on_ray, (("ray", "ray"),), apart=True),
}
