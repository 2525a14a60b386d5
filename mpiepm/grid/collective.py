"""One collective of MPI from compiled code, for loops in which a call from Python would cost more than the message.

The function's address and the handles of communicator and datatype are plain numbers to the compiled code, passed at run
time, so that it can be cached. Handles are pointers in Open MPI and 32-bit integers in MPICH; as 64-bit arguments both arrive.
"""

import ctypes
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from mpi4py import MPI
from numba import types
from numba.extending import intrinsic

from mpiepm.core.jit import njit


class Exchange(NamedTuple):
    """What compiled code needs to know of a communicator.

    Attributes
    ----------
    size : number of ranks
    allgather : address of MPI_Allgather;  comm, double : handles
    inside : int64 (1,): 1 while compiled code waits in MPI, of any communicator of this process
    """

    size: int
    allgather: int
    comm: int
    double: int
    inside: np.ndarray


_INSIDE = np.zeros(1, np.int64)


def inside() -> bool:
    """Does compiled code of this process wait in MPI? For other threads to ask."""
    return bool(_INSIDE[0])


def exchange(comm: MPI.Intracomm) -> Exchange:
    """For the ranks of `comm`, which must outlive it."""
    library = ctypes.CDLL(MPI.__file__)  # MPI.__file__ is linked to the MPI library, whose functions are found through it
    address = ctypes.cast(library.MPI_Allgather, ctypes.c_void_p).value
    assert address is not None
    return Exchange(comm.size, address, MPI._handleof(comm), MPI._handleof(MPI.DOUBLE), _INSIDE)


@intrinsic  # type: ignore[untyped-decorator]
def _allgather(typing_context: Any, function: Any, send: Any, count: Any, datatype: Any, receive: Any, comm: Any) -> Any:
    """Call MPI_Allgather at the address `function`; addresses and handles are int64, `count` is int32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function, send, count, datatype, receive, comm = arguments
        word, integer = ir.IntType(64), ir.IntType(32)
        prototype = ir.FunctionType(integer, [word, integer, word, word, integer, word, word])
        pointer = builder.inttoptr(function, prototype.as_pointer())
        return builder.call(pointer, [send, count, datatype, receive, count, datatype, comm])

    words = [types.int64, types.int64, types.int32, types.int64, types.int64, types.int64]
    return types.int32(*words), generate


@njit
def first(exchange: Exchange, message: np.ndarray, everything: np.ndarray) -> None:
    """Replace `message` by that of all ranks' messages with the smallest first number. Collective.

    Of equal ones the lowest rank's. `message` : float64 (n,);  `everything` : float64 (ranks, n), working memory.

    Raises
    ------
    RuntimeError : if MPI reports an error
    """
    if exchange.size == 1:
        return
    exchange.inside[0] = 1
    code = _allgather(
        exchange.allgather, message.ctypes.data, np.int32(message.size), exchange.double, everything.ctypes.data,
        exchange.comm,
    )  # fmt: skip
    exchange.inside[0] = 0
    if code != 0:
        raise RuntimeError("MPI_Allgather failed")
    winner = 0
    for rank in range(1, exchange.size):
        if everything[rank, 0] < everything[winner, 0]:
            winner = rank
    message[:] = everything[winner]
