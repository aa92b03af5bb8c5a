# The database goes away, and its disk fills up: the daemon says so, burns no attempt, and goes on by itself.

health() { curl -s -o /run/health -w '%{http_code}' http://127.0.0.1:9471/healthz; }
healthy() { [ "$(health)" = 200 ]; }
metric() { curl -s http://127.0.0.1:9471/metrics | grep >/dev/null "^$1$"; }

stop_postgres
systemctl start --no-block glossd
answers() { [ "$(health)" = 503 ] && grep -q '"status":"waiting for the database"' /run/health; }
await 20 "/healthz does not say what it waits for" answers
ok "/healthz before the first start" "503 $(grep -o '"status":"[^"]*"' /run/health)"
start_postgres
await 30 "it does not become active" active
await 5 "/healthz is not 200" healthy
ok "/healthz once it is ready" "200 $(grep -o '"status":"[^"]*"' /run/health)"

first=$(pid)
enqueue scene-00.jpg 200 gone "max_tokens => 60"
await_captions 20 "no captions" 5
stop_postgres
await 20 "the status line does not say that the database is gone" says "waiting for the database:*"
await 5 "/healthz does not say so" answers
metric "gloss_database_up 0.0" || fail "/metrics does not say so"
ok "PostgreSQL stopped" "$(show StatusText | cut -c1-70)…"
start_postgres
all_done 200
await 5 "/healthz is not 200 again" healthy
says "* jobs done, 0 dead" || fail "$(show StatusText)"
[ "$(pid)" = "$first" ] || fail "it was restarted"
ok "and started" "200 done, each once, no attempt used up; the same process"

# A disk of its own for the database, nearly full.
systemctl stop glossd
stop_postgres
mkdir -p /var/lib/small
mount -t tmpfs -o size=200m,mode=0755 tmpfs /var/lib/small
cp -a /var/lib/check/data /var/lib/small/data
sync
start_postgres /var/lib/small/data
sql "alter system set max_wal_size = '48MB'" && sql "alter system set min_wal_size = '32MB'" && sql 'select pg_reload_conf()' >/dev/null
systemctl start glossd
enqueue scene-00.jpg 500 full "max_tokens => 60"
await_captions 20 "no captions" 210
dd if=/dev/zero of=/var/lib/small/filler bs=64k 2>/dev/null || true
await 30 "the status line does not say that the disk is full" says "waiting for the database:*"
told=$(show StatusText)
answers || fail "/healthz: $(cat /run/health)"
ok "PostgreSQL's disk is full" "$(cut -c1-90 <<<"$told")…"
rm /var/lib/small/filler
# Without room for its journal PostgreSQL itself ends; a unit of its own would start it again.
systemctl is-active -q check-postgresql || start_postgres /var/lib/small/data
all_done 700
await 5 "/healthz is not 200 again" healthy
[ "$(pid)" -ne 0 ] && [ "$(show NRestarts)" = 0 ] || fail "it was restarted"
ok "and has room again" "500 done, each once, no attempt used up"
systemctl stop glossd
stop_postgres
umount /var/lib/small
start_postgres
