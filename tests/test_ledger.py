"""The ledger: each line by an independent formula, prices that cannot be, counters that turn over."""

import json
from itertools import pairwise
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import thermogen as tg
from thermogen.ledger import (
    BOLTZMANN,
    DIGITAL,
    EVIDENCE,
    THERMODYNAMIC,
    default_text,
    joules_of_kT,
    load_parameters,
    make_ledger,
    measure_joules,
    nvml,
    published_ratio,
    rapl,
    simulation_flops,
    switching_work,
    workload_of,
)
from thermogen.ledger.workload import Mean, Workload
from thermogen.report.ledger import ledger_figure, ledger_markdown

WORK = Workload(samples=50, heat_kT=Mean(2000.0, 9.0), beyond_kT=Mean(500.0, 4.0), read=784, couplers=1000,
                kept=1300, rewritten=20, drive=6000.0, t_f=2.5, flops=1e9)  # fmt: skip
KT = BOLTZMANN * 300


def prices(tmp_path, text):
    file = tmp_path / "prices.toml"
    file.write_text(text)
    return load_parameters(file)


def named(ledger, start):
    return next(line for line in ledger.lines if line.name.startswith(start))


# --- lines ----------------------------------------------------------------------------------------------


def test_the_papers_comparison_from_its_own_numbers():
    rival = tg.ledger.DigitalDenoiser()
    # 784*128 + 128*128 + 128*784 multiply-accumulates, ten steps, 1 pJ each, at 300 K.
    assert rival.joules == pytest.approx(217_088 * 10 * 1e-12)
    assert 5.0e14 < rival.joules / KT < 5.5e14
    assert published_ratio(2.9e3) == pytest.approx(rival.joules / (2.9e3 * KT))
    assert published_ratio(2.9e3) > 1e11
    assert joules_of_kT(2.0) == pytest.approx(2 * KT)


def test_every_line_is_its_formula():
    ledger = make_ledger(WORK, load_parameters())
    expected = {
        "heat": 2000 * KT,
        "work of switching": 500 * KT,
        "read-out of 784 units, 8 bits": 784 * 5e-15 * 256,
        "writing 1,320 values, cv2": 1320 * 8 * 1e-15 * 1.0**2,
        "writing 1,320 values, landauer": 1320 * 8 * KT * np.log(2),
        "writing 1,320 values, flash": 1320 * 5e-10,
        "writing 1,320 values, dram": 1320 * 8 * (2e-11 + 1e-15),
        "holding 1,000 couplings, active": 1e-15 * 0.5 * 6000 / 25,
        "standby": 1000 * 1e-11 * 0.5 * 2.5 / (5e8 * 0.5),
        "digital denoiser": 217_088e-11,
        "simulating this computer": 1e9 * 1e-11,
    }
    for name, joules in expected.items():
        line = named(ledger, name)
        assert line.joules == pytest.approx(joules, rel=1e-12)
        assert line.kT == pytest.approx(joules / KT, rel=1e-12)
        assert line.source
        assert line.evidence in EVIDENCE
    assert named(ledger, "heat").evidence == "simulated"
    assert named(ledger, "heat").sem_kT == 9.0
    assert named(ledger, "writing 1,320 values, landauer").evidence == "exact"
    assert {line.side for line in ledger.lines} == {THERMODYNAMIC, DIGITAL}


def test_the_ratio_falls_as_more_is_counted_down_to_the_whole_device():
    ledger = make_ledger(WORK, load_parameters())
    ratios = list(ledger.ratios.values())
    assert next(iter(ledger.ratios)) == "heat alone"
    assert ratios[0] == pytest.approx(217_088e-11 / (2000 * KT))
    assert all(a > b for a, b in pairwise(ratios))
    counted = [line.joules for line in ledger.of(THERMODYNAMIC) if line.counted]
    assert ratios[-1] == pytest.approx(217_088e-11 / sum(counted))
    assert list(ledger.weakest.values()) == ["simulated"] * 2 + ["modelled"] * 4


def test_switches_that_pay_less_than_the_heat_take_nothing_off_it():
    cooled = Workload(**{**vars(WORK), "beyond_kT": Mean(-70.0, 9.0)})
    ledger = make_ledger(cooled, load_parameters())
    assert named(ledger, "work of switching").joules == 0
    assert ledger.ratios["and switching"] == ledger.ratios["heat alone"]


def test_an_untrained_computer_has_no_ratio_of_heats():
    idle = Workload(**{**vars(WORK), "heat_kT": Mean(-3.0, 9.0), "beyond_kT": Mean(0.0, 0.0)})
    ratios = make_ledger(idle, load_parameters()).ratios
    assert ratios["heat alone"] is None
    assert ratios["and read-out"] is not None


def test_schemes_and_sharing_change_what_is_counted(tmp_path):
    chosen = prices(
        tmp_path,
        '[writing]\nscheme = "flash"\nsamples_per_write = 100\n[holding]\nscheme = "passive"\n'
        "[environment]\ntemperature_K = 4.0\n",
    )
    ledger = make_ledger(WORK, chosen)
    flash = named(ledger, "writing 33 values, flash")  # 1300 / 100 kept ones and 20 rewritten
    assert flash.counted
    assert flash.joules == pytest.approx(33 * 5e-10)
    assert not named(ledger, "writing 33 values, cv2").counted
    assert named(ledger, "holding").joules == 0
    assert named(ledger, "heat").joules == pytest.approx(2000 * BOLTZMANN * 4)


# --- what a sample asks for -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run():
    units = tg.Units(visible=9, hidden=4)
    J = np.random.default_rng(0).normal(size=(13, 13)).astype(np.float32)
    computer = tg.make_computer(tg.published_couplings(units).with_matrix(jax.numpy.asarray(J + J.T)))
    schedule = tg.Schedule(t_f=0.4, dt=0.01)
    return computer, schedule, tg.generate(jax.random.key(0), computer, 60, schedule)


def test_the_workload_counts_the_published_wiring(run):
    computer, schedule, samples = run
    work = workload_of(computer, samples, schedule)
    J = np.abs(np.asarray(computer.couplings.matrix(), float))
    assert work.couplers == 9 * 4 + 4 * 3 // 2
    assert work.kept == work.couplers + 13
    assert work.rewritten == 0
    assert work.read == 9
    assert work.drive == pytest.approx(0.4 * J.sum(), rel=1e-5)
    # 40 steps; 2 operations for each of 2 x 36 + 16 entries, 12 + 33 for each of 13 units.
    assert work.flops == simulation_flops(computer, schedule) == 40 * (2 * 88 + 45 * 13)
    assert work.heat_kT.value == pytest.approx(samples.heat_kT.mean())


def test_paid_work_is_heat_relaxation_and_what_is_not_recovered(run):
    """paid = Q + (V_0(x_end) - V_0(x_0)) + work gained, by the first law, sample by sample."""
    _, _, samples = run
    paid = switching_work(samples) * samples.kT
    on = samples.start.coupling + samples.start.bias
    off = -(samples.end.coupling + samples.end.bias)
    gained = np.maximum(-on, 0) + np.maximum(-off, 0)
    relaxation = samples.end.on_site - samples.start.on_site
    assert np.allclose(paid, samples.heat + relaxation + gained, atol=1e-5)
    assert (paid >= 0).all()


def test_segments_are_written_for_every_sample(run):
    computer, schedule, _ = run
    control = tg.Segments.from_computers([computer] * 4, 0.4)
    samples = tg.generate(jax.random.key(0), control, 25, schedule)
    work = workload_of(control, samples, schedule)
    assert (work.kept, work.rewritten) == (0, 4 * (42 + 13))


# --- prices ---------------------------------------------------------------------------------------------


def test_the_shipped_file_explains_every_price():
    above = ""
    for line in default_text().splitlines():
        if line.startswith("#"):
            above += line
        elif "=" in line:
            assert len(above) > 20, f"{line} has no comment"
            above = ""


def test_a_copy_of_the_file_changes_nothing_and_a_part_of_it_changes_that(tmp_path):
    assert prices(tmp_path, default_text()) == load_parameters()
    changed = prices(tmp_path, "[readout]\nbits = 4\n")
    assert changed.readout.bits == 4
    assert changed.writing == load_parameters().writing


@pytest.mark.parametrize(("text", "message"), [
    ("[readout]\nbits = 0\n", r"readout\.bits = 0: give a whole number of 1 or more"),
    ("[readout]\nbits = 64\n", r"readout\.bits = 64"),
    ("[readout]\nbits = true\n", r"readout\.bits = True"),
    ("[environment]\ntemperature_K = -1\n", r"environment\.temperature_K = -1: give a positive number"),
    ("[environment]\ntemperature_K = 'hot'\n", r"environment\.temperature_K = 'hot'"),
    ("[environment]\ntemperature_K = inf\n", r"environment\.temperature_K = inf"),
    ("[writing]\nscheme = 'ink'\n", r"writing\.scheme = 'ink': choose one of cv2"),
    ("[holding]\nscheme = 3\n", r"holding\.scheme = 3"),
    ("[standby]\nduty = 1.5\n", r"standby\.duty = 1\.5"),
    ("[denoiser]\nwidths = [784]\n", r"denoiser\.widths = \[784\]"),
    ("[denoiser]\nwidths = 7\n", r"denoiser\.widths = 7"),
    ("[readout]\nbitz = 8\n", r"unknown key readout\.bitz .*: choose among bits"),
    ("[coffee]\ncups = 8\n", r"unknown section \[coffee\]"),
    ("readout = 3\n", r"readout = 3 .*: write it as \[readout\]"),
    ("[readout\n", "is no TOML"),
])  # fmt: skip
def test_prices_that_cannot_be_are_named_in_one_line(tmp_path, text, message):
    with pytest.raises(tg.InputError, match=message) as caught:
        prices(tmp_path, text)
    assert "\n" not in str(caught.value).rstrip()


# --- counters -------------------------------------------------------------------------------------------


def domain(root, folder, name, energy, largest=262_143_328_850):
    place = root / folder
    place.mkdir(parents=True)
    (place / "name").write_text(name + "\n")
    (place / "energy_uj").write_text(f"{energy}\n")
    (place / "max_energy_range_uj").write_text(f"{largest}\n")
    return place / "energy_uj"


NO_GPU = SimpleNamespace(NVMLError=RuntimeError, nvmlInit=lambda: None, nvmlDeviceGetCount=lambda: 0)


def test_packages_and_their_memory_are_summed_and_parts_are_not_counted_twice(tmp_path):
    package = domain(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    memory = domain(tmp_path, "intel-rapl:0:1", "dram", 1_000_000)
    core = domain(tmp_path, "intel-rapl:0:0", "core", 4_000_000)
    psys = domain(tmp_path, "intel-rapl:1", "psys", 9_000_000)

    def work():
        package.write_text("7500000")
        memory.write_text("1250000")
        core.write_text("6000000")
        psys.write_text("19000000")

    found = measure_joules(work, tmp_path, NO_GPU)
    assert found.joules == pytest.approx(2.75)
    assert len(found.counters) == 2
    assert found.reason == "no NVML: no NVIDIA device"


def test_a_counter_that_starts_anew_counts_on(tmp_path):
    package = domain(tmp_path, "intel-rapl:0", "package-0", 90_000_000, largest=100_000_000)
    found = measure_joules(lambda: package.write_text("15000000"), tmp_path, NO_GPU)
    assert found.joules == pytest.approx(25)


def test_absent_counters_say_why(tmp_path):
    assert measure_joules(lambda: None, tmp_path / "none", NO_GPU).joules is None
    assert rapl(tmp_path / "none").reasons == ("no RAPL counter: this machine shows none",)
    (tmp_path / "empty").mkdir()
    assert "no package among the domains" in rapl(tmp_path / "empty").reasons[0]
    package = domain(tmp_path / "odd", "intel-rapl:0", "package-0", 5)
    package.write_text("?")
    assert "not readable" in rapl(tmp_path / "odd").reasons[0]
    gone = domain(tmp_path / "gone", "intel-rapl:0", "package-0", 5)
    stopped = measure_joules(gone.unlink, tmp_path / "gone", NO_GPU)
    assert stopped.joules is None
    assert "gave no reading" in stopped.reason


def test_nvml_devices_are_read_in_millijoules_and_refusals_are_told(tmp_path):
    class Refused(Exception):
        pass

    spent = {"mJ": 1000.0}
    module = SimpleNamespace(
        NVMLError=Refused,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda k: k,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: spent["mJ"],
    )
    found = measure_joules(lambda: spent.update(mJ=4500.0), tmp_path / "none", module)
    assert found.joules == pytest.approx(3.5)

    def refuse(*_):
        raise Refused("not supported")

    module.nvmlDeviceGetTotalEnergyConsumption = refuse
    assert nvml(module).reasons == ("NVML device counts no energy",)
    module.nvmlInit = refuse
    assert nvml(module).reasons == ("no NVML: not supported",)


def test_a_measured_line_is_joules_a_sample_or_absent_with_a_word(tmp_path):
    package = domain(tmp_path, "intel-rapl:0", "package-0", 0)
    reading = measure_joules(lambda: package.write_text("100000000"), tmp_path, NO_GPU)
    line = named(make_ledger(WORK, load_parameters(), reading), "simulating this computer, on this machine")
    assert line.joules == pytest.approx(100 / 50)
    assert line.evidence == "measured"
    absent = measure_joules(lambda: None, tmp_path / "none", NO_GPU)
    line = named(make_ledger(WORK, load_parameters(), absent), "simulating this computer, on this machine")
    assert line.joules is None
    assert "no RAPL counter" in line.source


# --- tables, picture, command ---------------------------------------------------------------------------


def test_the_picture_and_the_tables_show_every_ratio():
    from dataclasses import asdict

    energy = asdict(make_ledger(WORK, load_parameters()))
    assert ledger_figure(energy)[:8] == b"\x89PNG\r\n\x1a\n"
    text = ledger_markdown(energy)
    for name in (*energy["ratios"], *(line["name"] for line in energy["lines"])):
        assert name in text
    for row in text.split("\n\n")[0].splitlines():  # |J| in a source is no border
        assert row.replace(r"\|", "").count("|") == 7


def test_the_command_from_prices_to_files(command, run, tmp_path):
    computer, schedule, _ = run
    tg.Model(computer, schedule, (3, 3)).save_pretrained("model")
    assert command("ledger", "--write-parameters", "prices.toml")[0] == 0
    text = (tmp_path / "prices.toml").read_text()
    (tmp_path / "prices.toml").write_text(text.replace("temperature_K = 300.0", "temperature_K = 77.0"))
    words = ("ledger", "model", "--count", 25, "--parameters", "prices.toml", "--measured", "--out", "out")
    code, out, _ = command(*words, "--json")
    assert code == 0
    found = json.loads(out)
    heat = found["lines"][0]
    assert heat["joules"] == pytest.approx(heat["kT"] * BOLTZMANN * 77)
    assert any(line["evidence"] == "measured" for line in found["lines"])
    assert found["prices"]["environment"]["temperature_K"] == 77
    assert json.loads((tmp_path / "out" / "ledger.json").read_text()) == found
    assert (tmp_path / "out" / "ledger.png").read_bytes()[:4] == b"\x89PNG"
    code, _, err = command(*words)
    assert code == 2
    assert "ledger.json, ledger.md, ledger.png: kept" in err
    code, out, _ = command("ledger", "model", "--count", 25)
    assert "heat alone" in out


@pytest.mark.parametrize(("words", "message"), [
    (("ledger",), "no model"),
    (("ledger", "nowhere"), "nowhere is no model folder"),
    (("ledger", "nowhere", "--parameters", "none.toml"), "parameter file none.toml does not exist"),
    (("ledger", "nowhere", "--write-parameters", "p.toml"), "leave one out"),
    (("ledger", "--write-parameters", "p.txt"), "p.txt has no known ending"),
])  # fmt: skip
def test_what_cannot_be_asked_is_one_line(command, words, message):
    code, _, err = command(*words)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
