"""CUDA kernels on tensors: places of threads, types, views, and what cannot be compiled. Simulated where there is no card."""

from __future__ import annotations

import pytest
import torch

from backend.ops import cuda_check
from backend.ops.cuda_kernels import SIMULATED, cuda, device_function, kernel
from backend.ops.dispatch import KernelFailed

DEVICE = "cpu" if SIMULATED else "cuda"


@device_function
def place_of(row, column, columns):
    return row * columns + column


@kernel
def number(made, start):
    column, row = cuda.grid(2)
    if row < made.shape[0] and column < made.shape[1]:
        made[row, column] = start + place_of(row, column, made.shape[1])


@kernel
def reverse(values):
    """Within blocks of eight."""
    place = cuda.grid(1)
    shared = cuda.shared.array(8, values.dtype)
    shared[cuda.threadIdx.x] = values[place]
    cuda.syncthreads()
    values[place] = shared[7 - cuda.threadIdx.x]


@kernel
def leave(values, limit):
    """The first `limit` threads of a block go on, and count those that hold more than 2."""
    place = cuda.grid(1)
    if cuda.threadIdx.x >= limit:
        return
    values[place] = cuda.syncthreads_count(values[place] > 2)


@kernel
def look_before(values, shares):
    place = cuda.grid(1)
    if place < values.size:
        if shares:
            cuda.syncthreads()
        values[place] = values[place - 1]


def test_the_first_kernel_runs() -> None:
    cuda_check.check()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int32, torch.int64, torch.uint8])
def test_every_pixel_gets_its_own_thread_whatever_the_shape(dtype: torch.dtype) -> None:
    made = torch.zeros(5, 19, dtype=dtype, device=DEVICE)
    number.launch((5, 19), made, 3)
    assert made.flatten().tolist() == list(range(3, 3 + 95))


def test_a_transposed_view_and_an_empty_tensor_are_taken_as_they_are() -> None:
    made = torch.zeros(6, 4, device=DEVICE)
    number.launch((4, 6), made.T, 0)
    assert made.T.flatten().tolist() == list(range(24))
    number.launch((0, 6), made[:0], 0)


def test_threads_of_a_block_share_memory() -> None:
    values = torch.arange(16.0, device=DEVICE)
    reverse.launch(16, values, block=(8,))
    assert values.tolist() == [*range(7, -1, -1), *range(15, 7, -1)]


def test_threads_of_a_block_vote() -> None:
    values = torch.arange(16.0, device=DEVICE)
    leave.launch(16, values, 8, block=(8,))
    assert values.tolist() == [5] * 8 + [8] * 8


@pytest.mark.skipif(not SIMULATED, reason="a card may wait forever")
def test_a_thread_that_leaves_before_a_barrier_is_told() -> None:
    with pytest.raises(RuntimeError, match="left its block before a barrier"):
        leave.launch(16, torch.arange(16.0), 5, block=(8,))


@pytest.mark.skipif(not SIMULATED, reason="a card does not look")
@pytest.mark.parametrize("block", [None, (8,)])
def test_a_place_before_the_first_is_refused(block: tuple[int, ...] | None) -> None:
    with pytest.raises(IndexError, match="-1 is outside"):
        look_before.launch(8, torch.zeros(8), block is not None, block=block)


@pytest.mark.skipif(SIMULATED, reason="only a card compiles kernels")
def test_a_kernel_that_does_not_compile_on_cuda_says_its_name() -> None:
    @kernel
    def broken(values):
        values[0] = undefined_name  # noqa: F821  # pyright: ignore[reportUndefinedVariable]

    with pytest.raises(KernelFailed, match="broken"):
        broken.launch(1, torch.zeros(1, device="cuda"))


@pytest.mark.skipif(SIMULATED, reason="the simulator has no streams")
def test_a_kernel_on_cuda_runs_on_the_stream_of_the_moment() -> None:
    made, stream = torch.zeros(64, 64, device="cuda"), torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(50):
            made.fill_(-1)
            number.launch((64, 64), made, 7)
        total = made.sum()
    stream.synchronize()
    assert float(total) == sum(range(7, 7 + 64 * 64))
