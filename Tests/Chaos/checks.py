"""The invariants, in SQL. A batch whose jobs have all ended is checked whole, counted, and then forgotten."""

import collections

SCHEMA = """
create schema chaos;
create table chaos.expected (template text primary key, outcome text not null, attempts int not null, digest text);

-- What a job came to: everything that must not depend on when, where and how often it was tried.
create view chaos.outcome as
select j.id, b.name as batch, j.key, split_part(j.key, '/', 2) as template,
       case when a.job_id is not null then 'done' when d.job_id is not null then 'dead: ' || d.code end as outcome,
       coalesce(a.attempts, d.attempts) as attempts, coalesce(a.rescues, d.rescues) as rescues,
       md5(replace((to_jsonb(a) - array['job_id', 'fence', 'worker', 'engine', 'attempts', 'rescues', 'finished_at',
                                        'timings'])::text, replace(j.key, '/', '_'), '') || e.digest) as digest
from gloss.job j join gloss.batch b on b.id = j.batch_id
left join gloss.annotation a on a.job_id = j.id
left join gloss.engine e on e.id = a.engine
left join gloss.died d on d.job_id = j.id;

-- Always empty.
create view chaos.wrong as
select 'not in exactly one state: job ' || job_id || ' is in ' || place::text as what from gloss.misplaced_job
union all
select 'a ' || place || ' without a job: ' || job_id from (
    select 'result', job_id from gloss.annotation union all select 'death', job_id from gloss.died
    union all select 'lease', job_id from gloss.leased union all select 'due', job_id from gloss.ready
    union all select 'schedule', job_id from gloss.scheduled) x (place, job_id)
where not exists (select from gloss.job j where j.id = x.job_id)
union all
select 'a checkpoint of an ended job: ' || c.job_id from gloss.checkpoint c
where exists (select from gloss.annotation a where a.job_id = c.job_id)
   or exists (select from gloss.died d where d.job_id = c.job_id)
union all
select 'a lease of a worker that nobody knows: ' || l.job_id from gloss.leased l
where not exists (select from gloss.incarnation i where i.id = l.worker)
union all
select 'one fence for two leases: ' || fence from (
    select fence from gloss.leased union all select fence from gloss.annotation
    union all select fence from gloss.attempt) f group by fence having count(*) > 1
union all
select format('job %s failed %s times and counts %s attempts', l.job_id, n, l.attempts) from (
    select job_id, attempts from gloss.annotation union all select job_id, attempts from gloss.ready
    union all select job_id, attempts from gloss.scheduled union all select job_id, attempts from gloss.leased
    union all select job_id, attempts from gloss.died) l
cross join lateral (select count(*) as n from gloss.attempt t where t.job_id = l.job_id and t.outcome = 'failed') t
where n <> l.attempts;
"""

# Whole batches only: all their jobs have ended. done and dead, wrong outcomes, and rescues to be explained.
WRONG_OUTCOME = """
select format('%s: %s after %s failed attempts, %s; expected %s after %s, %s; %s', o.key, o.outcome, o.attempts,
              o.digest, e.outcome, e.attempts, e.digest,
              (select string_agg(format('%s %s by %s at %s: %s %s', fence, outcome, worker, at, code, reason), ', ')
               from gloss.attempt t where t.job_id = o.id))
from chaos.outcome o join chaos.expected e using (template)
where o.batch = '{batch}' and o.outcome not in ('dead: poison')
  and not (o.outcome = e.outcome and o.digest is not distinct from e.digest
           and case when template = 'web-dies' then true when o.outcome = 'done' then o.attempts <= e.attempts
                    else o.attempts = e.attempts end)
union all
select format('%s: %s after %s attempts', key, outcome, attempts)
from chaos.outcome where batch = '{batch}' and template in ('web-drip_dead', 'web-mute')
  and outcome not in ('dead: timeout', 'dead: too_slow', 'dead: cancelled', 'dead: poison')
union all
select format('%s: %s after %s rescues', key, outcome, rescues)
from chaos.outcome where batch = '{batch}' and template = 'poison' and (outcome <> 'dead: poison' or rescues <> 3)
"""

RESCUES = """
select o.key, o.template, coalesce(o.outcome, ''), i.pid, extract(epoch from t.at), i.id
from gloss.attempt t join chaos.outcome o on o.id = t.job_id left join gloss.incarnation i on i.id = t.worker
where o.batch = '{batch}' and t.outcome = 'rescued' order by o.key, t.fence
"""

LEFT = """
select b.name, count(*) filter (where o.outcome is null), count(*) from gloss.batch b
join chaos.outcome o on o.batch = b.name group by 1 order by 1
"""


class Checker:
    """Looks at everything now and then, and at each batch when it has ended."""

    def __init__(self, world):
        self.world, self.totals, self.is_over = world, collections.Counter(), False

    def glance(self):
        for (what,) in self.world.ask("select what from chaos.wrong limit 20"):
            self.world.violation(what)

    def sweep(self):
        """Checks and forgets the batches that have ended; how many jobs have not."""
        open_count = 0
        for batch, left, count in self.world.ask(LEFT):
            open_count += int(left)
            if left == "0":
                self.judge(batch)
                if self.retry_quarantined(batch):
                    open_count += 1
                else:
                    self.forget(batch, int(count))
        return open_count

    def judge(self, batch):
        for (what,) in self.world.ask(WRONG_OUTCOME.format(batch=batch)):
            self.world.violation(what)

    def retry_quarantined(self, batch):
        """An innocent job may be quarantined after three deaths of its daemons, of which the last must not have been a
        poisonous job's doing. Somebody who runs the queue then retries it, and so do we."""
        quarantined = {}
        for key, template, outcome, pid, at, worker in self.world.ask(RESCUES.format(batch=batch)):
            harms = self.world.harms(int(pid), float(at)) if pid else []
            if not harms:
                self.world.violation(f"{key} was taken from worker {worker}, pid {pid}, to which nothing was done")
            if template != "poison" and outcome == "dead: poison":
                quarantined.setdefault(key, []).append(harms[-1].kind if harms else "nothing")
        for key, kinds in quarantined.items():
            self.totals["quarantined though innocent"] += 1
            if kinds[-1] == "poison":
                self.world.violation(f"{key} was quarantined for what another job did: {kinds}")
            self.world.ask(f"delete from gloss.attempt t using gloss.job j where j.id = t.job_id and j.key = '{key}'")
            self.world.ask(f"select gloss.retry(key => '{key}')")
        return bool(quarantined)

    def forget(self, batch, count):
        outcomes = self.world.ask(f"select outcome, count(*), sum(rescues), sum(attempts) from chaos.outcome "
                                  f"where batch = '{batch}' group by 1")
        (forgotten,), = self.world.ask(f"select gloss.forget(batch => '{batch}')")
        if int(forgotten) != count:
            self.world.violation(f"batch {batch} had {count} jobs, of which {forgotten} were forgotten")
        self.world.ask(f"delete from gloss.batch where name = '{batch}'")
        self.totals["jobs"] += count
        for outcome, number, rescues, attempts in outcomes:
            self.totals[outcome] += int(number)
            self.totals["rescues"] += int(rescues)
            self.totals["failed attempts"] += int(attempts)

    def counts(self):
        """The sums that nobody scans for against a scan."""
        (kept, real), = self.world.ask("""
            select (select row(sum(enqueued), sum(done), sum(dead))::text from gloss.tally),
                   (select row(count(*), count(*) filter (where outcome = 'done'),
                               count(*) filter (where outcome like 'dead%'))::text from chaos.outcome)""")
        if kept != real and not (real == "(0,0,0)" and kept in ("(,,)", "(0,0,0)")):
            self.world.violation(f"gloss.tally says {kept}, the tables {real}")
