"""Grids of runs: planned, run here or under Slurm, watched, gathered."""
