# %% [markdown]
# # Heat, work, entropy, joules
#
# This notebook computes the energy of a generated digit. For the computer there are exact results for single
# trajectories: the first law for each, the second law for their average, and a free energy from the
# fluctuations of work. The ledger estimates the other costs of a device.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import thermogen as tg
from thermogen.ledger import switching_work
from thermogen.noising import noising_start
from thermogen.thermodynamics import entropy_production, free_energy_of_work, log_partition

plt.rcParams.update(
    {"axes.spines.top": False, "axes.spines.right": False, "figure.constrained_layout.use": True}
)

model = tg.Model.from_pretrained("three-digits")
computer, schedule = model.computer, tg.Schedule(dt=2.5e-3, ramp_fraction=0.4, readout=0.4)
samples = tg.generate(jax.random.key(3), computer, 500, schedule, film_samples=1)
n = len(samples)


def mean(values):
    """Mean and its standard error."""
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values))


# %% [markdown]
# ## First law, sample by sample
#
# At $t = 0$ the couplings are switched on, which costs the work $W = V_\theta(x(0)) - V_0(x(0))$. Then the
# computer relaxes, and the heat $Q = V_\theta(x(0)) - V_\theta(x(t_f))$ goes to the bath. The first law
# holds:
#
# $$V_\theta(x(t_f)) - V_0(x(0)) = W - Q .$$

# %%
change = samples.end.total - samples.start.on_site
violation = np.abs(change - (samples.work - samples.heat)) / samples.kT
for name, values in (("heat Q", samples.heat_kT), ("work W", samples.work_kT)):
    value, error = mean(values)
    print(f"{name}: {value:8.1f} ± {error:.1f} kT, sd {values.std(ddof=1):.0f} kT (n = {n})")
print(f"first law closes to {violation.max():.0e} kT in every sample")
assert violation.max() < 1e-2  # float32: energies of thousands of kT

figure, axes = plt.subplots(1, 2, figsize=(8, 2.8))
axes[0].hist(samples.heat_kT, 30, color="tab:red", alpha=0.7)
axes[0].set(xlabel="$Q$ / kT", ylabel=f"samples of {n}")
axes[1].hist(samples.work_kT, 30, color="tab:blue", alpha=0.7)
axes[1].set(xlabel="$W$ / kT")
plt.show()

# %% [markdown]
# Switching on costs no work on average: in equilibrium without fields $x$ and $-x$ are equally likely, so
# $\langle b_i x_i\rangle = \langle J_{ij} x_i x_j \rangle = 0$. **Check:** the mean work is zero within its
# error.

# %%
value, error = mean(samples.work_kT)
assert abs(value) < 4 * error

# %% [markdown]
# ## Along a path
#
# The heat is released while the image forms: little at first, most between $t = 0.5$ and $1.5$. Observers
# record it inside the compiled loop. `tg.langevin.HeatAndWork` sums
#
# $$Q = \sum_k \left[V(x_k, t_k) - V(x_{k+1}, t_k)\right] , \qquad
# W = \sum_k \left[V(x_{k+1}, t_{k+1}) - V(x_{k+1}, t_k)\right]$$
#
# also for couplings or fields that change in time, such as those of noising (`tg.noising.RampedField`). Left:
# generation. Right: noising, in which the ramp of the field does the work.

# %%
count, every = 40, 10
start = tg.langevin.sample_uncoupled(jax.random.key(4), computer.uncoupled(), jnp.arange(count))
digits = tg.load_digits([0, 1, 2])
fields = tg.imprint_fields(
    digits.standardised(), digits.labels, 512, imprint="code", amplitude=2.5, hidden_amplitude=5.0
)
ramp = tg.noising.RampedField(computer.uncoupled(), fields[jnp.arange(count) % 3], schedule)
imprinted = noising_start(jax.random.key(6), computer.uncoupled(), ramp.field, jnp.arange(count))
figure, axes = plt.subplots(1, 2, figsize=(8, 2.9))
for axis, control, x0, title in (
    (axes[0], computer, start, "generation"),
    (axes[1], ramp, imprinted, "noising"),
):
    records = tg.simulate(
        jax.random.key(5),
        control,
        x0,
        steps=schedule.steps,
        dt=schedule.dt,
        observers={"flow": tg.langevin.HeatAndWork(), "V": tg.langevin.Energy()},
        every=every,
    ).records
    heat, work = (np.asarray(records["flow"][name], float) / 0.1 for name in ("heat", "work"))
    energy = np.asarray(records["V"], float) / 0.1
    t = np.arange(len(heat)) * every * schedule.dt
    axis.plot(t, heat.mean(1), color="tab:red", label="heat $Q$")
    axis.plot(t, work.mean(1), color="tab:blue", label="work $W$")
    axis.plot(t, (energy - energy[0]).mean(1), color="k", ls=":", label=r"$V - V(0)$")
    axis.set(xlabel=r"$t$ / $(\mu E_0)^{-1}$", ylabel="kT, mean of 40", title=title)
    closed = np.abs(energy - energy[0] - (work - heat)).max()
    print(f"{title}: first law along the whole path closed to {closed:.2f} kT of {np.abs(heat).max():.0f}")
    assert closed < 1e-3 * np.abs(heat).max()
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# ## Second law
#
# The total entropy of bath and computer cannot decrease:
#
# $$\Delta S_{\mathrm{tot}}/k = \langle Q\rangle/kT + S[p(t_f)] - S[p(0)] \ge 0 .$$
#
# $S[p(0)]$ of uncoupled units is known exactly. $S[p(t_f)]$ of 1,296 coupled units cannot be estimated from
# samples. `entropy_production` bounds it from above by the sum over single units. A unit that is bright in
# one digit and dark in another has a wide distribution, so the bound rises although an image is less
# disordered than noise. The heat dominates nevertheless: nearly all produced entropy is that of the bath.

# %%
production = entropy_production(samples, computer.uncoupled())
print(f"heat / kT: {production.heat:.0f} ± {production.heat_sem:.0f}")
print(f"entropy of the units: {production.start:.0f} before, at most {production.end_bound:.0f} after")
print(f"entropy production: at most {production.total_bound:.0f} k")
assert production.total_bound > 0
assert abs(production.change_bound) < production.heat / 5

# %% [markdown]
# ## Free energy from work
#
# The work of a sudden switch from equilibrium gives the free energy of the final state (Jarzynski):
#
# $$\left\langle e^{-W/kT}\right\rangle = Z_\theta / Z_0 .$$
#
# For 1,296 units, samples that never occur dominate the average. For three units it can be checked against
# quadrature. `free_energy_of_work` gives the effective number of samples.

# %%
rng = np.random.default_rng(0)
matrix = np.triu(rng.normal(0, 0.8, (3, 3)), 1)
triple = tg.make_computer(
    tg.couplings.all_to_all(tg.Units(visible=3)).with_matrix(jnp.asarray(matrix + matrix.T)),
    bias=np.array([0.3, -0.2, 0.1]),
)
quench = tg.generate(jax.random.key(8), triple, 20_000, tg.Schedule(t_f=0.01, dt=0.01), batch=20_000)
found = free_energy_of_work(quench.work_kT)
exact = log_partition(triple.uncoupled()) - log_partition(triple)
print(f"three units: {found.delta:.3f} ± {found.sem:.3f} kT, exact {exact:.3f} kT")
print(f"             effective number {found.effective:.0f} of {len(quench):,} samples")
assert found.effective > 100
assert abs(found.delta - exact) < 4 * found.sem
whole = free_energy_of_work(samples.work_kT)
print(f"1,296 units: effective number {whole.effective:.1f} of {n} samples, so no estimate")
assert whole.effective < 10

# %% [markdown]
# ## Joules
#
# At 300 K a $kT$ is $4.14\times 10^{-21}$ J. The publication compares heat with the arithmetic of a digital
# denoiser (217,088 multiply–accumulates in each of 10 steps, 1 pJ each). A device also needs energy for
# switching, for the read-out of 784 voltages, and for writing and holding the couplings. `tg.make_ledger`
# lists every line with its kind of evidence.

# %%
ledger = tg.make_ledger(tg.ledger.workload_of(computer, samples, schedule), tg.ledger.load_parameters())
for line in ledger.lines:
    if line.counted:
        print(f"{line.joules:9.2e} J  {line.evidence:9}  {line.name}")

figure, axis = plt.subplots(figsize=(7, 2.8))
names, ratios = list(ledger.ratios), list(ledger.ratios.values())
axis.barh(names[::-1], ratios[::-1], color=["tab:gray"] * 4 + ["tab:red"] * 2)
axis.set(xscale="log", xlabel="digital denoiser / thermodynamic computer, energy of a sample")
axis.axvline(1, color="k", lw=0.6)
plt.show()

# %% [markdown]
# The ratio of $10^{11}$ compares heat with arithmetic. The read-out of every pixel with today's converters
# costs a hundred million times the heat and dominates the total if couplers are few. Rewriting all 532,224
# couplings of the full wiring for every sample would cost four times the read-out. The prices are assumptions
# in one file (`thermogen ledger --write-parameters prices.toml`), which can be edited.
#
# **Check.** The work of the whole cycle contains the heat of generation:
# $\langle W_{\mathrm{paid}}\rangle \ge \langle Q\rangle$. Further counted lines can only lower the ratios.

# %%
paid = switching_work(samples)
assert mean(paid - samples.heat_kT)[0] > 0
assert np.all(np.diff(ratios) <= 0)
print(f"work of switching on and off: {paid.mean():.0f} kT a sample")
print(f"whole device: {ratios[-1]:.0f} times less than the denoiser")

# %% [markdown]
# More: [joules of a sample](../energy.md). Next: [to a circuit](07-to-a-circuit.ipynb).
