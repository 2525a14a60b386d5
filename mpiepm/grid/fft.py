"""Distributed real two-dimensional Fourier transform of slabs, in blocks of rows that stay in the cache.

Forward: a block of rows is transformed along y (real to half-complex) and at once transposed into contiguous send
buffers; one ``Alltoallv`` carries them; then blocks of columns are transformed along x, contiguous again. Backward is
the mirror image. The spectrum is left transposed, (ky of this rank, kx): a convolution never needs it in natural order.

Every one-dimensional transform runs through the same FFTW plan on a block of fixed height, padded where the slab ends,
so a row meets the same arithmetic wherever the lattice is cut: with estimated plans the result has the same bits on any
number of ranks. Measured plans are faster on some machines, but differ from run to run.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
from mpi4py import MPI
from mpi4py_fft import fftw

from mpiepm.core.jit import njit
from mpiepm.grid.domain import Domain, even_partition

Planning = Literal["reproducible", "measured"]
Precision = Literal["double", "single"]
Fill = Callable[[int, int, np.ndarray], None]
Take = Callable[[int, int, np.ndarray], None]
_FLAGS = {"reproducible": fftw.FFTW_ESTIMATE, "measured": fftw.FFTW_MEASURE}
_BLOCK_BYTES = 1024 * 1024  # of one block: a share of a core's cache
_ALIGNMENT = 64  # bytes, for the vector units


@njit
def _scatter(
    block: np.ndarray, rows: int, first: int, starts: np.ndarray,
    offsets: np.ndarray, own: int, packed: np.ndarray, kept: np.ndarray,
) -> None:  # fmt: skip
    """Transpose `rows` rows of a block into a tile for every rank, (its columns, rows); our own goes to `kept`."""
    for q in range(starts.size - 1):
        target = kept if q == own else packed
        position = offsets[q] + first * (starts[q + 1] - starts[q])
        for j in range(starts[q], starts[q + 1]):
            for i in range(rows):
                target[position + i] = block[i, j]
            position += rows


@njit
def _gather(
    packed: np.ndarray, kept: np.ndarray, rows: int, first: int, starts: np.ndarray,
    offsets: np.ndarray, own: int, block: np.ndarray,
) -> None:  # fmt: skip
    """Undo `_scatter`."""
    for q in range(starts.size - 1):
        source = kept if q == own else packed
        position = offsets[q] + first * (starts[q + 1] - starts[q])
        for j in range(starts[q], starts[q + 1]):
            for i in range(rows):
                block[i, j] = source[position + i]
            position += rows


@njit
def _join(
    tiles: np.ndarray, columns: int, first: int, width: int, height: int,
    starts: np.ndarray, offsets: np.ndarray, block: np.ndarray,
) -> None:  # fmt: skip
    """Lay out `columns` of our `width` columns from the tiles of all ranks, each tile `height` rows high or less."""
    for q in range(starts.size - 1):
        for row in range(starts[q], starts[q + 1], height):
            rows = min(height, starts[q + 1] - row)
            position = offsets[q] + (row - starts[q]) * width + first * rows
            for j in range(columns):
                for i in range(rows):
                    block[j, row + i] = tiles[position + i]
                position += rows


@njit
def _cut(
    block: np.ndarray, columns: int, first: int, width: int, height: int,
    starts: np.ndarray, offsets: np.ndarray, tiles: np.ndarray,
) -> None:  # fmt: skip
    """Undo `_join`."""
    for q in range(starts.size - 1):
        for row in range(starts[q], starts[q + 1], height):
            rows = min(height, starts[q + 1] - row)
            position = offsets[q] + (row - starts[q]) * width + first * rows
            for j in range(columns):
                for i in range(rows):
                    tiles[position + i] = block[j, row + i]
                position += rows


@njit
def _multiply_add(multiplier: np.ndarray, block: np.ndarray, total: np.ndarray, fresh: bool) -> None:
    for i in range(block.shape[0]):
        if fresh:
            for j in range(block.shape[1]):
                total[i, j] = multiplier[i, j] * block[i, j]
        else:
            for j in range(block.shape[1]):
                total[i, j] += multiplier[i, j] * block[i, j]


@njit
def _weigh(multiplier: np.ndarray, imaginary: bool, source: np.ndarray, target: np.ndarray) -> None:
    """target = multiplier * source, times i if `imaginary`; the two may be the same array."""
    for i in range(multiplier.shape[0]):
        if imaginary:
            for j in range(multiplier.shape[1]):
                value, m = source[i, j], multiplier[i, j]
                target[i, j] = complex(-m * value.imag, m * value.real)
        else:
            for j in range(multiplier.shape[1]):
                target[i, j] = multiplier[i, j] * source[i, j]


class _Exchange:
    """Where the tiles of `fields` fields lie in the two buffers of a transposition, and the message that swaps them.

    By rows: for every rank q the tiles (field, block of our rows, column of q, row). By columns: from every rank q the
    tiles (field, block of its rows, our column, row). Our own never travel: they lie only in the buffer by columns.
    """

    def __init__(self, comm: MPI.Intracomm, rows: np.ndarray, columns: np.ndarray, fields: int, dtype: np.dtype) -> None:
        own = comm.rank
        self._comm = comm
        height, width = int(np.diff(rows)[own]), int(np.diff(columns)[own])
        f = np.arange(fields)[:, None]
        self.row_offsets = (columns[:-1] * fields + f * np.diff(columns)) * height
        self.column_offsets = (rows[:-1] * fields + f * np.diff(rows)) * width
        self._row_counts, self._column_counts = np.diff(columns) * height * fields, np.diff(rows) * width * fields
        self._row_counts[own] = self._column_counts[own] = 0
        self._row_starts, self._column_starts = self.row_offsets[0].copy(), self.column_offsets[0].copy()
        self.row_offsets[:, own] = self.column_offsets[:, own]
        self._type = MPI.DOUBLE_COMPLEX if dtype == np.complex128 else MPI.COMPLEX
        self.by_rows = np.empty(int(columns[-1]) * height * fields if comm.size > 1 else 1, dtype)
        self.by_columns = np.empty(int(rows[-1]) * width * fields, dtype)

    def to_columns(self) -> None:
        """Send every rank its columns. Collective."""
        if self._comm.size > 1:
            self._comm.Alltoallv(
                [self.by_rows, self._row_counts, self._row_starts, self._type],
                [self.by_columns, self._column_counts, self._column_starts, self._type],
            )

    def to_rows(self) -> None:
        """Send every rank its rows. Collective."""
        if self._comm.size > 1:
            self._comm.Alltoallv(
                [self.by_columns, self._column_counts, self._column_starts, self._type],
                [self.by_rows, self._row_counts, self._row_starts, self._type],
            )


def _block_height(row_bytes: int) -> int:
    height = 32
    while height > 8 and height * row_bytes > _BLOCK_BYTES:
        height //= 2
    return height


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    array: np.ndarray = fftw.aligned(shape, n=_ALIGNMENT, dtype=dtype)
    return array


def _blocks(array: np.ndarray, scratch: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """First row and rows of each block of `array`, as high as `scratch`; the last one may be lower."""
    for first in range(0, len(array), len(scratch)):
        yield first, array[first : first + len(scratch)]


def whole_wave_numbers(length: int) -> np.ndarray:
    """Integer wave numbers of a side of so many sites, in FFT order: 0, 1, ..., -2, -1: int64 (length,)."""
    return (np.fft.fftfreq(length) * length).round().astype(np.int64)


class Transform:
    """Transform pair of real fields on the slabs of `domain`; all fields of one call share one exchange.

        F(k) = sum_r f(r) exp(-2 pi i k.r / L),   f(r) = sum_k F(k) exp(+2 pi i k.r / L)   (no factor 1/(Lx Ly))

    Parameters
    ----------
    domain : the slabs
    precision : "double" (float64, complex128) or "single" (float32, complex64)
    planning : "reproducible" (FFTW_ESTIMATE) or "measured" (FFTW_MEASURE, 0.3-3 s once)

    Attributes
    ----------
    spectral_shape : (ky of this rank, Lx): shape of a spectrum on this rank
    ky, kx : integer wave numbers of the rows and columns of a spectrum, ky = 0 ... Ly // 2, kx in FFT order
    """

    def __init__(self, domain: Domain, precision: Precision = "double", planning: Planning = "reproducible") -> None:
        self.domain = domain
        lx, ly = domain.shape
        half = ly // 2 + 1
        self.real: np.dtype = np.dtype("f8" if precision == "double" else "f4")
        self.complex: np.dtype = np.dtype("c16" if precision == "double" else "c8")
        columns = even_partition(half, domain.size)
        first, last = int(columns[domain.rank]), int(columns[domain.rank + 1])
        self._rows = np.asarray(domain.boundaries, dtype=np.int64)
        self._columns = columns.astype(np.int64)
        self.spectral_shape = (last - first, lx)
        self.ky = np.arange(first, last)
        self.kx = whole_wave_numbers(lx)

        flags = (_FLAGS[planning],)
        row_height, column_height = (_block_height(n * self.complex.itemsize) for n in (half, lx))
        self._field = _aligned((row_height, ly), self.real)
        self._half = _aligned((row_height, half), self.complex)
        self._line = _aligned((column_height, lx), self.complex)
        self._along_y = fftw.rfftn(self._field, axes=(1,), flags=flags, output_array=self._half)
        self._back_along_y = fftw.irfftn(self._half, s=(ly,), axes=(1,), flags=flags, output_array=self._field)
        self._along_x = fftw.fftn(self._line, axes=(1,), flags=flags, output_array=self._line)
        self._back_along_x = fftw.ifftn(self._line, axes=(1,), flags=flags, output_array=self._line)
        for scratch in (self._field, self._half, self._line, self._line):
            scratch[:] = 0
        self._spare: np.ndarray | None = None
        self._exchanges: dict[int, _Exchange] = {}

    def empty(self, fields: int | None = None) -> np.ndarray:
        """Uninitialised field (local rows, Ly), or `fields` of them."""
        return _aligned((*(() if fields is None else (fields,)), *self.domain.local_shape), self.real)

    def empty_spectrum(self, fields: int | None = None) -> np.ndarray:
        """Uninitialised spectrum (ky of this rank, Lx), or `fields` of them."""
        return _aligned((*(() if fields is None else (fields,)), *self.spectral_shape), self.complex)

    def _exchange(self, fields: int) -> _Exchange:
        if fields not in self._exchanges:
            self._exchanges[fields] = _Exchange(self.domain._comm, self._rows, self._columns, fields, self.complex)
        return self._exchanges[fields]

    def _stacked(self, field: np.ndarray, spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray, _Exchange]:
        fields = field.reshape(-1, *self.domain.local_shape)
        return fields, spectrum.reshape(-1, *self.spectral_shape), self._exchange(len(fields))

    def sum_columns(self, column_values: np.ndarray) -> np.ndarray:
        """Sum over all wave vectors, given sums over kx for this rank's ky: (..., ky of this rank) -> (...). Collective.

        The half spectrum stands for the whole one: a column counts twice unless it is its own mirror image. Each rank adds its
        columns to the sum of the ranks before it: in global order, so the result has the same bits on any number of ranks.
        """
        comm, rank, last = self.domain._comm, self.domain.rank, self.domain.size - 1
        total = np.zeros(column_values.shape[:-1])
        if rank > 0:
            comm.Recv(total, rank - 1)
        for ky, value in zip(self.ky, np.moveaxis(column_values, -1, 0), strict=True):
            total += value * (1.0 if ky == 0 or 2 * ky == self.domain.shape[1] else 2.0)
        if rank < last:
            comm.Send(total, rank + 1)
        comm.Bcast(total, last)
        return total

    def _send_rows(self, fill: Fill, exchange: _Exchange) -> None:
        """First half of a forward transform: along y, transposed into tiles, exchanged."""
        rows = self.domain.local_shape[0]
        for k, offsets in enumerate(exchange.row_offsets):
            for first in range(0, rows, len(self._field)):
                block = self._field[: min(len(self._field), rows - first)]
                fill(k, first, block)
                self._along_y()
                _scatter(
                    self._half, len(block), first, self._columns, offsets, self.domain.rank,
                    exchange.by_rows, exchange.by_columns,
                )  # fmt: skip
        exchange.to_columns()

    def _receive_columns(self, exchange: _Exchange, field: int, first: int, columns: int) -> np.ndarray:
        """Second half of a forward transform, for a block of columns: the finished block, in scratch memory."""
        _join(
            exchange.by_columns, columns, first, self.spectral_shape[0], len(self._field),
            self._rows, exchange.column_offsets[field], self._line,
        )  # fmt: skip
        self._along_x()
        return self._line[:columns]

    def forward(self, field: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
        """Spectrum of a field, or of a stack of fields (k, local rows, Ly), into `spectrum`, which is returned.

        Collective. `field` is left as it is.
        """
        fields, spectra, exchange = self._stacked(field, spectrum)

        def fill(k: int, first: int, block: np.ndarray) -> None:
            block[:] = fields[k, first : first + len(block)]

        self._send_rows(fill, exchange)
        for k, target in enumerate(spectra):
            for first, block in _blocks(target, self._line):
                block[:] = self._receive_columns(exchange, k, first, len(block))
        return spectrum

    def contract(self, fill: Fill, multipliers: np.ndarray, spectrum: np.ndarray, *, add: bool) -> np.ndarray:
        """sum_k multipliers[k] F[field k] into `spectrum` (or added to it), which is returned.

        The forward half of a convolution of several fields, fused: neither the fields nor their spectra leave the cache.

        Parameters
        ----------
        fill : fill(k, first, block) writes rows first, first + 1, ... of field k, counted on this rank, into `block`
        multipliers : real (k, ky of this rank, Lx)
        spectrum : complex (ky of this rank, Lx)
        add : keep what `spectrum` holds and add to it

        Collective.
        """
        exchange = self._exchange(len(multipliers))
        self._send_rows(fill, exchange)
        for first, block in _blocks(spectrum, self._line):
            for k in range(len(multipliers)):
                line = self._receive_columns(exchange, k, first, len(block))
                _multiply_add(multipliers[k, first : first + len(block)], line, block, not (add or k))
        return spectrum

    def convolve(self, fill: Fill, multipliers: np.ndarray, imaginary: Sequence[bool], take: Take) -> None:
        """Fields with the spectra multipliers[k] F[f], of one field f: a forward transform and a backward one for each k.

        Fused: field and spectra never leave the cache; all results share one exchange.

        Parameters
        ----------
        fill : fill(0, first, block) writes rows first, first + 1, ... of f, counted on this rank, into `block`
        multipliers : real (k, ky of this rank, Lx)
        imaginary : for every k, whether its multiplier is to be taken times i
        take : take(k, first, block) receives rows first, first + 1, ... of result k in scratch memory, all rows of result 0
            first; by then `fill` has been called for all rows

        Collective. Unnormalised: with multipliers of 1 / (Lx Ly) the results are f.
        """
        source, sink = self._exchange(1), self._exchange(len(multipliers))
        self._send_rows(fill, source)
        height, (width, _), rows = len(self._field), self.spectral_shape, self.domain.local_shape[0]
        if len(multipliers) > 1 and self._spare is None:
            self._spare = np.zeros_like(self._line)
        for first in range(0, width, len(self._line)):
            columns = min(len(self._line), width - first)
            line = self._receive_columns(source, 0, first, columns)
            if len(multipliers) > 1 and self._spare is not None:
                self._spare[:columns] = line
                line = self._spare[:columns]
            for k, offsets in enumerate(sink.column_offsets):
                _weigh(multipliers[k, first : first + columns], imaginary[k], line, self._line)
                self._back_along_x()
                _cut(self._line, columns, first, width, height, self._rows, offsets, sink.by_columns)
        sink.to_rows()
        for k, offsets in enumerate(sink.row_offsets):
            for first in range(0, rows, height):
                number = min(height, rows - first)
                _gather(
                    sink.by_rows, sink.by_columns, number, first, self._columns, offsets, self.domain.rank, self._half
                )
                self._back_along_y()
                take(k, first, self._field[:number])

    def backward(self, spectrum: np.ndarray, field: np.ndarray, *, add: bool = False) -> np.ndarray:
        """Field of a spectrum, or of a stack of spectra (k, ky of this rank, Lx), into `field`, which is returned.

        With `add` it is added to what `field` holds, which may then be of higher precision. Collective. `spectrum` is left
        as it is. Unnormalised: backward(forward(f)) = Lx Ly f.
        """
        fields, spectra, exchange = self._stacked(field, spectrum)
        height, width = len(self._field), self.spectral_shape[0]
        for source, offsets in zip(spectra, exchange.column_offsets, strict=True):
            for first, block in _blocks(source, self._line):
                self._line[: len(block)] = block
                self._back_along_x()
                _cut(self._line, len(block), first, width, height, self._rows, offsets, exchange.by_columns)
        exchange.to_rows()
        for target, offsets in zip(fields, exchange.row_offsets, strict=True):
            for first, block in _blocks(target, self._field):
                _gather(
                    exchange.by_rows, exchange.by_columns, len(block), first, self._columns, offsets,
                    self.domain.rank, self._half,
                )  # fmt: skip
                self._back_along_y()
                if add:
                    block += self._field[: len(block)]
                else:
                    block[:] = self._field[: len(block)]
        return field
