# %% [markdown]
# # To a circuit
#
# So far energies were in $E_0$ and times in $1/(\mu E_0)$. This notebook converts the computer to volts,
# femtofarads and nanoseconds, and writes a netlist for a circuit simulator. It compares the paths, digits and
# heat of the circuit with those of thermogen. It needs `pip install 'thermogen[hardware]'` and, for its
# second half, ngspice.

# %%
import shutil
import tempfile
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import thermogen as tg
from thermogen.hardware import (
    CircuitBench,
    Transient,
    figures,
    generate_in_circuit,
    netlist,
    record,
    records,
    to_physical,
)
from thermogen.hardware.spice.verify import pathwise, random_computer, traces
from thermogen.report.films import grey, plate
from thermogen.studies.circuit_model import deck_of, make_circuit_model, transient_of

plt.rcParams.update(
    {"axes.spines.top": False, "axes.spines.right": False, "figure.constrained_layout.use": True}
)

ngspice = shutil.which("ngspice") is not None
print("ngspice is installed" if ngspice else "ngspice is not installed: its parts are skipped")

# %% [markdown]
# ## A unit is a capacitor
#
# A unit stores energy in a capacitor $C$ and relaxes through a leak $R$. The Johnson noise of the leak is the
# noise of the computer. The voltage $q = s\,x$ obeys
#
# $$C\,\frac{dq_i}{dt} =
# -\Big[\frac{q_i}{R} + \gamma\,q_i^3 + I_i + \sum_j G_{ij}\,q_j\Big] + \text{noise} .$$
#
# One scale determines all values: $kT$ of the computer is $k_B T$ of the room, so $E_0 = k_B T / kT$ and
# $C s^2/2 = J_2 E_0$. `to_physical` does this for any computer and platform.

# %%
for one in records().values():
    print(f"{one.name:16} {one.title}")

unit = to_physical(
    tg.make_computer(tg.couplings.NoCouplings(tg.Units(visible=1))), record("cmos-1fF").platform()
)
print(f"\none unit of x is {1e3 * unit.scale:.2f} mV, one unit of time {1e9 * unit.time_unit:.2f} ns")

# %% [markdown]
# **Check.** The thermal width of a linear unit, $\sqrt{kT/2J_2}$ in units of $x$, is $\sqrt{k_B T/C}$ in
# volts for every $J_2$.

# %%
capacitance = 1e-15
width = unit.scale * np.sqrt(unit.kT / (2 * unit.J2))
equipartition = np.sqrt(1.380649e-23 * 300 / capacitance)
print(f"thermal width {1e3 * width:.3f} mV, sqrt(kT/C) = {1e3 * equipartition:.3f} mV")
assert abs(width / equipartition - 1) < 1e-6

# %% [markdown]
# ## Three digits as a circuit
#
# The shipped three-digit computer couples 1,296 units through low-rank links: a *summing node* for each mode,
# 5,424 couplers instead of 532,224. `make_circuit_model` builds the circuit of a model on a platform, and
# `figures` gives its main figures. Given the heat of the model, it also gives the power and the noise of
# couplers in today's technology. Both far exceed the heat.

# %%
model = tg.Model.from_pretrained("three-digits")
circuit = make_circuit_model(model, record("cmos-1fF"))
for name, (value, unit_name) in figures(
    circuit.physical, circuit.schedule, 2821.0, circuit.record.active
).items():
    print(f"{name:40} {value:10.3g} {unit_name}")

# %% [markdown]
# The conversion is reversible: `PhysicalComputer.computer` gives the dimensionless computer, bit for bit.

# %%
back = circuit.physical.computer()
for there, here in zip(jax.tree.leaves(back), jax.tree.leaves(circuit.computer), strict=True):
    assert np.array_equal(there, here)

# %% [markdown]
# ## The netlist
#
# This is the netlist of two coupled units. `C` is the capacitor, `R` the leak, `B` the cubic force, `I` the
# bias and `G` the coupling. Seeded `trrandom` currents are the thermal noise.

# %%
two = to_physical(random_computer(jax.random.key(2), 2), record("cmos-1fF").platform())
start = np.array([[0.5, -0.5]])
text = netlist(two, start, Transient(), seeds=np.array([1]))
print("\n".join(line[:100] for line in text.splitlines()[:24]))

deck = deck_of(circuit, 1, transient_of(circuit))
print(f"\nthe three-digit computer takes {len(deck.splitlines()):,} such lines")
assert sum(line.startswith("C") for line in deck.splitlines()) == 1296

# %% [markdown]
# ## Same noise, same path
#
# Both engines get the same start and the same piecewise-constant noise, so their paths must agree. Their
# difference must fall with the tolerance of the circuit simulator. Then the rest is the simulator's error.

# %%
folder = Path(tempfile.mkdtemp())
platform = record("cmos-1fF").platform()
if ngspice:
    bench = CircuitBench.at(folder)
    computer = random_computer(jax.random.key(16), 16)
    compared = pathwise(jax.random.key(5), computer, platform, bench)
    for run in compared["runs"]:
        print(f"reltol {run['reltol']:g}: relative difference at t_f {run['difference']:.1e}, "
              f"heat {run['heat_kT']:.2f} kT, by the circuit {run['metered_kT']:.2f} kT")  # fmt: skip
    assert compared["agrees"]
    trace = traces(jax.random.key(5), computer, platform, bench)
    figure, axis = plt.subplots(figsize=(7, 2.8))
    for i, colour in zip(range(3), ("tab:red", "tab:blue", "tab:green"), strict=True):
        axis.plot(trace.times, trace.ngspice[:, i], color=colour, lw=0.8, label="ngspice" if i == 0 else None)
        axis.plot(
            trace.marks, trace.thermogen[:, i], ".", color=colour, ms=4, label="thermogen" if i == 0 else None
        )
    axis.set(xlabel=r"$t$ / $(\mu E_0)^{-1}$", ylabel="$x_i$, three of 16 units")
    axis.legend(frameon=False)
    plt.show()

# %% [markdown]
# ## Digits from ngspice
#
# The start states are the same, but ngspice uses its own noise. The samples must agree on average with those
# of `tg.generate` with stochastic Heun.

# %%
if ngspice:
    count, key = 8, jax.random.key(0)
    theirs = generate_in_circuit(
        key,
        circuit.computer,
        circuit.physical,
        count,
        circuit.schedule,
        transient_of(circuit),
        CircuitBench.at(folder, runs_of_deck=4),
    )
    coarse = tg.Schedule(dt=5e-3, ramp_fraction=0.4, readout=0.4)
    ours = tg.generate(key, circuit.computer, 200, coarse, integrator=tg.StochasticHeun(), film_samples=1)
    both = np.concatenate([np.asarray(one.visible[:count], float) for one in (theirs, ours)])
    figure, axis = plt.subplots(figsize=(7, 1.9))
    axis.imshow(plate(grey(both), (28, 28), count), cmap="gray")
    axis.set(xticks=[], yticks=[18, 50], yticklabels=["ngspice", "thermogen"])
    plt.show()
    correlation = tg.quality.prototype_scores(theirs.visible, model.prototypes).best
    error = np.hypot(theirs.heat_kT.std(ddof=1) / count**0.5, ours.heat_kT.std(ddof=1) / 200**0.5)
    difference = theirs.heat_kT.mean() - ours.heat_kT.mean()
    print(f"heat: ngspice {theirs.heat_kT.mean():.0f} kT, thermogen {ours.heat_kT.mean():.0f} kT")
    print(f"difference {difference:+.0f} ± {error:.0f} kT (n = {count} and 200)")
    print(f"correlation with the nearest digit: {correlation.mean():.2f} (n = {count})")
    assert abs(difference) < 4 * error
    assert correlation.min() > 0.5

# %% [markdown]
# With 500 samples of each over five seeds, the two engines agree within two standard errors ([to a
# circuit](../hardware.md#measured)). [Tolerance](../tolerance.md) measures imperfect devices.
#
# Next: [your own images](08-your-own-images.ipynb).
