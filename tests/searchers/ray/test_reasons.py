"""The line that is recorded of what Ray says about a trial that failed."""

import pytest

from searchers.ray.reasons import reason_in

FRAMES = (
    '  File "/somewhere/worker.py", line 105, in step\n'
    "    self._evaluate = self._job.start()\n"
    "                     ^^^^^^^^^^^^^^^^^\n"
    '  File "/somewhere/evaluator.py", line 33, in __init__\n'
    "    torch.zeros(1).cuda()\n"
)
CUDA = (
    "torch.AcceleratorError: CUDA error: no kernel image is available for execution\n"
    "Search for `cudaErrorNoKernelImageForDevice' in https://docs.nvidia.com for information.\n"
    "CUDA kernel errors might be asynchronously reported at some other API call.\n"
    "For debugging consider passing CUDA_LAUNCH_BLOCKING=1\n"
    "Device-side assertion tracking was not enabled by user.\n\n"
)
IN_A_TASK = "\x1b[36mray::Resource.train()\x1b[39m (pid=7, ip=10.0.0.1, actor_id=0af9)\n"
IN_A_SET_UP = (
    "The actor died because of an error raised in its creation task, "
    "\x1b[36mray::Resource.__init__()\x1b[39m (pid=7, ip=10.0.0.1, actor_id=0af9)\n"
)


@pytest.mark.parametrize("where", [IN_A_TASK, IN_A_SET_UP])
def test_an_error_of_many_lines_is_recorded_by_its_own_line(where: str) -> None:
    said = reason_in(where + FRAMES + CUDA)
    assert said == "AcceleratorError: CUDA error: no kernel image is available for execution"


def test_of_several_errors_the_last_is_recorded() -> None:
    first = "\x1b[36mray::Resource.train()\x1b[39m (pid=7)\n" + FRAMES + "KeyError: 'first'\n"
    between = "\nThe above exception was the direct cause of the following exception:\n\n"
    assert reason_in(first + between + IN_A_TASK + FRAMES + "ValueError: last\nand more") == (
        "ValueError: last"
    )


def test_an_error_need_not_be_called_one() -> None:
    assert reason_in(IN_A_TASK + FRAMES + "mylib.Overflow: too much\n") == "Overflow: too much"
    assert reason_in(IN_A_TASK + FRAMES + "StopIteration\n") == "StopIteration"


def test_a_worker_that_died_is_told_in_rays_first_line_without_escape_codes() -> None:
    said = reason_in("The actor \x1b[31mdied\x1b[0m unexpectedly.\n\tclass_name: Worker\n")
    assert said == "WorkerDied: The actor died unexpectedly."
    assert reason_in("") == "WorkerDied: no reason is known"


def test_a_reason_is_short() -> None:
    assert len(reason_in(IN_A_TASK + FRAMES + "ValueError: " + "x" * 9999)) == 500
