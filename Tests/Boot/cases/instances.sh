# Two daemons on one machine and one queue.

last=$(($(nproc) - 1))
for side in left right; do
    port=$([ $side = left ] && echo 9481 || echo 9482)
    configure "glossd@$side" <<YAML
threads: 1
cpus: $([ $side = left ] && echo 0 || echo $last)
max_jobs: 16
health: { port: $port }
YAML
    echo "GLOSS_MODEL_NAME=$side" >"/etc/gloss/glossd@$side.env"
done
enqueue scene-00.jpg 300 both
systemctl start glossd@left glossd@right
all_done 300
shares=$(sql "select string_agg(model || ' ' || n, ', ' order by model) from (select model, count(*) n from gloss.result group by 1) s")
[[ "$shares" == "left "*", right "* ]] || fail "not both have worked: $shares"
ok "two at work on 300 jobs" "$shares; each done once"

for port in 9481 9482; do curl -sf http://127.0.0.1:$port/healthz >/dev/null || fail "/healthz on $port"; done
allowed() { sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "$(dirname "$(grep -l gloss-inference /proc/"$(pid "$1")"/task/*/comm)")/status"; }
[ "$(allowed glossd@left)" = 0 ] && [ "$(allowed glossd@right)" = $last ] || fail "they compute elsewhere"
ok "health and processors of each" "left computes on 0, right on $last"

enqueue scene-00.jpg 300 more "max_tokens => 60"
await_captions 20 "no more captions" 310
first=$(pid glossd@left)
systemctl kill --signal=KILL --kill-who=main glossd@left
systemctl stop glossd@right
[ "$(cat /run/glossd@right-end)" = "success exited 0" ] || fail "stop: $(cat /run/glossd@right-end)"
restarted() { [ "$(pid glossd@left)" -ne 0 ] && [ "$(pid glossd@left)" -ne "$first" ] && active glossd@left; }
await 20 "left is not started again" restarted
all_done 600
ok "one killed, one stopped" "all done by $(systemctl list-units --plain --no-legend 'glossd@*' | awk '$3 == "active" { print $1 }')"
