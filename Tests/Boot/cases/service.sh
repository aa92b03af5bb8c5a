# The life of the unit: start, work, death, stop, start again.

stop_postgres
systemctl start --no-block glossd
await 20 "it does not wait for the database" says "waiting for the database*"
[ "$(show ActiveState)" = activating ] || fail "it is $(show ActiveState) without a database"
ok "without a database" "$(show StatusText | cut -c1-60)…"
start_postgres
await 30 "it does not become active" active
first=$(pid)
ok "with one" "active"

images=$(ls /gloss-check/images | wc -l)
for image in /gloss-check/images/*; do enqueue "$(basename "$image")" 1 "$(basename "$image")"; done
await_captions 30 "no captions" "$images"
ok "jobs" "$images images by name over HTTP, decoded and captioned"

curl -sf http://127.0.0.1:9471/healthz >/dev/null || fail "/healthz"
curl -sf http://127.0.0.1:9471/metrics | grep >/dev/null "^gloss_jobs_ended_total{outcome=\"done\"} $images" || fail "/metrics"
before=$(show WatchdogTimestampMonotonic)
pinged() { [ "$(show WatchdogTimestampMonotonic)" -gt "$before" ]; }
await 5 "the watchdog is not pinged" pinged
ok "health, metrics, watchdog" "$(show StatusText)"

kill -KILL "$first"
await_restart "$first"
ok "kill -9" "$(show NRestarts) restart, active again"

enqueue scene-00.jpg 400 drain
await_captions 30 "it does not work after the restart" $((images + 5))
systemctl stop glossd
[ "$(cat /run/glossd-end)" = "success exited 0" ] || fail "stop: $(cat /run/glossd-end)"
[ "$(sql 'select count(*) from gloss.leased')" = 0 ] || fail "jobs are still leased after a stop"
done=$(captions)
[ "$done" -lt $((images + 400)) ] || fail "stopped too late"
ok "stop in the middle of 400" "exit 0, $((done - images)) done, none held"

systemctl start glossd
all_done $((images + 400))
ok "start again" "all done, each once, at the first attempt"
systemctl stop glossd

echo "thread: 2" >>/etc/gloss/glossd.yaml
systemctl reset-failed glossd 2>/dev/null || true # where systemd has not forgotten it
! systemctl start glossd 2>/dev/null || fail "a wrong key is accepted"
sleep 1.5
[ "$(show ActiveState) $(show ExecMainStatus) $(show NRestarts)" = "failed 78 0" ] ||
    fail "a wrong key: $(show ActiveState), status $(show ExecMainStatus), $(show NRestarts) restarts"
ok "a wrong key" "exit 78, not started again"
