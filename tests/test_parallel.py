"""Work shared by processes and devices: the same bits as one, and what a death leaves is gone on from."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import thermogen as tg
from thermogen.parallel import agree, alone, deal, first, gather, is_first, jobs, process_count
from thermogen.parallel.exchange import Contribution
from thermogen.parallel.group import VARIABLES
from thermogen.parallel.joining import join_processes
from thermogen.parallel.launcher import launch
from thermogen.parallel.rollcall import answer, call_roll
from thermogen.storage.cache import share_jobs

SCRIPT = Path(__file__).with_name("shared_work.py")


def environment(devices=1, **more):
    """Of a process with so many virtual devices, and nothing of the tests' own."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return kept | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"} | more


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """The environment of commands, which compile a program once for all tests of this file."""
    return environment(
        JAX_COMPILATION_CACHE_DIR=str(tmp_path_factory.mktemp("programs")),
        JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0",
        JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES="-1",
    )


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def ended(process):
    """Standard output of a process that must end well."""
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return out


def piped(words, env, **options):
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.fixture(scope="module")
def alone_work(commands, tmp_path_factory):
    """What one process with one device finds."""
    file = tmp_path_factory.mktemp("alone") / "found.npz"
    ended(piped([SCRIPT, file], commands))
    return dict(np.load(file))


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    different = [
        name
        for name in expected
        if name not in ("processes", "devices") and not np.array_equal(found[name], expected[name])
    ]
    assert different == []


def test_eight_devices_find_the_same_bits(alone_work, tmp_path):
    ended(piped([SCRIPT, tmp_path / "found.npz"], environment(devices=8)))
    found = dict(np.load(tmp_path / "found.npz"))
    assert (found["processes"], found["devices"], alone_work["devices"]) == (1, 8, 1)
    assert_same(found, alone_work)


def test_two_processes_find_the_same_bits(alone_work, commands, tmp_path):
    """Of different numbers of devices; joined by the variables of SLURM, as srun would set them."""
    slurm = {
        "SLURM_JOB_ID": "7",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
        "THERMOGEN_CLUSTER": "slurm",
        "JAX_COORDINATOR_PORT": str(free_port()),
    }
    running = [
        piped(
            [SCRIPT, tmp_path / "found.npz"],
            commands | environment(index + 1, SLURM_PROCID=str(index), SLURM_LOCALID=str(index), **slurm),
        )
        for index in range(2)
    ]
    assert [ended(process) for process in running] == ["", ""]  # standard output is for results
    found = dict(np.load(tmp_path / "found.npz"))
    assert found["processes"] == 2
    assert_same(found, alone_work)


def thermogen(*words):
    return ["-m", "thermogen", *words]


def arrays(file):
    return dict(np.load(file))


@pytest.fixture(scope="module")
def drawn(small_model, commands, tmp_path_factory):
    """Many samples of a small model, drawn by one process."""
    out = tmp_path_factory.mktemp("drawn") / "s.npz"
    ended(piped(thermogen("sample", small_model, "--count", 2000, "--out", out), commands))
    return arrays(out)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_death_is_told_and_what_is_finished_is_gone_on_from(small_model, commands, drawn, tmp_path, victim):
    """Killed after its first batch; finished by one process, or by two."""
    out = tmp_path / "s.npz"
    batches = tmp_path / "s.npz.unfinished"
    words = ["sample", small_model, "--count", 2000, "--out", out]
    run = piped(thermogen("launch", "--processes", 2, "--", *words), commands)
    while not list(batches.glob("samples-*.safetensors")):
        assert run.poll() is None, run.communicate()
        time.sleep(0.01)
    os.kill(child(run.pid, victim), signal.SIGKILL)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 1
    assert f"process {victim} of 2 was killed by SIGKILL, so the others were stopped" in errors
    assert errors.count("thermogen:") == 1 + errors.count("another process of this run is gone")
    assert 0 < len(list(batches.glob("samples-*.safetensors"))) < 8
    assert not out.exists()
    again = [*words, "--resume"]
    ended(piped(thermogen(*(again if victim else ["launch", "--processes", 2, "--", *again])), commands))
    assert_same(arrays(out), drawn)
    assert not batches.exists()


def child(parent, index):
    """The process of that number among the children of the launcher."""
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for number in listed:
        if f"THERMOGEN_PROCESS_ID={index}".encode() in Path(f"/proc/{number}/environ").read_bytes().split(
            b"\0"
        ):
            return int(number)
    raise AssertionError(f"no process {index} among {listed}")


def test_ctrl_c_reaches_every_process_and_says_how_to_go_on(small_model, commands, tmp_path):
    out = tmp_path / "s.npz"
    words = thermogen("launch", "--processes", 2, "--", "sample", small_model, "--count", 2000, "--out", out)
    run = piped(words, commands)
    while not list(tmp_path.glob("s.npz.unfinished/samples-*.safetensors")):
        assert run.poll() is None, run.communicate()
        time.sleep(0.01)
    numbers = [child(run.pid, index) for index in range(2)]
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "go on with --resume" in " ".join(errors.split())
    assert not any(Path(f"/proc/{number}").exists() for number in numbers)


def test_a_sweep_is_shared_and_gone_on_from(small_model, commands, tmp_path):
    words = ["sweep", small_model, "--imperfection", "dead", "--values", "0.5", "--devices", 2, "--count", 4]
    one, two = tmp_path / "one", tmp_path / "two"
    ended(piped(thermogen(*words, "--out", one), commands))
    ended(piped(thermogen("launch", "--processes", 2, "--", *words, "--out", two), commands))
    assert (two / "sweep.json").read_bytes() == (one / "sweep.json").read_bytes()
    files = sorted(path.name for path in (one / "devices").iterdir())
    assert files == sorted(path.name for path in (two / "devices").iterdir())
    assert len(files) == 4


def test_training_is_shared_and_commands_that_cannot_be_are_refused(small_model, commands, tmp_path):
    images = small_model.parent / "two.npz"
    words = ["train", "--images", images, "--hidden", 4, "--dt", 0.01]
    two = tmp_path / "two"
    ended(piped(thermogen("launch", "--processes", 2, "--", *words, "--out", two), commands))
    assert (two / "model.safetensors").read_bytes() == (small_model / "model.safetensors").read_bytes()
    sampled = [*words, "--trainer", "batch", "--cycles", 1, "--out", tmp_path / "three"]
    refused = piped(thermogen("launch", "--processes", 2, "--", *sampled), commands)
    _, errors = refused.communicate(timeout=60)
    assert refused.returncode == 2
    assert "trainer 'batch' follows one cycle after the other" in errors
    assert errors.count("thermogen:") == 1


def test_one_process_starts_sends_and_waits_for_nothing(tmp_path):
    join_processes()
    join_processes(processes=1)
    assert process_count() == 1
    assert is_first()
    assert gather("x", lambda: Contribution({}, 3)) == [Contribution({}, 3)]
    assert first("x", lambda: {"a": 1}) == {"a": 1}
    agree("x", object())  # not even looked at
    with alone():
        assert process_count() == 1
    seen = []
    assert jobs("x", 3, lambda n: n**2, progress=lambda *one: seen.append(one)) == [0, 1, 4]
    assert seen == [(1, 0), (2, 1), (3, 2)]


def test_jobs_are_kept_and_known_by_their_settings(tmp_path):
    made = []

    def work(one):
        made.append(one["seed"])
        return {"square": one["seed"] ** 2, "pair": (1, 2)}

    first_ones = share_jobs(work, [{"seed": 1}, {"seed": 2}], folder=tmp_path)
    more = share_jobs(work, [{"seed": 3}, {"seed": 2}], folder=tmp_path)
    assert made == [1, 2, 3]
    assert more == [{"square": 9, "pair": [1, 2]}, first_ones[1]]
    file = next(
        path for path in tmp_path.iterdir() if json.loads(path.read_text())["identity"] == {"seed": 2}
    )
    file.write_text("{")
    with pytest.raises(tg.InputError, match=f"{file.name} is damaged: remove it"):
        share_jobs(work, [{"seed": 2}], folder=tmp_path)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_is_left_is_dealt_evenly_and_once(monkeypatch, count):
    finished = [False, True, True, False, False, True, False, False]
    dealt = []
    for index in range(count):
        monkeypatch.setattr("thermogen.parallel.group._group.index", index)
        monkeypatch.setattr("thermogen.parallel.group._group.count", count)
        dealt.append(deal(finished))
    assert sorted(number for mine in dealt for number in mine) == list(range(8))
    left = [sum(not finished[number] for number in mine) for mine in dealt]
    assert max(left) - min(left) <= 1


@pytest.mark.parametrize(
    ("given", "variables", "message"),
    [
        (("host:1", 2, 2), {}, "process id = 2 of 2 processes: give a number from 0 to 1"),
        (("host:1", 0, 0), {}, "processes = 0: give 1 or more"),
        (("host", 2, 0), {}, "coordinator 'host' is no HOST:PORT"),
        (("host:99999", 2, 0), {}, "coordinator 'host:99999' is no HOST:PORT"),
        ((None, 2, None), {}, "give coordinator .* and process id .*THERMOGEN_PROCESS_ID"),
        (
            (None, None, None),
            {"THERMOGEN_PROCESSES": "two"},
            "THERMOGEN_PROCESSES = 'two': give a whole number",
        ),
        ((None, None, 1), {"THERMOGEN_PROCESSES": "2"}, "give coordinator .*THERMOGEN_COORDINATOR. too"),
    ],
)
def test_values_that_cannot_be_are_refused(monkeypatch, given, variables, message):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(tg.InputError, match=message):
        join_processes(*given)
    assert process_count() == 1


def test_missing_clusters_and_unknown_ones_are_said():
    with pytest.raises(tg.InputError, match=r"no cluster was found .*: start by srun"):
        join_processes(cluster="auto")
    with pytest.raises(tg.InputError, match="unknown cluster 'pbs': choose one of auto, slurm"):
        join_processes(cluster="pbs")
    with pytest.raises(tg.InputError, match="processes beside a cluster"):
        join_processes(processes=2, cluster="slurm")


def test_a_coordinator_that_is_not_there_or_waits_in_vain_is_named():
    port = free_port()
    with pytest.raises(tg.InputError, match=rf"coordinator 127.0.0.1:{port} did not answer within 0.3 s"):
        join_processes(f"127.0.0.1:{port}", 2, 1, timeout=0.3)
    with pytest.raises(tg.InputError, match=r"process 1, 2 of 3 did not come within 0.3 s"):
        join_processes(f"127.0.0.1:{port}", 3, 0, timeout=0.3)
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(tg.InputError, match=f"port {port} of the coordinator cannot be used"),
    ):
        join_processes(f"127.0.0.1:{port}", 2, 0, timeout=0.3)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([(2, 1)], None),
        ([(3, 1), (3, 2)], None),
        ([(3, 1), (3, 1)], "two processes were started as number 1"),
        ([(3, 1)], "process 1 was started as one of 3 processes, process 0 as one of 2"),
    ],
)
def test_the_roll_finds_who_is_missing_or_comes_twice(others, message):
    port = free_port()
    count = 2 if len(others) == 1 else 3
    told = []

    def come(theirs, index):
        try:
            answer("127.0.0.1", port, theirs, index, 20)
            told.append(None)
        except tg.InputError as error:
            told.append(str(error))

    threads = [threading.Thread(target=come, args=other) for other in others]
    for thread in threads:
        thread.start()
    if message is None:
        call_roll("127.0.0.1", port, count, 20)
    else:
        with pytest.raises(tg.InputError, match=message):
            call_roll("127.0.0.1", port, count, 20)
    for thread in threads:
        thread.join(20)
    assert told == [None if message is None else f"process 0 stopped: {message}"] * len(others)


@pytest.mark.parametrize("wrong", [{"processes": 0}, {"devices": 0}, {"cores": 0}, {"cores": 1000}])
def test_launches_that_cannot_be_are_refused(wrong):
    with pytest.raises(tg.InputError, match=r" 0: give 1 or more|need 2000, this one may use"):
        launch(["sample"], **({"processes": 2} | wrong))


def test_commands_that_nothing_shares_are_refused(command):
    code, _, errors = command("launch", "--", "show", "model")
    assert code == 2
    assert "'show' cannot be shared: run it as one process" in errors
