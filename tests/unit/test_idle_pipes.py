"""Idle connections: each owner gets its own, and the store has a limit."""

from __future__ import annotations

from avma.context import Context
from avma.wsman.idle_pipes import IdlePipes


class Pipe:
    def __init__(self) -> None:
        self.closed = False

    def send(self, context: Context, message: bytes) -> bytes:
        raise NotImplementedError

    def close(self) -> None:
        self.closed = True


def test_an_owner_gets_the_pipe_that_it_used_last():
    idle, first, second, other = IdlePipes(), Pipe(), Pipe(), Pipe()
    idle.put("hv01", first)
    idle.put("hv01", second)
    idle.put("hv02", other)
    assert [idle.take("hv01"), idle.take("hv01"), idle.take("hv01")] == [second, first, None]
    assert idle.take("hv02") is other


def test_a_full_store_closes_the_pipe_that_has_waited_for_the_longest_time():
    idle, pipes = IdlePipes(most=2), [Pipe() for _ in range(4)]
    for number, pipe in enumerate(pipes):
        idle.put(number, pipe)
    assert [pipe.closed for pipe in pipes] == [True, True, False, False]
    assert [idle.take(number) for number in range(4)] == [None, None, pipes[2], pipes[3]]
