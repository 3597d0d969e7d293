"""An HTCondor pool of several hosts on one machine, which share no files but the programs.

Each host is a network namespace with an address and a name of its own. "cm" has schedd, collector and negotiator, and
sees the files of this machine; e1, e2 … run jobs, each with process ids of its own and a mount namespace in which the
folders for temporary files (and so whatever tests keep there) are its own and empty. Needs Linux with user namespaces,
or root, and the programs ip, unshare and nsenter.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from condor_pool import START_SECONDS, Pool, identity
from debian import ToolError

NETWORK = "10.77.0"
ADDRESS = f"{NETWORK}.1"
"""Of cm; e1 has the next, and so on."""
PROGRAMS = ("ip", "unshare", "nsenter", "hostname", "mount")
SETTINGS = f"""
CONDOR_HOST = {ADDRESS}
COLLECTOR_HOST = {ADDRESS}:9618
SHARED_PORT_PORT = 9618
# FS among the processes of one host, a token between hosts
SEC_DEFAULT_AUTHENTICATION_METHODS = FS, IDTOKENS
TRUST_DOMAIN = pool.test
# a dead host is given up soon
JOB_DEFAULT_LEASE_DURATION = 20
ALIVE_INTERVAL = 5
MAX_CLAIM_ALIVES_MISSED = 3
CLASSAD_LIFETIME = 20
TCP_KEEPALIVE_INTERVAL = 5
"""
QUICK_TCP = (
    "for name in tcp_retries2=3 tcp_syn_retries=2 tcp_keepalive_intvl=2 tcp_keepalive_probes=2"
    " neigh/DEVICE/mcast_solicit=1 neigh/DEVICE/ucast_solicit=1 neigh/DEVICE/retrans_time_ms=200; do"
    ' echo "${name#*=}" > "/proc/sys/net/ipv4/${name%=*}"; done'
)
"""A connection to a host that answers no more ends within seconds, not after 15 minutes."""


class HostPool(Pool):
    """The part of the pool that one host has, in a directory that only it sees."""

    def start_in(self, namespaces: Sequence[str], script: str, cpus: int, settings: Iterable[str]) -> None:
        """Write the configuration and start the daemons behind *script*, inside of *namespaces*."""
        who = identity(0)  # for all hosts are in a namespace in which whoever starts them is root
        self.write(who, cpus, [SETTINGS, *settings])
        words = [*who.become, str(self.prefix / "sbin/condor_master"), "-pidfile", str(self.pidfile), "-f"]
        # "$@" is the command; a host ends with its standard input, so nothing outlives whoever made it
        run = f'{script}\n"$@" </dev/null & exec cat >/dev/null'
        with (self.directory / "log/master.out").open("ab") as output:
            self.host = subprocess.Popen(
                [*namespaces, "sh", "-ec", run, "sh", *words],
                cwd=self.directory,
                env=self.env,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )


class Hosts:
    """A pool of *number* execute hosts in *directory*."""

    def __init__(self, directory: Path, prefix: Path, number: int = 2, cpus: int = 2) -> None:
        self.directory, self.prefix, self.cpus = directory.resolve(), prefix, cpus
        self.names = [f"e{n}" for n in range(1, number + 1)]
        self.pools = {name: HostPool(self.directory / name, prefix) for name in ("cm", *self.names)}
        self._wires: list[subprocess.Popen[bytes]] = []

    @property
    def env(self) -> dict[str, str]:
        """What a client on cm wants in its environment."""
        return self.pools["cm"].env

    @property
    def enter(self) -> list[str]:
        """What is to be said before a command that runs on cm."""
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", *user, "--net", "--uts", f"--target={self._wires[0].pid}", "--"]

    def start(self) -> None:
        """Start all hosts; return when cm knows the slots of all."""
        if missing := [name for name in PROGRAMS if not shutil.which(name)]:
            raise ToolError(f"several hosts need {', '.join(missing)} (Debian: iproute2, util-linux, hostname, mount)")
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            self._lay_wires()
            self._start_cm()
            for name in self.names:
                self.boot(name)
            self.wait_for(self.names)
        except BaseException:
            self.stop()
            raise

    def _lay_wires(self) -> None:
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        script = f"""
            hostname cm
            ip link set lo up; ip link add br0 type bridge; ip addr add {ADDRESS}/24 dev br0; ip link set br0 up
            {QUICK_TCP.replace("DEVICE", "br0")}
            echo ready; exec cat"""
        holder = subprocess.Popen(
            ["unshare", *user, "--net", "--uts", "sh", "-ec", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._wires.append(holder)
        assert holder.stdout is not None and holder.stderr is not None
        if holder.stdout.readline() != b"ready\n":
            raise ToolError(f"no network namespace can be made here: {holder.stderr.read().decode().strip()}")

    def _start_cm(self) -> None:
        cm = self.pools["cm"]
        daemons = ["DAEMON_LIST = MASTER COLLECTOR NEGOTIATOR SCHEDD", f"NETWORK_INTERFACE = {ADDRESS}"]
        cm.start_in(self.enter, "", self.cpus, [*daemons, "FILESYSTEM_DOMAIN = cm.pool.test"])
        deadline = time.monotonic() + START_SECONDS
        while not any(cm.directory.glob("passwords.d/*")):
            if time.monotonic() > deadline:
                raise ToolError(f"the collector did not start\n{cm.last_words()}")
            time.sleep(0.1)
        self._token = self._on_cm("condor_token_create", "-identity", "daemon@pool.test")

    def _on_cm(self, program: str, *arguments: str) -> str:
        command = [*self.enter, str(self.prefix / "bin" / program), *arguments]
        asked = subprocess.run(command, env=self.env, capture_output=True, text=True)
        if asked.returncode and program == "condor_token_create":
            raise ToolError(f"no token for the execute hosts: {asked.stderr}")
        return asked.stdout

    def address(self, name: str) -> str:
        """Return the address of an execute host."""
        return f"{NETWORK}.{self.names.index(name) + 2}"

    def boot(self, name: str) -> None:
        """Start an execute host that is not running."""
        pool, number = self.pools[name], self.names.index(name)
        (pool.directory / "tokens.d").mkdir(mode=0o700, parents=True, exist_ok=True)
        token = pool.directory / "tokens.d/pool"
        token.write_text(self._token)
        token.chmod(0o600)
        address = self.address(name)
        script = f"""
            hostname {name}
            {self._hiding(pool.directory)}
            cd {pool.directory}
            ip link set lo up
            until ip link set eth0 up 2>/dev/null; do sleep 0.05; done
            ip addr add {address}/24 dev eth0
            {QUICK_TCP.replace("DEVICE", "eth0")}"""
        namespaces = ["unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        inside = self.enter if os.geteuid() else []
        daemons = ["DAEMON_LIST = MASTER STARTD", f"NETWORK_INTERFACE = {address}"]
        settings = [*daemons, f"FILESYSTEM_DOMAIN = {name}.pool.test", f"SEC_TOKEN_DIRECTORY = {token.parent}"]
        pool.start_in([*inside, *namespaces], script, self.cpus, settings)
        self._plug_in(number, pool.host)

    def _hiding(self, own: Path) -> str:
        """Return the commands after which a host sees of temporary files only its own directory and the programs."""
        hidden = {Path("/tmp"), Path("/var/tmp"), Path(tempfile.gettempdir()).resolve()}
        places = [own, self.prefix, Path(__file__).parents[1], Path(sys.prefix), Path(sys.base_prefix)]
        kept = [place for place in dict.fromkeys(places) if any(place.is_relative_to(folder) for folder in hidden)]
        lines = ["mount -t tmpfs none /run"]
        lines += [f"mkdir /run/{n}; mount --bind {place} /run/{n}" for n, place in enumerate(kept)]
        lines += [f"mount -t tmpfs none {folder}; chmod 1777 {folder}" for folder in sorted(hidden)]
        lines += [f"mkdir -p {place}; mount --bind /run/{n} {place}" for n, place in enumerate(kept)]
        return "\n".join(lines)

    def _plug_in(self, number: int, host: subprocess.Popen[bytes]) -> None:
        mine = os.readlink(f"/proc/{self._wires[0].pid}/ns/net"), os.readlink("/proc/self/ns/net")
        deadline = time.monotonic() + START_SECONDS
        while os.readlink(f"/proc/{host.pid}/ns/net") in mine:
            if host.poll() is not None or time.monotonic() > deadline:
                raise ToolError(f"a host did not start\n{self.pools[self.names[number]].last_words()}")
            time.sleep(0.02)
        cable = f"ip link add v{number} type veth peer name eth0 netns {host.pid}; ip link set v{number} master br0 up"
        subprocess.run([*self.enter, "sh", "-ec", cable], check=True)

    def wait_for(self, names: Iterable[str]) -> None:
        """Return when cm has slots on these hosts."""
        deadline = time.monotonic() + START_SECONDS
        # without DNS, HTCondor calls a host by its address
        wanted = {f"{self.address(name).replace('.', '-')}.pool.test" for name in names}
        while not wanted <= set(self._on_cm("condor_status", "-af", "Machine").split()):
            if time.monotonic() > deadline:
                words = "\n".join(pool.last_words() for pool in self.pools.values())
                raise ToolError(f"the slots of {', '.join(sorted(wanted))} did not come\n{words}")
            time.sleep(0.2)

    def kill(self, name: str) -> None:
        """Have a host die: all its processes at once, and its network with them."""
        host = self.pools[name].host
        host.kill()  # and its process 1 with it, and all others with that
        host.wait()

    def cut(self, name: str) -> None:
        """Pull the cable of an execute host out."""
        self._cable(name, "down")

    def mend(self, name: str) -> None:
        """Put its cable back."""
        self._cable(name, "up")

    def _cable(self, name: str, state: str) -> None:
        device = f"v{self.names.index(name)}"
        subprocess.run([*self.enter, "ip", "link", "set", device, state], check=True)

    def kill_schedd(self) -> None:
        """Have the schedd die, and with it what looks after each running job; the master starts another."""
        for pid in self.pools["cm"].processes():
            with suppress(OSError):
                if (Path(f"/proc/{pid}/comm").read_text().strip()) in ("condor_schedd", "condor_shadow"):
                    os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """End all hosts."""
        for name in self.names:
            with suppress(AttributeError):
                self.kill(name)
        cm = self.pools["cm"]
        with suppress(AttributeError):
            cm.stop()
            cm.host.kill()
            cm.host.wait()
        for holder in self._wires:
            holder.kill()
            holder.wait()
