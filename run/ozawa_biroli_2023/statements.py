"""What the paper says and what comes out: a Markdown table."""

from collections.abc import Iterator

import numpy as np
import xarray
from common import COLDEST, Study, arrhenius, each, local_barriers

from mpiepm.kernels.eshelby import exact_kernels
from mpiepm.theory import mean_field
from mpiepm.theory.stationary import effective_barrier, stationary


def table(study: Study) -> None:
    """Print and keep it beside the figures."""
    lines = ["| paper | here |", "|---|---|", *(f"| {says} | {ours} |" for says, ours in rows(study))]
    lines += ["", *values(study)]
    study.out.mkdir(parents=True, exist_ok=True)
    (study.out / "numbers.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines), flush=True)


def rows(study: Study) -> Iterator[tuple[str, str]]:
    """Statement, numbers."""
    cold, other, isolated = study.estimates("L64"), study.estimates("L128"), study.estimates("isolated")
    alpha = mean_field.coupling(exact_kernels((64, 64)))
    edge, energy = mean_field.edge_of_coupling(alpha), mean_field.activation_energy(alpha)
    yield "alpha = 0.110, sigma_bar = 0.749 (eqs. 26, 33)", f"{alpha:.4f}, {edge:.4f}"
    times = ("tau_alpha", "tau_stress", "inverse_yield_rate")
    fits = {name: arrhenius(cold, name, *COLDEST) for name in times}
    yield (
        "tau_alpha Arrhenius at low T, barrier near (1 - sigma_bar)^1.5",
        f"{pair(fits['tau_alpha'])} for T = 0.018 ... 0.013; theory at T -> 0: {energy:.4f}",
    )
    beyond = "; ".join(
        f"L = {int(v.lx[0])}: " + ", ".join(pair(arrhenius(v, name, 0.0, 0.0101)) for name in (times[0], times[2]))
        for v in (cold, other)
    )
    middle = effective_barrier(stationary(alpha, 0.0067))
    yield (
        "(not in the paper) barriers of tau_alpha and of 1/Gamma for T = 0.010 ... 0.005",
        f"{beyond}; mean field there: {middle:.4f}",
    )
    stress = mean_field.activation_stress(fits["tau_alpha"][0])
    yield "sigma_bar^act near sigma_bar (arrows of figure 4)", f"{stress:.3f}; {edge:.3f}"
    yield (
        "the three times have the same activation energy",
        ", ".join(f"{label} {pair(fits[name])}" for label, name in zip(("P", "C_s", "1/Gamma"), times, strict=True)),
    )
    step, step_error = local_barriers(isolated, "tau_alpha")
    yield "without elasticity the barrier tends to 1", ", ".join(
        f"{e:.3f} +- {s:.3f} ({a:g} ... {b:g})"
        for e, s, a, b in zip(step, step_error, isolated.temperature.values, isolated.temperature.values[1:], strict=False)
    )
    yield "chi4 peak ~ 1/T at low T", "peak T: " + ", ".join(
        "{:.2f} +- {:.2f} (T = {:g})".format(*(float(x) for x in (
            s.chi4_peak * s.temperature, s.chi4_peak_error * s.temperature, s.temperature)))
        for s, t in each(cold)
        if t < 0.031
    )
    x, y = np.log(cold.tau_alpha.values), np.log(cold.chi4_peak.values)
    yield "chi4 peak bends against tau_alpha (slope in the log-log plot)", ", ".join(
        f"{slope:.2f} ({a:g} ... {b:g})"
        for slope, a, b in zip(np.diff(y) / np.diff(x), cold.temperature.values, cold.temperature.values[1:], strict=False)
    )
    yield "no finite-size effect between L = 64 and 128", "differences / standard errors, tau_alpha and chi4: " + ", ".join(
        f"{difference(cold, other, 'tau_alpha', t):+.1f} and {difference(cold, other, 'chi4_peak', t):+.1f} (T = {t:g})"
        for t in cold.temperature.values
    )
    late = [(name.removeprefix("wait-"), study.estimates(name).isel(state=0)) for name in study.waits()[-3:]]
    yield "no waiting-time dependence (the paper: after 1e7 sweeps; 8e5 are ten events per site)", "; ".join(
        f"{wait}: tau_alpha {float(s.tau_alpha):.4g} +- {float(s.tau_alpha_error):.2g}, chi4 peak {float(s.chi4_peak):.0f} +- "
        f"{float(s.chi4_peak_error):.0f}"
        for wait, s in late
    )
    coldest = cold.isel(state=-1)
    theory = mean_field.low_temperature_density(coldest.stress.values, alpha)
    gap = np.abs(coldest.stress_density.values - theory)
    worst = int(np.argmax(gap))
    yield f"P(sigma) at the lowest T agrees with eq. 32 (here T = {float(coldest.temperature):g})", (
        f"largest deviation {gap[worst]:.3f} at sigma = {float(coldest.stress[worst]):.2f} (P there {theory[worst]:.3f}, "
        f"largest P {theory.max():.3f})"
    )
    yield "C_p and P decay alike, C_s a little faster", "tau by C_p / by P and by C_s / by P: " + ", ".join(
        f"{float(s.tau_plastic / s.tau_alpha):.3f}, {float(s.tau_stress / s.tau_alpha):.3f} (T = {float(s.temperature):g})"
        for s, _ in each(cold)
    )


def pair(fit: tuple[float, float, float]) -> str:
    """Barrier and its standard error."""
    return f"{fit[0]:.4f} +- {fit[1]:.4f}"


def difference(one: xarray.Dataset, other: xarray.Dataset, name: str, temperature: float) -> float:
    """Other minus one at a temperature, in combined standard errors."""
    a, b = (v.isel(state=int(np.argmin(np.abs(v.temperature.values - temperature)))) for v in (one, other))
    return float((b[name] - a[name]) / np.hypot(a[f"{name}_error"], b[f"{name}_error"]))


def values(study: Study) -> Iterator[str]:
    """Table of all state points."""
    yield "| L | T | tau_alpha | by C_s | 1/Gamma | chi4 peak | xi_4 | origins, their correlation |"
    yield "|---|---|---|---|---|---|---|---|"
    for series in ("L64", "L128", "L256"):
        result = study.estimates(series)
        for s, t in each(result):
            cells = [f"{float(s[n]):.4g} +- {float(s[f'{n}_error']):.2g}" for n in
                     ("tau_alpha", "tau_stress", "inverse_yield_rate", "chi4_peak", "xi4")]  # fmt: skip
            cells += [f"{int(s.origins)}, {float(s.tau_alpha_correlation):.1f}"]
            yield f"| {int(s.lx)} | {t:g} | {' | '.join(cells)} |"
