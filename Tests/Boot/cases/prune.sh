# Retention by the timer's service: as its own user, only what it was told to delete.

as_postgres psql -Xqc 'create role "gloss-prune" login in role gloss_admin' postgres 2>/dev/null || true
systemctl start glossd
enqueue scene-00.jpg 5 old "max_tokens => 2"
await_captions 20 "no captions" 5
systemctl start gloss-prune.service || fail "$(journalctl --no-pager -n 5 -u gloss-prune)"
[ "$(captions)" = 5 ] || fail "results went without being asked for"
ok "by default" "history older than 30 days goes, 5 results stay"

printf 'PRUNE_OPTIONS=--keep-results 0d\n' >/etc/gloss/prune.env
systemctl start gloss-prune.service || fail "$(journalctl --no-pager -n 5 -u gloss-prune)"
[ "$(captions)" = 0 ] || fail "the results are still there"
ok "PRUNE_OPTIONS=--keep-results 0d" "$(journalctl --no-pager -o cat -u gloss-prune | grep Deleted | tail -1)"

printf 'PRUNE_OPTIONS=--keep-results 90\n' >/etc/gloss/prune.env
systemctl start gloss-prune.service && fail "a time without a unit was taken"
systemctl reset-failed gloss-prune.service
systemctl start gloss-prune.timer
[ "$(systemctl show -P NextElapseUSecRealtime gloss-prune.timer)" != "" ] || fail "the timer has no next time"
systemctl stop gloss-prune.timer
ok "a time without a unit" "is refused"
