# Proof by the timer's service: as its own user, with the daemon's configuration.

as_postgres psql -Xqc 'create role "gloss-reproduce" login in role gloss_admin' postgres 2>/dev/null || true
printf 'fetch:\n  networks: [127.0.0.0/8, "::1/128"]\n  ports: [8000]\n' | configure
systemctl start glossd
enqueue scene-00.jpg 3 proof "max_tokens => 4"
enqueue scene-01.png 3 proof2 "max_tokens => 4"
await_captions 20 "no captions" 6
systemctl start gloss-reproduce.service || fail "$(journalctl --no-pager -n 5 -u gloss-reproduce)"
[ "$(sql "select count(*), min(outcome), max(outcome) from gloss.reproduction")" = "6|same|same" ] ||
    fail "$(sql 'select job_id, outcome, detail from gloss.reproduction')"
ok "by default" "$(journalctl --no-pager -o cat -u gloss-reproduce | grep 'run again' | tail -1)"

sql "update gloss.annotation set sums[1] = sums[1] - 1 where job_id = (select min(job_id) from gloss.annotation)" >/dev/null
systemctl start gloss-reproduce.service 2>/dev/null && fail "a changed result is taken for the same"
systemctl reset-failed gloss-reproduce.service
[ "$(sql "select count(*) from gloss.reproduction where outcome = 'differs'")" = 1 ] || fail "the changed result is not kept"
ok "a changed result" "$(journalctl --no-pager -o cat -u gloss-reproduce | grep -o 'differs.*' | head -1 | cut -c1-60)…"
systemctl start gloss-reproduce.timer
[ "$(show NextElapseUSecRealtime gloss-reproduce.timer)" != "" ] || fail "the timer has no next time"
systemctl stop gloss-reproduce.timer
ok "the timer" "runs once a day"
