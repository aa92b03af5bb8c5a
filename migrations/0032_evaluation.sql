-- Evaluations of results against a user's labels, as glossctl computes them: the labels stay with the user, their SHA-256 is kept.

set local role gloss_owner;

create table gloss.evaluation (
    id            bigint generated always as identity primary key,
    at            timestamptz not null default now(),
    by            text not null default session_user,
    metric        text not null,          -- as it was asked for: vqa
    variant       text not null,          -- whose rules: vqa-v2
    labels_sha256 text not null check (labels_sha256 ~ '^[0-9a-f]{64}$'),
    model         text,                   -- null: no result was found, or several models gave them
    model_digest  text,
    gloss_version text not null,
    n             bigint not null check (n >= 0),  -- items that were scored
    selection     jsonb not null,         -- batch, task, model, since, missing: what was given
    not_scored    jsonb not null,         -- counts by reason
    figures       jsonb not null          -- [{name, value, count, low, high}], the headline first
);
comment on table gloss.evaluation is 'What glossctl evaluate found';

create function gloss.keep_evaluation(evaluation jsonb) returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    number bigint;
begin
    insert into evaluation (metric, variant, labels_sha256, model, model_digest, gloss_version, n, selection, not_scored, figures)
    select x.metric, x.variant, x.labels_sha256, x.model, x.model_digest, x.gloss_version, x.n, x.selection, x.not_scored, x.figures
    from jsonb_to_record(keep_evaluation.evaluation) x (
        metric text, variant text, labels_sha256 text, model text, model_digest text, gloss_version text, n bigint,
        selection jsonb, not_scored jsonb, figures jsonb)
    returning id into number;
    return number;
end $$;

insert into gloss.privilege (grantee, privilege, object) values ('gloss_admin', 'execute', 'keep_evaluation');
