# %% [markdown]
# # The energy landscape, by hand
#
# A thermodynamic computer is a set of fluctuating units $x_i$ in an energy landscape with thermal noise. This
# notebook writes one unit, then two, in NumPy, and compares every line with the library. Few units have
# exact results, which check each claim.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import thermogen as tg
from thermogen.thermodynamics import free_energy_of_work, log_partition

plt.rcParams.update(
    {"axes.spines.top": False, "axes.spines.right": False, "figure.constrained_layout.use": True}
)

# %% [markdown]
# ## One unit
#
# A unit has the potential energy
#
# $$V(x) = J_2 x^2 + J_4 x^4 + b\,x , \qquad -V'(x) = -\left(2 J_2 x + 4 J_4 x^3 + b\right).$$
#
# Energies are in $E_0$. The reference unit has $J_2 = J_4 = 1$ and $kT = 0.1$. The bias $b$ tilts the well.

# %%
J2, J4, kT = 1.0, 1.0, 0.1


def energy(x, b=0.0):
    """V(x) of one unit."""
    return J2 * x**2 + J4 * x**4 + b * x


def force(x, b=0.0):
    """The force -V'(x)."""
    return -(2 * J2 * x + 4 * J4 * x**3 + b)


x = np.linspace(-1.2, 1.2, 400)
figure, axes = plt.subplots(1, 2, figsize=(7.5, 2.8))
for b, colour in ((0.0, "tab:gray"), (-1.0, "tab:blue"), (-2.0, "tab:red")):
    axes[0].plot(x, energy(x, b), color=colour, label=f"$b = {b:g}$")
    density = np.exp(-energy(x, b) / kT)
    axes[1].plot(x, density / (density.sum() * (x[1] - x[0])), color=colour)
axes[0].set(xlabel="$x$", ylabel="$V(x)$ / $E_0$", ylim=(-1.6, 3))
axes[1].set(xlabel="$x$", ylabel=r"density $e^{-V/kT}/Z$", ylim=(0, None))
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# `tg.make_computer` builds the same unit. `Computer.energy` and `Computer.force` are the two formulas.

# %%
unit = tg.make_computer(tg.couplings.NoCouplings(tg.Units(visible=1)), J2=J2, J4=J4, bias=-1.0, kT=kT)
states = jnp.asarray(x[:, None], jnp.float32)
np.testing.assert_allclose(unit.energy(states), energy(x, -1.0), atol=2e-6)
np.testing.assert_allclose(unit.force(states)[:, 0], force(x, -1.0), atol=2e-6)

# %% [markdown]
# ## Thermal motion
#
# In contact with a bath at temperature $T$ the unit obeys the overdamped Langevin equation
#
# $$dx = -\mu V'(x)\,dt + \sqrt{2\mu kT}\,dW .$$
#
# One Euler–Maruyama step is one line. Ten thousand copies start at the bottom of the untilted well, which is
# tilted at $t = 0$:

# %%
dt, steps, copies = 0.005, 600, 10_000
rng = np.random.default_rng(1)
x_hand = np.zeros(copies)
mean_hand = [0.0]
for _ in range(steps):
    x_hand = x_hand + force(x_hand, -1.0) * dt + np.sqrt(2 * kT * dt) * rng.standard_normal(copies)
    mean_hand.append(x_hand.mean())

# %% [markdown]
# `tg.simulate` does the same for any computer, as one compiled loop. Observers record states during the run,
# here `tg.langevin.Snapshots`.

# %%
run = tg.simulate(
    jax.random.key(1),
    unit,
    jnp.zeros((copies, 1)),
    steps=steps,
    dt=dt,
    observers={"x": tg.langevin.Snapshots()},
    every=10,
)
x_lib = np.asarray(run.final[:, 0])
recorded = np.asarray(run.records["x"][..., 0])  # (records, copies)

figure, axes = plt.subplots(1, 2, figsize=(7.5, 2.8))
t = np.arange(steps + 1) * dt
axes[0].plot(t[::10], recorded[:, :4], color="tab:gray", lw=0.6, alpha=0.8)
axes[0].plot(t, mean_hand, color="tab:red", label="mean, by hand")
axes[0].plot(t[::10], recorded.mean(1), "k:", label="mean, library")
axes[0].set(xlabel=r"$t$ / $(\mu E_0)^{-1}$", ylabel="$x$")
axes[0].legend(frameon=False, loc="lower right")
density = np.exp(-energy(x, -1.0) / kT)
density /= density.sum() * (x[1] - x[0])
axes[1].hist(x_hand, 60, range=(-1.2, 1.2), density=True, color="tab:red", alpha=0.4, label="by hand")
axes[1].hist(x_lib, 60, range=(-1.2, 1.2), density=True, histtype="step", color="k", label="library")
axes[1].plot(x, density, color="tab:blue", label="Boltzmann")
axes[1].set(xlabel="$x$ at $t = 3$", ylabel="density")
axes[1].legend(frameon=False)
plt.show()

# %% [markdown]
# **Check.** The exact averages follow from the density by quadrature. Both simulations must agree with them
# within four standard errors. A finite step shifts the averages at order $dt$, well below one error here.

# %%
weight = density / density.sum()
exact = (x * weight).sum(), (x**2 * weight).sum()
for name, sample in (("by hand", x_hand), ("library", x_lib)):
    for power, truth in ((1, exact[0]), (2, exact[1])):
        values = sample**power
        z = (values.mean() - truth) / (values.std(ddof=1) / np.sqrt(copies))
        print(f"{name}: <x^{power}> = {values.mean():.4f}, exact {truth:.4f}, z = {z:+.1f}")
        assert abs(z) < 4

# %% [markdown]
# `tg.langevin.sample_uncoupled` samples uncoupled units exactly from equilibrium. Every generation starts
# from such a state.
#
# ## Two units
#
# A coupling adds $J\,x_1 x_2$. At the origin the curvatures of the landscape are $2J_2 + J$ along $x_1 = x_2$
# and $2J_2 - J$ along $x_1 = -x_2$. A coupling beyond $|J| = 2J_2$ makes one of them negative. The single
# well splits into two, and the pair stores one bit. Trained couplings do the same for images: they split one
# well into valleys, one for each pattern.


# %%
def pair(J):
    """Two units with the coupling J, made by the library."""
    matrix = jnp.array([[0.0, J], [J, 0.0]])
    return tg.make_computer(tg.couplings.all_to_all(tg.Units(visible=2)).with_matrix(matrix), kT=kT)


grid = np.linspace(-1.3, 1.3, 161)
x1, x2 = np.meshgrid(grid, grid, indexing="ij")
plane = np.stack([x1, x2], -1).reshape(-1, 2)


def pair_energy(x, J):
    """V(x_1, x_2) by hand."""
    return energy(x[:, 0]) + energy(x[:, 1]) + J * x[:, 0] * x[:, 1]


figure, axes = plt.subplots(1, 3, figsize=(8, 2.9), sharey=True)
for axis, J in zip(axes, (0.0, -2.0, -4.0), strict=True):
    V = pair_energy(plane, J)
    np.testing.assert_allclose(pair(J).energy(jnp.asarray(plane, jnp.float32)), V, atol=1e-5)
    shown = axis.contourf(grid, grid, V.reshape(x1.shape).T, np.linspace(-1.2, 3, 22), extend="both")
    axis.set(title=f"$J = {J:g}$", xlabel="$x_1$", aspect="equal")
axes[0].set_ylabel("$x_2$")
figure.colorbar(shown, ax=axes, label="$V$ / $E_0$", ticks=[-1, 0, 1, 2, 3])
plt.show()

# %% [markdown]
# For $J < -2J_2$ the minima lie at $x_1 = x_2 = \pm\sqrt{(-J - 2J_2)/4J_4}$, a height of
# $(J + 2J_2)^2 / 8J_4$ below the saddle. At $J = -2.6$ this barrier is $0.45\,kT$, and thermal noise crosses
# it at once. At $J = -4$ it is $5\,kT$, and a pair stays in its valley for some time.


# %%
def barrier(J):
    """Height of the saddle at the origin over the minima, in kT."""
    return (J + 2 * J2) ** 2 / (8 * J4) / kT


copies_of_pair = 1000
runs = {
    J: np.asarray(
        tg.simulate(
            jax.random.key(3),
            pair(J),
            jnp.full((copies_of_pair, 2), np.sqrt((-J - 2 * J2) / (4 * J4))),
            steps=6000,
            dt=dt,
            observers={"x": tg.langevin.Snapshots()},
            every=20,
        ).records["x"]
    )
    for J in (-2.6, -4.0)
}
figure, axes = plt.subplots(2, 1, figsize=(7.5, 3.4), sharex=True)
for axis, (J, path) in zip(axes, runs.items(), strict=True):
    t = np.arange(len(path)) * 20 * dt
    axis.plot(t, path[:, 0, 0], lw=0.8, label="$x_1$")
    axis.plot(t, path[:, 0, 1], lw=0.8, label="$x_2$")
    axis.set(ylabel="$x$", title=f"$J = {J:g}$, barrier {barrier(J):.2f} kT")
axes[1].set_xlabel(r"$t$ / $(\mu E_0)^{-1}$")
axes[1].legend(frameon=False, ncols=2, loc="lower left")
plt.show()

crossed = {J: float(np.mean(path[-1].sum(-1) < 0)) for J, path in runs.items()}
print(f"pairs found in the other valley at t = 30: {crossed}")

# %% [markdown]
# **Check.** With a barrier of half a $kT$, half the pairs are in the other valley after thirty units of time.
# A barrier of five $kT$ keeps many more of them. The two units are correlated,
# $\langle x_1 x_2 \rangle > 0$, and quadrature gives the exact value.

# %%
assert abs(crossed[-2.6] - 0.5) < 4 * np.sqrt(0.25 / copies_of_pair)
assert crossed[-4.0] < crossed[-2.6]
V = pair_energy(plane, -2.6)
weight = np.exp(-(V - V.min()) / kT)
truth = (plane[:, 0] * plane[:, 1] * weight).sum() / weight.sum()
found = runs[-2.6][-1].prod(-1)
z = (found.mean() - truth) / (found.std(ddof=1) / np.sqrt(len(found)))
print(f"<x1 x2> = {found.mean():.3f}, exact {truth:.3f}, z = {z:+.1f}")
assert abs(z) < 4

# %% [markdown]
# ## Work of switching
#
# Both units start in the equilibrium of $J = 0$, and the coupling is switched on at once. The work is
# $W = J x_1 x_2$ at the present state of the pair. Its average is zero here, but its distribution gives the
# free energy of the coupled pair (Jarzynski's relation for a sudden switch):
#
# $$\left\langle e^{-W/kT} \right\rangle = \frac{Z_J}{Z_0} .$$

# %%
start = tg.langevin.sample_uncoupled(jax.random.key(4), pair(0.0).uncoupled(), jnp.arange(100_000))
work_kT = -2.0 * np.asarray(start, float).prod(-1) / kT
found = free_energy_of_work(work_kT)
exact = log_partition(pair(0.0)) - log_partition(pair(-2.0))
print(f"mean work {work_kT.mean():+.3f} kT")
print(f"free energy {found.delta:.3f} ± {found.sem:.3f} kT, exact {exact:.3f} kT")
assert abs(found.delta - exact) < 4 * found.sem

# %% [markdown]
# The [next notebook](03-noising-and-reverse.ipynb) noises an image on such units and asks which couplings
# reverse the process. [Physics](../physics.md) holds all equations.
