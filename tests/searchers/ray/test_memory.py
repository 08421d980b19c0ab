"""What a row says of a worker that died when memory ran out."""

from searchers.ray.memory import MemoryWatch

RAYS = (
    "WorkerDied: 1 worker(s) were killed due to the node running low on memory. Memory on the node "
    "(IP: 127.0.0.1, ID: a426c5240b25c499fb98b62718a32ccad2f8b35e5351adf2bee88a62) was 4.95GB used "
    "/ 23.54GB limit (0.210361)"
)


def test_what_ray_says_of_memory_becomes_its_cause_and_what_helps() -> None:
    assert MemoryWatch().explained(RAYS) == (
        "WorkerDied: memory ran out (4.95GB of 23.54GB in use), and Ray ended it; run fewer trials "
        "at a time (--concurrency), or allow less (--max-activation-memory)"
    )


def test_another_death_and_another_failure_stay_as_they_are() -> None:
    watch = MemoryWatch()
    for reason in ("WorkerDied: The actor died unexpectedly.", "ValueError: low on memory"):
        assert watch.explained(reason) == reason
