"""Tracers of Ferrero, Martens & Barrat (2014) in theory: random walk in continuous time, mean field, random model.

Continuous-time random walk: a tracer jumps at the events of a site, and waits have the density psi(tau). After t,

    N(s) = psi(s) / (s (1 - psi(s)))

is the Laplace transform of the mean number of jumps, and <dr^2>(t) goes as N(t), if the clock starts at a jump. (Started at an
arbitrary time of the stationary state it is N(t) = t / <tau>, N(s) = 1 / (<tau> s^2), whatever psi is.) For

    exponential psi :                             N(s) = rate / s^2
    psi ~ tau^-(1 + mu), 0 < mu < 1, no cutoff :  N(s) ~ s^-(1 + mu) as s -> 0,                   N(t) ~ t^mu
    psi ~ tau^-(1 - nu), 0 < nu < 1, cutoff c :   N(s) ~ s^-(1 + nu) for s c >> 1, s^-2 for << 1,  N(t) ~ t^nu, then t

FMB's psi ~ tau^(-2/3) is the last with nu = 1/3: slope -4/3 and t^(1/3). They print t^(1/3), but s^(-5/3), which is t^(2/3).
"""


import numpy as np
from scipy.special import exprel, gammainc, hyp1f1


def _lost(x: np.ndarray) -> np.ndarray:
    """1 - (1 - e^-x) / x, to rounding for every x >= 0."""
    return np.asarray(0.5 * x * hyp1f1(1.0, 3.0, -x))


def _transform(edges: np.ndarray, counts: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """psi(s), 1 - psi(s) and -s dpsi/ds of a density constant in each bin, each to rounding: terms of one sign only."""
    share = counts / np.sum(counts)
    start, width = np.multiply.outer(s, edges[:-1]), np.multiply.outer(s, np.diff(edges))
    left = np.exp(-start)
    psi = left * exprel(-width) @ share
    complement = (left * _lost(width) - np.expm1(-start)) @ share
    descent = left * (start * exprel(-width) + gammainc(2.0, width) / width) @ share
    return psi, complement, descent


def transform(edges: np.ndarray, counts: np.ndarray, s: np.ndarray) -> np.ndarray:
    """psi(s) (m,), the Laplace transform of the waiting times in bins.

    edges : (n + 1,), units of time; nothing is known below the first, so let it be 0, or keep s edges[0] << 1
    counts : (n,) waits in each bin, or their probability: normalised here, so s >> 1 / D if waits beyond D were not seen
    s : (m,) > 0, per unit of the edges
    """
    return _transform(edges, counts, s)[0]


def events(edges: np.ndarray, counts: np.ndarray, s: np.ndarray) -> np.ndarray:
    """N(s) = psi(s) / (s (1 - psi(s))) (m,), time units: inset of FMB's fig. 3c. Arguments like `transform`."""
    psi, complement, _ = _transform(edges, counts, s)
    return np.asarray(psi / (s * complement))


def events_slope(edges: np.ndarray, counts: np.ndarray, s: np.ndarray) -> np.ndarray:
    """d ln N / d ln s = -1 + s psi' / (psi (1 - psi)) (m,), without differences. Arguments like `transform`."""
    psi, complement, descent = _transform(edges, counts, s)
    return np.asarray(-1.0 - descent / (psi * complement))


def velocity_square(activity: float, gain: float, kernel_square: float) -> float:
    """<v^2> = lambda^2 a sum |U|^2 of the random model, both components, lattice constants^2 / tau^2.

    activity : a, share of active sites
    gain : lambda, velocity per kernel, lattice constants / tau
    kernel_square : sum over all sites of |U|^2; for tracers anywhere between the nodes, with bilinear interpolation, the mean
        over all q of |U(q)|^2 (2 + cos qx) (2 + cos qy) / 9 (L = 64: 1.186209 for 1.369829)
    """
    return gain**2 * activity * kernel_square


def diffusion(times: np.ndarray, velocity_square: float, duration: float = 1.0, step: float = 0.0) -> np.ndarray:
    """D(t) = <dr^2> / (4t) (m,) of the random model in 2d, lattice constants^2 / tau.

    Events have random signs, so <v(0).v(t)> = <v^2> e^(-t/tau_res) for tracers that move little, and

        D(t) = <v^2> tau_res / 2 (1 - (1 - e^-x) / x),   x = t / tau_res   (tau_res = 1 in MODEL.md).

    With steps dt, and a probability dt / tau_res per step that an event ends, rho = 1 - dt / tau_res takes the place of
    e^(-dt / tau_res):

        D(t) = <v^2> tau_res / 2 ((1 + rho) / 2 - rho (1 - rho^(t/dt)) / x),   in the end lower by dt / (2 tau_res) of it.

    times : (m,) > 0, tau; multiples of the step
    duration : tau_res, mean duration of an event, tau
    step : dt, tau; 0 is continuous time
    """
    x = times / duration
    if step == 0.0:
        reached = _lost(x)
    else:
        stays = 1.0 - step / duration
        reached = 0.5 * (1.0 + stays) - stays * (1.0 - stays ** (times / step)) / x
    return np.asarray(0.5 * velocity_square * duration * reached)
