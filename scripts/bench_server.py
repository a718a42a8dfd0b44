# SPDX-License-Identifier: Apache-2.0
"""A server under load and under attack: `medvol serve` as a process, on this machine.

    python scripts/bench_server.py [--minutes 10] [--clients 32] [--only load cancel] [--json FILE]

The bundle is a 1 x 1 x 1 convolution that thresholds, made here; pictures are not asked for. Every
client sends a phantom that no other sends, with its lesions elsewhere, and compares each voxel of
the mask that comes back with the one that it expects. Memory is the resident memory of the server
and of its worker, once a second; its growth is the median of the last quarter of the time less
that of the second quarter. A clone is needed, since the phantoms are those of the tests.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from served import MIB, PATIENT, Memory, Server, phantom, served

GIB = 1 << 30


def load(server: Server, clients: int, minutes: float) -> dict[str, Any]:
    """Many clients at once: every answer has to come, and to be one's own."""
    end = time.monotonic() + 60 * minutes
    tally = {"done": 0, "wrong": 0, "lost": 0, "mixed_up": 0, "requests": 0}
    seconds: list[float] = []
    problems: list[str] = []
    lock = threading.Lock()
    memory = Memory(server)
    memory.start()

    def work(client: int) -> None:
        turn = 0
        while time.monotonic() < end:
            mine = phantom(client * 100_000 + turn)
            turn += 1
            began = time.monotonic()
            found = {"done": 0, "wrong": 0, "lost": 0, "mixed_up": 0, "requests": 3}
            try:
                job = server.submit(mine)
                image = job["image"]
                while job["state"] in ("waiting", "running"):
                    job = server.tell("GET", f"/api/jobs/{job['id']}?wait=20")
                    found["requests"] += 1
                found["mixed_up"] = int(job["image"] != image)  # another's job
                if job["state"] != "done":
                    raise RuntimeError(f"a job is {job['state']}: {job['error']}")
                found["wrong"] = int(not server.is_right(job["id"], mine))
                found["done"] = 1
                server.tell("DELETE", f"/api/jobs/{job['id']}")
            except Exception as error:
                found["lost"] = 1
                with lock:
                    problems.append(f"{type(error).__name__}: {error}"[:300])
            with lock:
                seconds.append(time.monotonic() - began)
                for name, count in found.items():
                    tally[name] += count

    began = time.monotonic()
    threads = [threading.Thread(target=work, args=(client,)) for client in range(clients)]
    health: list[float] = []
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        asked = time.monotonic()
        server.ask("GET", "/healthz")
        health.append(time.monotonic() - asked)
        time.sleep(1.0)
    took = time.monotonic() - began
    kept = [server.folder / name for name in ("images", "jobs", "results")]
    left = [path for folder in kept for path in folder.rglob("*") if path.is_file()]
    figures = {
        "clients": clients, "minutes": round(took / 60, 1), **tally, "problems": problems[:5],
        "jobs_per_s": round(tally["done"] / took, 2),
        "requests_per_s": round(tally["requests"] / took, 1),
        "job_median_s": round(statistics.median(seconds), 2), "job_max_s": round(max(seconds), 2),
        "healthz_median_ms": round(1000 * statistics.median(health), 1),
        "healthz_max_ms": round(1000 * max(health), 1),
        "files_left": len(left), **memory.figures(),
    }  # fmt: skip
    faults = tally["wrong"] + tally["lost"] + tally["mixed_up"] + len(left)
    return {"ok": tally["done"] > 0 and not faults, **figures}


def cancel(server: Server) -> dict[str, Any]:
    """A job that runs is cancelled, and the next begins."""
    first, second = server.submit(phantom(1)), server.submit(phantom(2))
    server.until(first["id"], lambda job: job["state"] == "running")
    began = time.time()
    server.tell("POST", f"/api/jobs/{first['id']}/cancel")
    begun = server.until(second["id"], lambda job: job["started"] > 0)
    done = server.until(second["id"], lambda job: job["state"] not in ("waiting", "running"))
    freed = begun["started"] - began
    return {
        "ok": freed <= 2.0 and server.is_right(second["id"], phantom(2)),
        "state": server.state(first["id"])["state"], "next_begun_after_s": round(freed, 2),
        "next_done_after_s": round(done["ended"] - began, 2),
    }  # fmt: skip


def killed_worker(server: Server) -> dict[str, Any]:
    """The worker dies in a job: that job says why it failed, and the next works."""
    first, second = server.submit(phantom(3)), server.submit(phantom(4))
    server.until(first["id"], lambda job: job["state"] == "running" and job["step"])
    for worker in server.workers():
        with suppress(psutil.Error):
            worker.kill()
    lost = server.until(first["id"], lambda job: job["state"] not in ("waiting", "running"))
    server.until(second["id"], lambda job: job["state"] == "done")
    told = lost["error"] or {}
    return {
        "ok": lost["state"] == "refused" and bool(told.get("reason")) and bool(told.get("remedy"))
        and server.is_right(second["id"], phantom(4)),
        "first": lost["state"], "told": told, "next": "done",
    }  # fmt: skip


def killed_server(server: Server) -> dict[str, Any]:
    """The server dies with jobs in its queue: after a restart all of them are done."""
    jobs = {number: server.submit(phantom(number))["id"] for number in range(5, 10)}
    server.until(jobs[5], lambda job: job["state"] == "running")
    workers = server.workers()
    server.end(signal.SIGKILL)
    began = time.monotonic()
    _, alive = psutil.wait_procs(workers, timeout=15)
    orphans_s = time.monotonic() - began
    started_s = server.start()
    states = [
        server.until(job, lambda job: job["state"] not in ("waiting", "running"))["state"]
        for job in jobs.values()
    ]
    right = sum(server.is_right(job, phantom(number)) for number, job in jobs.items())
    return {
        "ok": right == len(jobs) and not alive, "jobs": len(jobs), "right": right,
        "states": sorted(set(states)), "orphans": len(alive), "orphans_s": round(orphans_s, 1),
        "restart_s": round(started_s, 1),
    }  # fmt: skip


def slow_clients(server: Server) -> dict[str, Any]:
    """Fifty clients that send a byte now and then, while another works."""
    begin = (
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ",
        b"POST /api/images HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000\r\n\r\n",
    )
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    for number, client in enumerate(slow):
        client.sendall(begin[number % 2])
    ended = threading.Event()
    closed: set[int] = set()

    def dribble() -> None:
        while not ended.wait(1.0):
            for number, client in enumerate(slow):
                try:
                    client.sendall(b"a")
                except OSError:
                    closed.add(number)

    thread = threading.Thread(target=dribble, daemon=True)
    thread.start()
    began = time.monotonic()
    job = server.submit(phantom(20))
    times = []
    while (job := server.state(job["id"]))["state"] in ("waiting", "running"):
        asked = time.monotonic()
        server.ask("GET", "/healthz")
        times.append(time.monotonic() - asked)
        time.sleep(0.1)
    job_s = time.monotonic() - began
    while len(closed) < len(slow) and time.monotonic() - began < 60:
        time.sleep(0.5)
    closed_s = time.monotonic() - began
    ended.set()
    thread.join()
    for client in slow:
        client.close()
    return {
        "ok": server.is_right(job["id"], phantom(20)) and len(closed) == len(slow),
        "job_s": round(job_s, 2), "healthz_max_ms": round(1000 * max(times), 1),
        "closed": len(closed), "all_closed_after_s": round(closed_s, 1),
    }  # fmt: skip


def endless_body(server: Server) -> dict[str, Any]:
    """A body without a length that never ends, to a route of images and to one of JSON."""
    memory = Memory(server)
    memory.start()
    told = {}
    for path in ("/api/images", "/api/jobs"):
        client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head.encode())
        part, sent, began = b"10000\r\n" + b"a" * 65536 + b"\r\n", 0, time.monotonic()
        with client, suppress(OSError):
            while sent < 64 * GIB and time.monotonic() - began < 60:
                client.sendall(part)
                sent += 65536
        told[path] = {"sent_mib": sent // MIB, "closed_after_s": round(time.monotonic() - began, 1)}
    left = sum(path.stat().st_size for path in (server.folder / "images").rglob("image*"))
    is_ok = all(x["closed_after_s"] < 30 for x in told.values()) and left < MIB
    return {"ok": is_ok, **told, "left_mib": left // MIB, **memory.figures()}


def wrong_forms(server: Server) -> dict[str, Any]:
    """Forms that are none: each is answered with a reason, and nothing stays."""
    form = "multipart/form-data; boundary=x"
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.nrrd"\r\n\r\n'
    bodies = {
        "no boundary": ("multipart/form-data", part), "no end": (form, part + b"abc"),
        "no name": (form, b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n"),
        "no headers": (form, b"--x\r\n\r\n\r\n--x--\r\n"), "not a form": (form, b"\x00\xff" * 1000),
        "long header": (form, b"--x\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\na\r\n--x--\r\n"),
        "many parts": (form, (part + b"\r\n") * 5000 + b"--x--\r\n"),
        "odd charset": (form + "; charset=utf-77", part + b"a\r\n--x--\r\n"),
        "empty": (form, b""), "long boundary": (form + "x" * 4000, part),
        "odd name": (form, part.replace(b"a.nrrd", b"../../\xff\x00.nrrd") + b"a\r\n--x--\r\n"),
    }  # fmt: skip
    paths = (
        "/infer/tiny_ct", "/infer?model_name=tiny_ct", "/session/", "/datastore/",
        "/datastore/label?image=x", "/auth/token", "/api/images", "/api/jobs", "/login",
    )  # fmt: skip
    statuses: dict[int, int] = {}
    bad = []
    for path in paths:
        for name, (type_, body) in bodies.items():
            for method in ("POST", "PUT"):
                status, _ = server.ask(method, path, body, {"Content-Type": type_})
                statuses[status] = statuses.get(status, 0) + 1
                if status >= 500:
                    bad.append(f"{method} {path} {name}: {status}")
    return {"ok": not bad, "statuses": dict(sorted(statuses.items())), "bad": bad}


def names(server: Server) -> dict[str, Any]:
    """What the server wrote, but for the records of images and jobs, has no name of a patient."""
    parts = [PATIENT.split("^")[0].lower()]  # a first name of four letters is in pictures by chance
    found = []
    for path in [server.log, *server.folder.rglob("*")]:
        name = path.name.lower()
        is_record = path.suffix == ".json" and path.parent.name != "results"
        text = "" if path.is_dir() or is_record else path.read_bytes().decode("latin-1").lower()
        if any(part in name or part in text for part in parts):
            found.append(path.name)
    log = server.log.read_text(errors="replace")
    return {"ok": not found and "Traceback" not in log, "found": found, "log_bytes": len(log)}


PARTS: dict[str, Callable[[Server], dict[str, Any]]] = {
    "cancel": cancel, "killed_worker": killed_worker, "killed_server": killed_server,
    "slow_clients": slow_clients, "endless_body": endless_body, "wrong_forms": wrong_forms,
    "names": names,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="of load")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--only", nargs="+", choices=["load", *PARTS], default=["load", *PARTS])
    parser.add_argument("--json", type=Path, help="file for the figures")
    args = parser.parse_args()
    figures: dict[str, Any] = {"cpus": os.cpu_count(), "busy": round(os.getloadavg()[0], 1)}
    with served() as server:
        for name in args.only:
            began = time.monotonic()
            if name == "load":
                figures[name] = load(server, args.clients, args.minutes)
            else:
                figures[name] = PARTS[name](server)
            took = time.monotonic() - began
            print(f"{name:14} {took:6.1f} s  {json.dumps(figures[name])}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return int(not all(figures[name]["ok"] for name in args.only))


if __name__ == "__main__":
    sys.exit(main())
