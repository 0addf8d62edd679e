"""The other side of the sandbox: a fork server, and the workers forked from it, each of which
answers one request after the other. Started by `pool.py` alone.

Messages are JSON and raw arrays, never a pickle: what comes back from a process that has parsed a
hostile file is not believed to be more than data.
"""

import gc
import importlib
import json
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

from mmdiag.sandbox.functions import function_named
from mmdiag.sandbox.limits import require_regular_files
from mmdiag.sandbox.parent import end_with_parent

PRELOADED = (
    "mmdiag.sandbox.requests",
    "mmdiag.sandbox.table_requests",
    "mmdiag.readers.dicom.series",
    "mmdiag.readers.imaging.raster_nifti",
    "pydicom.pixels",
)
WORN = 0.5  # of its memory that a worker still holds when it has answered: another one is forked
MOST_PARTS = 64  # of a message that are sent with one call
HEADER = struct.Struct("<IQ")  # bytes of JSON, bytes of arrays


def pack(message: Any, arrays: Mapping[str, np.ndarray] = MappingProxyType({})) -> bytes:
    """The beginning of a message: JSON, which says what arrays follow."""
    facts = {
        "message": message,
        "arrays": [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()],
    }
    head = json.dumps(facts).encode()
    return HEADER.pack(len(head), sum(array.nbytes for array in arrays.values())) + head


def send(connection: socket.socket, message: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """One message: JSON, and arrays as they lie in memory; with one call where that takes it all,
    so that the other side wakes once.
    """
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    parts = [memoryview(pack(message, plain))]
    parts += [array.data.cast("B") for array in plain.values() if array.size]
    while parts:
        sent = connection.sendmsg(parts[:MOST_PARTS])
        while parts and sent >= len(parts[0]):
            sent -= len(parts.pop(0))
        if parts:
            parts[0] = parts[0][sent:]


def receive(
    connection: socket.socket, most: int | None = None
) -> tuple[Any, dict[str, np.ndarray]]:
    """What `send` sent.

    Args:
        most: Bytes that the other side can have; None = it is trusted.

    Raises:
        EOFError: The other side has gone.
        ValueError: It announces more than it can have.
    """
    head_length, body_length = HEADER.unpack(receive_exactly(connection, HEADER.size))
    if most is not None and head_length + body_length > most:
        raise ValueError
    facts = json.loads(receive_exactly(connection, head_length))
    body, arrays, start = receive_exactly(connection, body_length), {}, 0
    for name, kind, shape in facts["arrays"]:
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(body, np.dtype(kind), count, start).reshape(shape)
        start += arrays[name].nbytes
    return facts["message"], arrays


def receive_exactly(connection: socket.socket, count: int) -> bytearray:
    """So many bytes of a connection."""
    content = bytearray(count)
    view = memoryview(content)
    while view:
        got = connection.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
    return content


def serve(descriptor: int, parent: int) -> NoReturn:
    """Import once what workers need, then fork one for every connection that arrives; ends with its
    parent.

    Args:
        descriptor: A socket on which the parent sends the connection of each new worker.
        parent: Process whose end is this one's.
    """
    for deaf_to in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(deaf_to, signal.SIG_IGN)
    end_with_parent(parent)
    for name in PRELOADED:
        importlib.import_module(name)
    import cv2

    from mmdiag.sandbox.requests import warm_up

    warm_up()

    cv2.setNumThreads(1)
    gc.collect()
    gc.freeze()  # else each worker would go through all of it, and so have a copy of its own
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended workers leave no zombies
    server = os.getpid()
    orders = socket.socket(fileno=descriptor)
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, 64, 1)
        if not order:
            os._exit(0)
        child = os.fork()
        if child == 0:
            orders.close()
            end_with_parent(server)
            _work(socket.socket(fileno=descriptors[0]), int(order))
        os.close(descriptors[0])
        orders.sendall(struct.pack("<i", child))


def _work(connection: socket.socket, megabytes: int) -> NoReturn:
    """Answer requests until the connection ends."""
    addresses = address_counter()
    idle = addresses()
    refused = _limit(megabytes, idle)
    forget_peak = _peak_forgetter()
    while True:
        try:
            request, _ = receive(connection)
        except (EOFError, OSError):
            os._exit(0)
        forget_peak()
        answer, arrays = (refused, {}) if refused else _answer(request)
        answer["peak_mb"] = _peak_mb()
        answer["worn"] = addresses() - idle > WORN * megabytes * 2**20
        try:
            send(connection, answer, arrays)
        except OSError:
            os._exit(1)


def _answer(request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the function returned, or why it refused; nothing escapes, not even what is no
    `Exception` (a Rust panic is none).
    """
    from mmdiag.errors import MmdiagError, ReadError

    try:
        _require_files(request["arguments"])
        facts, arrays = function_named(request["function"])(**request["arguments"])
        return {"facts": facts}, arrays
    except ReadError as refusal:
        return {"code": refusal.code, "detail": refusal.detail}, {}
    except MmdiagError as error:
        return {"error": type(error).__name__, "detail": str(error)}, {}
    except MemoryError:
        return {"code": "too_large", "detail": "it needs more memory than a file is given"}, {}
    except BaseException as error:  # noqa: BLE001 - a process boundary; its text may hold a value
        frames = error.__traceback__
        while frames is not None and frames.tb_next is not None:
            frames = frames.tb_next
        where = ""
        if frames is not None:
            file = os.path.basename(frames.tb_frame.f_code.co_filename)  # noqa: PTH119
            where = f" at {file}:{frames.tb_lineno}"
        return {"code": "unreadable", "detail": f"{type(error).__name__}{where}"}, {}


def _require_files(arguments: Mapping[str, Any]) -> None:
    """A reader opens no pipe and no device, wherever it was asked to look."""
    named = (*arguments.get("files", ()), *filter(None, [arguments.get("file")]))
    # a path object for each of many files costs more than the look at it
    others = [name for name in named if not os.path.isfile(name)]  # noqa: PTH113
    require_regular_files(map(Path, others))


def _limit(megabytes: int, idle_bytes: int) -> dict[str, Any]:
    """So much memory beyond what an idle worker has, and no file may be written. Where the process
    was given less, every file gets this answer: none is refused for what the machine lacks.
    """
    limit = idle_bytes + megabytes * 2**20
    given = resource.getrlimit(resource.RLIMIT_AS)[0]
    if given != resource.RLIM_INFINITY and given < limit:
        return {
            "error": "MmdiagError",
            "detail": f"A process that reads files needs {limit // 2**20} MB of address space, it "
            f"may take {given // 2**20} MB: raise the limit (`ulimit -v unlimited`) and run again.",
        }
    for kind, most in (
        (resource.RLIMIT_AS, limit),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    return {}


def address_counter() -> Callable[[], int]:
    """What says how many bytes of addresses the process has; 0 where the system does not say."""
    try:
        descriptor = os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return lambda: 0
    page = os.sysconf("SC_PAGE_SIZE")
    return lambda: int(os.pread(descriptor, 32, 0).split()[0]) * page


def _peak_forgetter() -> Callable[[], object]:
    """What makes the largest resident memory count from now on."""
    try:
        descriptor = os.open("/proc/self/clear_refs", os.O_WRONLY)
    except OSError:
        return lambda: None
    return lambda: os.pwrite(descriptor, b"5", 0)


def _peak_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
