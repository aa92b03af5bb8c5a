"""PgBouncer in transaction mode, as an operator would put it between daemons and PostgreSQL."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

from cluster import as_postgres, give_to_postgres
from postgres import Client, Refused

CONFIGURATION = """
[databases]
chaos = host={target} port=5432 dbname=chaos
[pgbouncer]
listen_port = 5432
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users
admin_users = postgres
pool_mode = transaction
default_pool_size = 4
max_client_conn = 100
server_login_retry = 1
server_connect_timeout = 5
logfile = {folder}/log
pidfile = {folder}/pid
"""


class Pooler:
    """`target`: the folder with the primary's socket. Clients connect to the socket in `folder`."""

    def __init__(self, root, target, children):
        self.folder, self.children, self.process = f"{root}/pooler", children, None
        self.program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/sbin:/bin")
        os.mkdir(self.folder)
        give_to_postgres(self.folder)
        pathlib.Path(self.folder, "users").write_text('"chaos_worker" ""\n"postgres" ""\n')
        pathlib.Path(self.folder, "ini").write_text(CONFIGURATION.format(folder=self.folder, target=target))

    @property
    def is_here(self):
        return self.program is not None

    def start(self):
        self.process = subprocess.Popen(as_postgres([self.program, "-q", f"{self.folder}/ini"]), cwd="/",
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.children.add(self.process.pid)
        end = time.monotonic() + 10
        while not os.path.exists(f"{self.folder}/.s.PGSQL.5432"):
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError("PgBouncer does not start:\n" + pathlib.Path(self.folder, "log").read_text())
            time.sleep(0.02)

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGKILL):
        self.send(number)
        self.process.wait(10)
        self.children.remove(self.process.pid)
        for name in (".s.PGSQL.5432", "pid"):
            pathlib.Path(self.folder, name).unlink(missing_ok=True)

    def reconnect(self):
        """As the one who moved the primary: or else its connections would stay where they are."""
        client = Client(self.folder, "pgbouncer", timeout=10)
        client.query("reconnect")
        client.close()

    def leaks(self):
        """What daemons left in sessions that others use after them, a row each; None if it can't be asked now."""
        try:
            client = Client(self.folder, user="chaos_worker", timeout=5)
            try:
                return [row for _ in range(6) for row in client.query(LEAKS)]
            finally:
                client.close()
        except (OSError, Refused):
            return None


# In a session of the pool that nobody is supposed to have changed. A temporary setting (set local) is none.
LEAKS = """
select 'the setting ' || name || ' = ' || setting || ' (as the session began: ' || coalesce(reset_val, '') || ')'
from pg_settings where source = 'session'
    and name not in ('application_name', 'client_encoding', 'transaction_isolation', 'transaction_read_only',
                     'transaction_deferrable')
union all select 'it listens to ' || channel from pg_listening_channels() channel
union all select 'the prepared statement ' || name from pg_prepared_statements where not from_sql
union all select 'an advisory lock' from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
"""
