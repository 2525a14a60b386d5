/* Raw FFTW-MPI: forward and backward real transforms of an L x L lattice, slabs, transposed spectrum.
 * usage: fftw_mpi L estimated|measured   ->  median milliseconds of one pair, on rank 0
 * compiled twice by benchmarks/transforms.py, with -DREAL=double -DFFTW(x)=fftw_##x and with the float library. */
#include <complex.h>
#include <fftw3-mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef SINGLE
#define FFTW(name) fftwf_##name
typedef float real;
#else
#define FFTW(name) fftw_##name
typedef double real;
#endif

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    MPI_Init(&argc, &argv);
    FFTW(mpi_init)();
    const ptrdiff_t L = atoi(argv[1]);
    const unsigned planning = strcmp(argv[2], "measured") ? FFTW_ESTIMATE : FFTW_MEASURE;
    const int repeats = argc > 3 ? atoi(argv[3]) : 11;
    ptrdiff_t rows, first_row, columns, first_column;
    ptrdiff_t size = FFTW(mpi_local_size_2d_transposed)(L, L / 2 + 1, MPI_COMM_WORLD, &rows, &first_row, &columns,
                                                        &first_column);
    FFTW(complex) *data = FFTW(alloc_complex)(size);
    real *field = (real *)data;
    FFTW(plan) forward = FFTW(mpi_plan_dft_r2c_2d)(L, L, field, data, MPI_COMM_WORLD, planning | FFTW_MPI_TRANSPOSED_OUT);
    FFTW(plan) backward = FFTW(mpi_plan_dft_c2r_2d)(L, L, data, field, MPI_COMM_WORLD, planning | FFTW_MPI_TRANSPOSED_IN);
    double *times = malloc(repeats * sizeof *times);
    for (int k = -2; k < repeats; k++) {
        for (ptrdiff_t i = 0; i < 2 * size; i++) field[i] = (real)(i % 17) - 8;
        MPI_Barrier(MPI_COMM_WORLD);
        double start = MPI_Wtime();
        FFTW(execute)(forward);
        FFTW(execute)(backward);
        MPI_Barrier(MPI_COMM_WORLD);
        if (k >= 0) times[k] = MPI_Wtime() - start;
    }
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    qsort(times, repeats, sizeof *times, ascending);
    if (rank == 0) printf("%.4f\n", 1e3 * times[repeats / 2]);
    MPI_Finalize();
    return 0;
}
