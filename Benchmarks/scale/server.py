"""A private PostgreSQL with the schema gloss, and a private pgbouncer before it."""
import glob
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.normpath(f"{os.path.dirname(os.path.abspath(__file__))}/../..")
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Server:
    """PostgreSQL with its own defaults, fsync included, but for what is named here; schema gloss in database bench."""

    def __init__(self, glossctl, migrations, connections=100):
        # A program that is told to end stops its server.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        self.bin = max(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[-2]))
        self.folder = tempfile.mkdtemp(prefix="gloss-scale.")
        self.user = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self.user = dict(user="postgres", group="postgres", extra_groups=[])
        data = f"{self.folder}/data"
        self.call("initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8")
        options = f"-k {self.folder} -c listen_addresses='' -c max_connections={connections}" \
                  " -c shared_buffers=1GB -c max_wal_size=8GB"
        self.call("pg_ctl", "-D", data, "-w", "-s", "-l", f"{self.folder}/log", "-o", options, "start")
        self.pid = int(open(f"{data}/postmaster.pid").readline())
        self.bouncer = None
        self.sql("create database bench", database="postgres")
        subprocess.run([glossctl, "migrate", "--directory", migrations, "--database",
                        f"host={self.folder} user=postgres dbname=bench"], check=True, stdout=subprocess.DEVNULL)
        self.version = self.sql("show server_version")

    def call(self, tool, *arguments):
        subprocess.run([f"{self.bin}/{tool}", *arguments], check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **self.user)

    def sql(self, text, database="bench"):
        command = ["psql", "-X", "-q", "-At", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-U", "postgres",
                   "-d", database, "-c", text]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def backends(self):
        """The server's processes."""
        children = open(f"/proc/{self.pid}/task/{self.pid}/children").read().split()
        return [self.pid, *map(int, children)]

    def processor_seconds(self):
        """User and system time of the server; of sessions that ended too."""
        total = 0
        for pid in self.backends():
            try:
                fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            total += sum(int(x) for x in fields[11:15 if pid == self.pid else 13])
        return total / TICKS

    def memory(self):
        """Bytes of all its processes, what they share counted once."""
        total = 0
        for pid in self.backends():
            try:
                for line in open(f"/proc/{pid}/smaps_rollup"):
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
            except OSError:
                continue
        return total

    def start_bouncer(self, port, pool):
        """pgbouncer in transaction mode; sessions find it at the same socket folder and this port."""
        file = f"{self.folder}/pgbouncer.ini"
        with open(file, "w") as out:
            out.write(f"""[databases]
bench = host={self.folder} dbname=bench user=postgres
[pgbouncer]
unix_socket_dir = {self.folder}
listen_port = {port}
auth_type = any
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 10000
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
""")
        if self.user:
            os.chown(file, pwd.getpwnam("postgres").pw_uid, -1)
        self.bouncer = subprocess.Popen(["pgbouncer", "-q", file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        **self.user)
        while not os.path.exists(f"{self.folder}/.s.PGSQL.{port}"):
            if self.bouncer.poll() is not None:
                raise SystemExit("pgbouncer does not start; is it installed?")
            time.sleep(0.05)

    def bouncer_seconds(self):
        fields = open(f"/proc/{self.bouncer.pid}/stat").read().rsplit(")", 1)[1].split()
        return sum(int(x) for x in fields[11:13]) / TICKS

    def stop(self):
        if self.bouncer:
            self.bouncer.kill()
            self.bouncer.wait()
        self.call("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "-s", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)
