-- The queue. A job is in exactly one state at any time, and a state is a table:
--
--   ready ──claim──▶ leased ──record──▶ annotation (done)
--     ▲                 │  └──────────▶ dead
--     └── scheduled ◀───┘ retry, release           held: waiting, but its batch is paused
--
-- A transition is one statement: DELETE … RETURNING from one table, INSERT into another. Nothing is ever updated, so
-- the tables stay narrow and their indexes small. gloss.job is written once, at enqueue.

set local role gloss_owner;

create type gloss.task as enum ('caption', 'vqa', 'detect', 'multiview');

create table gloss.batch (
    id         int generated always as identity primary key,
    name       text not null unique,
    paused     boolean not null default false,
    created_at timestamptz not null default now()
);

-- Jobs that the same workers can run and that are equally urgent. A worker claims from the lanes of its models, so that
-- a backlog for another model is never even looked at. model null: any model will do.
create table gloss.lane (
    id       int generated always as identity primary key,
    task     gloss.task not null,
    model    text,
    priority smallint not null default 0, -- lower is earlier
    turn     bigint not null default 0,   -- being served: claims start here, and so does what comes in (0004, 0006)
    moved_at timestamptz not null default now(),  -- turn was last changed
    swept_at timestamptz not null default now(),  -- jobs before turn were last looked for
    unique nulls not distinct (task, model, priority)
) with (fillfactor = 20);
insert into gloss.lane (task) select unnest(enum_range(null::gloss.task));

create table gloss.job (
    id           bigint generated always as identity primary key,
    created_at   timestamptz not null default now(),
    run_at       timestamptz,             -- as asked for; null: at once
    batch_id     int,                     -- gloss.batch
    lane         int not null,            -- gloss.lane
    priority     smallint not null,       -- its lane's
    max_attempts smallint not null,
    task         gloss.task not null,
    key          text,                    -- the user's own name
    image_urls   text[] not null,
    spec         jsonb not null           -- style, language, texts, settings, score, background
);
comment on table gloss.job is 'What was asked: written once, never changed';
-- A key names one job of its task, for as long as the job or its result is kept.
create unique index job_key on gloss.job (task, key) where key is not null;
create index job_batch on gloss.job (batch_id, id) where batch_id is not null;

-- Due. Claims go by (lane, turn). Turns are given at enqueue: the nth waiting job of each batch has the nth turn after
-- the one that is being served, so that batches are served alternately, whatever their sizes.
-- A negative lane holds the suspects of the lane: jobs with which two daemons died; a worker runs one of them alone.
create table gloss.ready (
    lane     int not null,
    attempts smallint not null,           -- failed so far
    rescues  smallint not null,           -- daemons that died with it
    turn     bigint not null,
    job_id   bigint primary key
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
create index ready_turn on gloss.ready (lane, turn);

-- Due later: asked for with run_at, or to be tried again. A claim moves what has become due to ready.
create table gloss.scheduled (
    job_id   bigint primary key,
    run_at   timestamptz not null,
    attempts smallint not null,
    rescues  smallint not null
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
create index scheduled_run_at on gloss.scheduled (run_at);

-- Waiting, but the batch is paused.
create table gloss.held (
    batch_id int not null,
    job_id   bigint not null,
    run_at   timestamptz,                 -- null: was ready
    attempts smallint not null,
    rescues  smallint not null,
    primary key (batch_id, job_id)
);

-- Held by a worker. Whoever writes must name the fence, which is new for each claim.
create table gloss.leased (
    job_id    bigint primary key,
    fence     bigint not null,
    worker    bigint not null,            -- gloss.incarnation
    attempts  smallint not null,
    rescues   smallint not null,
    leased_at timestamptz not null
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
create index leased_worker on gloss.leased (worker);
create index leased_suspect on gloss.leased (worker) where rescues >= 2;

create sequence gloss.fence;

create table gloss.died (
    job_id   bigint primary key,
    died_at  timestamptz not null default now(),
    code     text not null,               -- a stable word to count by: http_404, poison, cancelled
    reason   text not null,
    attempts smallint not null,
    rescues  smallint not null
);
create index died_at on gloss.died (died_at);

-- Attempts that did not end in a result.
create table gloss.attempt (
    job_id  bigint not null,
    fence   bigint not null,
    at      timestamptz not null default now(),
    attempt smallint not null,            -- from 1
    outcome text not null check (outcome in ('failed', 'released', 'rescued', 'cancelled')),
    code    text,
    reason  text,
    worker  bigint,
    primary key (job_id, fence)
);
create index attempt_at on gloss.attempt (at);

-- Finished views of multiview jobs that are not finished. payload is Swift's ViewResponses.
create table gloss.checkpoint (
    job_id  bigint not null,
    view    smallint not null,
    payload jsonb not null,
    primary key (job_id, view)
);

-- One row a run of a daemon: a restart is another row. heartbeat_at has no index, so that updates are HOT.
create table gloss.incarnation (
    id           bigint generated always as identity primary key,
    host         text not null,
    pid          int not null,
    version      text not null,
    models       text[] not null,         -- names and digests by which jobs may ask for its model
    tasks        gloss.task[] not null,   -- empty: all
    started_at   timestamptz not null default now(),
    heartbeat_at timestamptz not null default now(),
    stopped_at   timestamptz,             -- said goodbye, or was taken for dead
    lost         boolean not null default false,
    stages       jsonb,                   -- what it did since it started: {stage: {seconds, units, rows}}
    phases       jsonb,                   -- the jobs it holds: {fetch: [job], compute: [job], record: [job]}
    holdup       text                     -- why it claims nothing at the moment; null: it claims
) with (fillfactor = 50);
create index incarnation_running on gloss.incarnation (id) where stopped_at is null;

-- A row pauses a task; a row without a task pauses everything.
create table gloss.pause (
    task gloss.task,
    at   timestamptz not null default now(),
    unique nulls not distinct (task)
);

create table gloss.parked_host (
    host      text primary key,
    until     timestamptz not null,
    reason    text not null,
    parked_at timestamptz not null default now()
);

-- Counts, so that nobody scans millions of rows. Each statement that changes them adds rows, so there is no hot row;
-- gloss.fold_tally adds rows up. The state of a count is the sum over all rows.
create table gloss.tally (
    batch_id int not null,                -- 0: none
    lane     int not null,
    minute   timestamptz not null default date_trunc('minute', now()),
    folded   boolean not null default false,
    enqueued bigint not null default 0,
    done     bigint not null default 0,
    dead     bigint not null default 0,
    turn     bigint                       -- the last one given to a job of this batch and lane
);
create index tally_turn on gloss.tally (batch_id, lane, turn) where turn is not null;
