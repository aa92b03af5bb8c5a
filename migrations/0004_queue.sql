-- The queue. A job is in exactly one state at any time, and a state is a table:
--
--   ready ──claim──▶ leased ──record──▶ annotation (done)
--     ▲                 │  └──────────▶ dead_job
--     └── scheduled ◀───┘ retry, release           paused_job: waiting, but its batch is paused
--
-- A transition deletes a row from one table and inserts one into another, in one transaction (0007). The tables stay
-- narrow and their indexes small. gloss.job is written once, at enqueue.

set local role gloss_owner;

create table gloss.batch (
    id         int generated always as identity primary key,
    name       text not null unique,
    paused     boolean not null default false,
    created_at timestamptz not null default now(),
    idle_since timestamptz,               -- it has had no jobs since; gloss.remove_idle (0018)
    idle_xid   xid8
);

-- A task and the model that is asked for. A key names one job of its kind.
create table gloss.kind (
    id         int generated always as identity primary key,
    task       text not null references gloss.task,
    model      text not null default '',  -- '': any
    idle_since timestamptz,
    idle_xid   xid8,
    unique (task, model)
);

-- Jobs that the same workers can run and that are equally urgent. A worker claims from the lanes of its tasks and
-- models, so that a backlog for another model is never even looked at.
create table gloss.lane (
    id         int generated always as identity primary key,
    kind       int not null,              -- gloss.kind
    priority   smallint not null,         -- lower is earlier
    turn       bigint not null default 0, -- being served: claims start here, and so does what comes in
    moved_at   timestamptz not null default now(),  -- turn was last changed
    idle_since timestamptz,
    idle_xid   xid8,
    unique (kind, priority)
) with (fillfactor = 20);

create table gloss.job (
    id           bigint generated always as identity primary key,
    created_at   timestamptz not null default now(),
    run_at       timestamptz,             -- as asked for; null: at once
    batch_id     int,                     -- gloss.batch
    kind         int not null,            -- gloss.kind
    -- Its work at most, for claims by cost.
    prefills     int not null,            -- views × questions
    tokens       int not null,            -- prefills × samples × max_tokens
    bytes        int not null,            -- of image_urls
    images       smallint not null,
    priority     smallint not null,
    max_attempts smallint not null,
    key          text,                    -- the user's own name
    image_urls   text[] not null,
    spec         jsonb not null           -- style, language, texts, settings, score, background
);
comment on table gloss.job is 'What was asked: written once. Of a pruned job a digest is left, and no images';
-- A key names one job of its task and model, until gloss.forget frees it.
create unique index job_key on gloss.job (key, kind) where key is not null;
create index job_batch on gloss.job (batch_id, id) where batch_id is not null;
create index job_pruned on gloss.job (created_at) where image_urls = '{}';

-- Due. Claims go by (lane, turn). Turns are given at enqueue: the nth waiting job of each batch has the nth turn after
-- the one that is being served, so that batches are served alternately, whatever their sizes.
-- A negative lane holds the suspects of the lane: jobs with which two daemons died; a worker runs one of them alone.
create table gloss.ready (
    lane     int not null,
    attempts smallint not null,           -- failed so far
    rescues  smallint not null,           -- daemons that died while they worked on it
    turn     bigint not null,
    job_id   bigint primary key
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
create index ready_turn on gloss.ready (lane, turn);

-- Due later: asked for with run_at, or to be tried again. A claim moves what has become due to ready.
create table gloss.scheduled (
    job_id   bigint primary key,
    run_at   timestamptz not null,        -- infinity: until somebody resumes its host
    attempts smallint not null,
    rescues  smallint not null,
    origin   text                         -- gloss.parked_origin, for which it waits
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
create index scheduled_run_at on gloss.scheduled (run_at);
create index scheduled_origin on gloss.scheduled (origin) where origin is not null;

-- Waiting, but the batch is paused.
create table gloss.paused_job (
    job_id   bigint primary key,
    batch_id int not null,
    run_at   timestamptz,                 -- null: was ready
    attempts smallint not null,
    rescues  smallint not null
);
create index paused_job_batch on gloss.paused_job (batch_id, job_id);

-- Held by a worker. Whoever writes must name worker and fence; the fence is new for each claim.
create table gloss.leased (
    job_id    bigint primary key,
    fence     bigint not null,
    worker    bigint not null,            -- gloss.registered_worker
    leased_at timestamptz not null,
    begun_at  timestamptz,                -- the engine began to work on it
    lane      int not null,
    attempts  smallint not null,
    rescues   smallint not null
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
create index leased_worker on gloss.leased (worker);
create index leased_suspect on gloss.leased (worker) where rescues >= 2;

create sequence gloss.fence;

create table gloss.dead_job (
    job_id   bigint primary key,
    died_at  timestamptz not null default now(),
    code     text not null,               -- gloss.failure_code
    reason   text not null,
    attempts smallint not null,
    rescues  smallint not null
);
create index dead_job_died_at on gloss.dead_job (died_at);

-- Attempts that did not end in a result. Releases of a job for one cause are one row with a count.
create table gloss.attempt (
    job_id   bigint not null,
    fence    bigint not null,             -- of the last one
    at       timestamptz not null default now(),
    first_at timestamptz not null default now(),
    since    timestamptz,                 -- of releases: without an attempt of its own between; gloss.setting give_up_after
    count    int not null default 1,
    attempt  smallint not null,           -- from 1
    outcome  text not null check (outcome in ('failed', 'released', 'rescued', 'cancelled')),
    cause    text,                        -- of a release: shutdown, host, outage, surplus, lost
    code     text,
    reason   text,
    worker   bigint,
    primary key (job_id, fence)
);
create index attempt_at on gloss.attempt (at);

-- Finished views of jobs that are not finished. payload is Swift's ViewResponses.
create table gloss.checkpoint (
    job_id  bigint not null,
    stage   smallint not null,
    view    smallint not null,
    payload jsonb not null,
    primary key (job_id, stage, view)
);

-- One row a run of a daemon: a restart is another row. What changes with a heartbeat has no index, so that updates are
-- HOT.
create table gloss.registered_worker (
    id            bigint generated always as identity primary key,
    identity      uuid not null,          -- random: a restored database may give out the same id again
    host          text not null,
    pid           int not null,
    version       text not null,
    models        text[] not null,        -- names and digests by which jobs may ask for its model
    tasks         text[] not null check (tasks <> '{}'),  -- those that it knows
    rescue_after  interval not null,      -- silent for longer, it is taken for dead
    started_at    timestamptz not null default now(),
    heartbeat_at  timestamptz not null default now(),
    previous_at   timestamptz not null default now(),  -- the heartbeat before
    beats         bigint not null default 0,
    -- Of one that seems silent: when that was seen first, and its beats then.
    suspected_at    timestamptz,
    suspected_beats bigint,
    stopped_at    timestamptz,            -- said goodbye, or was taken for dead
    lost          boolean not null default false,
    is_cleared    boolean not null default false,  -- stopped, and none of its leases is left
    stages        jsonb,                  -- what it did since it started: {stage: {seconds, units, rows}}
    phases        jsonb,                  -- the jobs it holds: {fetch: [job], compute: [job], record: [job]}
    holdup        text                    -- why it claims nothing at the moment; null: it claims
) with (fillfactor = 50);
create index registered_worker_running on gloss.registered_worker (id) where not is_cleared;

-- What a person has paused: a task, or '' for everything. (A batch has a column, an origin a row in parked_origin.)
create table gloss.paused_task (
    task text primary key,
    at   timestamptz not null default now(),
    by   text not null default session_user
);

-- Origins whose images are not fetched for now: scheme://host[:port], or a bare host that stands for all its origins.
create table gloss.parked_origin (
    origin    text primary key,
    until     timestamptz not null,       -- infinity: a person has paused it
    reason    text not null,
    since     timestamptz not null default now(),  -- it has failed, with no success between
    parked_at timestamptz not null default now()
);

-- Counts, so that nobody scans millions of rows. Each statement that changes them adds rows here, so there is no hot
-- row; gloss.fold_counts adds them up in the tables below and deletes them.
create table gloss.tally (
    batch_id int not null,                -- 0: none
    lane     int not null,
    turn     bigint not null default 0,   -- the last one given to a job of this batch and lane
    id       bigint generated always as identity,
    minute   timestamptz not null default date_trunc('minute', now()),
    enqueued int not null default 0,
    done     int not null default 0,
    dead     int not null default 0,
    jobs     int not null default 0,      -- rows of gloss.job
    primary key (batch_id, lane, turn, id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

create table gloss.total (
    batch_id int not null,
    kind     int not null,
    enqueued bigint not null,             -- ever, and not forgotten
    done     bigint not null,
    dead     bigint not null,
    jobs     bigint not null,
    primary key (batch_id, kind)
) with (fillfactor = 70);

-- The last turn of a batch in a lane, while it is ahead of the lane.
create table gloss.batch_turn (
    batch_id int not null,
    lane     int not null,
    turn     bigint not null,
    primary key (batch_id, lane)
) with (fillfactor = 70);

-- Jobs that ended, by minute, for the last quarter of an hour.
create table gloss.rate (
    batch_id int not null,
    minute   timestamptz not null,
    ended    bigint not null,
    primary key (batch_id, minute)
);

-- When a chore was done last (gloss.maintain).
create table gloss.chore (
    name    text primary key,
    done_at timestamptz not null default '-infinity',
    place   bigint not null default 0     -- where the next step begins
);
