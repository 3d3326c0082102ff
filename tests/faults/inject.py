"""Runs the program with faults injected: what faults/shim.c and faults/memory.c do when preloaded."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

LAYEVAL = os.environ["LAYEVAL"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
SANITIZED = "ASAN_OPTIONS" in os.environ
KILLED = -9


def scratch(test):
    """A directory for a test or a class of tests, in memory where that can be: what is synced thousands of times wears out patience."""
    memory = "/dev/shm"
    directory = pathlib.Path(tempfile.mkdtemp(prefix="layeval-", dir=memory if os.access(memory, os.W_OK) else None))
    (test.addCleanup if isinstance(test, unittest.TestCase) else test.addClassCleanup)(shutil.rmtree, directory)
    return directory


def disk(fault, mode):
    """Environment variables by which something happens to the call number `fault` that puts something on disk: `mode`
    (faults/shim.c)."""
    variables = {"LD_PRELOAD": os.environ["LAYEVAL_FAULT_SHIM"], "LAYEVAL_FAULT": str(fault), "LAYEVAL_FAULT_MODE": mode}
    # The sanitizer wants to stand first among preloaded libraries; the shim leaves memory alone.
    if SANITIZED:
        variables["ASAN_OPTIONS"] = os.environ["ASAN_OPTIONS"] + ":verify_asan_link_order=0"
    return variables


def stopped(*arguments, fault):
    """A process that stands still in front of the call number `fault`: send it a signal, then SIGCONT."""
    process = subprocess.Popen([LAYEVAL, *map(str, arguments)], cwd=ROOT, env={**os.environ, **disk(fault, "stop")},
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               encoding="utf-8")
    report = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert report.si_code == os.CLD_STOPPED, "the process was over before the call it was to stop at"
    return process


def layeval(*arguments, fault=None, mode="fail", memory=None, **environment):
    """`fault`, `mode`: as for disk(). `memory`: number of the allocation that fails (not under the sanitizers, which
    have an allocator of their own)."""
    variables = {**os.environ, **environment}
    if fault is not None:
        variables.update(disk(fault, mode))
    if memory is not None:
        variables.update(LD_PRELOAD=os.environ["LAYEVAL_FAULT_MEMORY_SHIM"], LAYEVAL_FAULT_MEMORY=str(memory))
    return subprocess.run([LAYEVAL, *map(str, arguments)], cwd=ROOT, env=variables, stdin=subprocess.DEVNULL, text=True,
                          encoding="utf-8", capture_output=True, check=False)


def calls_of(*arguments):
    """The calls that put something on disk, in order: ["mkdir", "pwrite", …]."""
    result = layeval(*arguments, fault=0, mode="log")
    assert result.returncode == 0, result.stderr
    return [line.removeprefix("fault: ") for line in result.stderr.splitlines() if line.startswith("fault: ")]


def contents(directory):
    """What two equal runs share: everything but timing.json. Hashes, for short messages."""
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(directory.rglob("*")) if path.is_file() and path.name != "timing.json"}


def messages(result):
    """What the program complained."""
    return [line for line in result.stderr.splitlines() if line.startswith("layeval ")]
