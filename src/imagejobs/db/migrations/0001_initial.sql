-- The whole schema. Our one table in `public` is the contract's (B1); everything else lives in `imagejobs`.
-- Money is bigint micro-dollars; the contract's two numeric columns hold credits, for people and for queries.

CREATE TABLE public.image_generation_jobs (
    id                      uuid PRIMARY KEY,
    idempotency_key         text CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    project_id              text NOT NULL CHECK (length(project_id) BETWEEN 1 AND 200),
    branch_id               text NOT NULL DEFAULT 'main' CHECK (length(branch_id) BETWEEN 1 AND 200),
    scene_id                text CHECK (length(scene_id) BETWEEN 1 AND 200),
    shot_id                 text CHECK (length(shot_id) BETWEEN 1 AND 200),
    asset_id                text CHECK (length(asset_id) BETWEEN 1 AND 200),
    asset_type              text CHECK (length(asset_type) BETWEEN 1 AND 200),
    job_type                text NOT NULL CHECK (job_type IN (
                                'master_asset', 'start_frame', 'end_frame', 'inpaint', 'scene_asset', 'angle_variant',
                                'transformation_post', 'generate', 'edit')),
    status                  text NOT NULL DEFAULT 'queued' CHECK (status IN (
                                'queued', 'processing', 'generating', 'uploading', 'completed', 'failed', 'canceled')),
    failure_stage           text CHECK (failure_stage IN ('processing', 'generating', 'uploading', 'persisting')),
    attempt_count           integer NOT NULL DEFAULT 0 CHECK (attempt_count >= 0),
    retry_count             integer NOT NULL DEFAULT 0 CHECK (retry_count >= 0),
    max_retries             integer NOT NULL DEFAULT 3 CHECK (max_retries >= 0),
    last_attempt_at         timestamptz,
    error_code              text CHECK (error_code IN ('TEMPORARY', 'PERMANENT', 'RATE_LIMIT', 'AUTH_ERROR', 'UNKNOWN')),
    error_reason            text,
    error_message           text,
    error_billed            text CHECK (error_billed IN ('yes', 'no', 'unknown')),
    error_retryable         boolean,
    prompt                  text NOT NULL,
    visual_style_capsule_id text CHECK (length(visual_style_capsule_id) BETWEEN 1 AND 200),
    width                   integer NOT NULL CHECK (width > 0),
    height                  integer NOT NULL CHECK (height > 0),
    storage_path            text,
    public_url              text,
    cost_credits            numeric(12,6),
    estimated_cost          numeric(12,6),
    provider_metadata       jsonb NOT NULL DEFAULT '{}',
    created_at              timestamptz NOT NULL DEFAULT now(),
    processing_started_at   timestamptz,
    generating_started_at   timestamptz,
    uploading_started_at    timestamptz,
    completed_at            timestamptz,
    updated_at              timestamptz NOT NULL DEFAULT now(),
    -- ours
    provider                text,
    model                   text,
    params                  jsonb NOT NULL DEFAULT '{}',
    fingerprint             bytea NOT NULL,
    priority                smallint NOT NULL DEFAULT 0 CHECK (priority BETWEEN -10 AND 10),
    scheduled_at            timestamptz,
    deadline_seconds        double precision NOT NULL CHECK (deadline_seconds > 0),
    deadline_at             timestamptz NOT NULL,
    max_cost_micros         bigint CHECK (max_cost_micros >= 0),
    estimated_micros        bigint CHECK (estimated_micros >= 0),
    cost_micros             bigint CHECK (cost_micros >= 0),
    fence                   bigint NOT NULL DEFAULT 0,
    claimed_by              uuid,
    delivery_no             bigint NOT NULL DEFAULT 1,
    retries_used            integer NOT NULL DEFAULT 0,
    death_count             integer NOT NULL DEFAULT 0,
    event_seq               bigint NOT NULL DEFAULT 0,
    cancel_requested_at     timestamptz,
    batch_id                uuid,
    parent_job_id           uuid,
    created_by              text,
    tags                    text[] NOT NULL DEFAULT '{}',
    starred_at              timestamptz,
    deleted_at              timestamptz,
    CHECK ((status = 'failed') = (error_code IS NOT NULL)),
    CHECK ((status IN ('completed', 'failed', 'canceled')) = (completed_at IS NOT NULL)),
    CHECK (status <> 'completed' OR (public_url IS NOT NULL AND storage_path IS NOT NULL))
);

ALTER TABLE public.image_generation_jobs ENABLE ROW LEVEL SECURITY;

CREATE UNIQUE INDEX image_generation_jobs_key_idx ON public.image_generation_jobs (project_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX image_generation_jobs_project_idx ON public.image_generation_jobs (project_id, created_at DESC, id DESC);
CREATE INDEX image_generation_jobs_branch_idx
    ON public.image_generation_jobs (project_id, branch_id, created_at DESC, id DESC);
CREATE INDEX image_generation_jobs_status_idx ON public.image_generation_jobs (status, created_at DESC, id DESC);
CREATE INDEX image_generation_jobs_created_idx ON public.image_generation_jobs (created_at DESC, id DESC);
CREATE INDEX image_generation_jobs_open_idx ON public.image_generation_jobs (deadline_at)
    WHERE status IN ('queued', 'processing', 'generating', 'uploading');
CREATE INDEX image_generation_jobs_batch_idx ON public.image_generation_jobs (batch_id) WHERE batch_id IS NOT NULL;

CREATE TABLE imagejobs.instance (
    only_row           boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id                 uuid NOT NULL DEFAULT gen_random_uuid(),
    micros_per_credit  bigint NOT NULL DEFAULT 1000000 CHECK (micros_per_credit > 0),
    created_at         timestamptz NOT NULL DEFAULT now()
);
INSERT INTO imagejobs.instance DEFAULT VALUES;

CREATE TABLE imagejobs.attempts (
    id                    uuid PRIMARY KEY,
    job_id                uuid NOT NULL REFERENCES public.image_generation_jobs (id) ON DELETE CASCADE,
    number                integer NOT NULL,
    provider              text NOT NULL,
    model                 text NOT NULL,
    resume_class          text NOT NULL CHECK (resume_class IN ('key', 'lookup', 'none')),
    stage                 text NOT NULL DEFAULT 'dispatching' CHECK (stage IN (
                              'dispatching', 'submitted', 'answered', 'settled')),
    outcome               text CHECK (outcome IN ('succeeded', 'failed', 'unknown', 'canceled', 'released')),
    idempotency_key       text NOT NULL,
    remote_id             text,
    request_fingerprint   bytea,
    reservation_no        integer NOT NULL,
    sends                 integer NOT NULL DEFAULT 1,
    call_deadline_seconds double precision NOT NULL,
    object_nonce          text NOT NULL,
    object_key            text,
    cost_micros           bigint CHECK (cost_micros >= 0),
    cost_estimated        boolean,
    billed                text CHECK (billed IN ('yes', 'no', 'unknown')),
    price_version         text,
    error_reason          text,
    error_message         text,
    worker                text,
    created_at            timestamptz NOT NULL DEFAULT now(),
    dispatched_at         timestamptz NOT NULL DEFAULT now(),
    submitted_at          timestamptz,
    answered_at           timestamptz,
    closed_at             timestamptz,
    UNIQUE (job_id, number),
    CHECK ((outcome IS NULL) = (closed_at IS NULL))
);
CREATE UNIQUE INDEX attempts_one_open_idx ON imagejobs.attempts (job_id) WHERE outcome IS NULL;
CREATE INDEX attempts_remote_idx ON imagejobs.attempts (provider, remote_id) WHERE remote_id IS NOT NULL;

CREATE TABLE imagejobs.staged_bytes (
    attempt_id  uuid PRIMARY KEY REFERENCES imagejobs.attempts (id) ON DELETE CASCADE,
    job_id      uuid NOT NULL,
    data        bytea NOT NULL,
    media_type  text NOT NULL,
    size_bytes  bigint NOT NULL,
    sha256      bytea NOT NULL,
    staged_at   timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE imagejobs.staged_bytes ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX staged_bytes_age_idx ON imagejobs.staged_bytes (staged_at);

CREATE TABLE imagejobs.artifacts (
    attempt_id     uuid PRIMARY KEY REFERENCES imagejobs.attempts (id),
    job_id         uuid NOT NULL REFERENCES public.image_generation_jobs (id) ON DELETE CASCADE,
    object_key     text NOT NULL UNIQUE,
    storage        text NOT NULL,
    sha256         bytea NOT NULL,
    media_type     text NOT NULL,
    size_bytes     bigint NOT NULL,
    width          integer NOT NULL,
    height         integer NOT NULL,
    blurhash       text,
    thumbnail_key  text,
    created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX artifacts_job_idx ON imagejobs.artifacts (job_id);

CREATE TABLE imagejobs.reservations (
    job_id         uuid NOT NULL REFERENCES public.image_generation_jobs (id) ON DELETE CASCADE,
    reservation_no integer NOT NULL,
    project_id     text NOT NULL,
    key_id         text,
    amount_micros  bigint NOT NULL CHECK (amount_micros >= 0),
    state          text NOT NULL DEFAULT 'reserved' CHECK (state IN ('reserved', 'posted', 'released', 'unknown')),
    price_version  text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    closed_at      timestamptz,
    PRIMARY KEY (job_id, reservation_no)
);
CREATE INDEX reservations_open_idx ON imagejobs.reservations (state) WHERE state IN ('reserved', 'unknown');

CREATE TABLE imagejobs.ledger_entries (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id         uuid NOT NULL,
    reservation_no integer NOT NULL,
    attempt_id     uuid,
    project_id     text NOT NULL,
    key_id         text,
    kind           text NOT NULL CHECK (kind IN ('reserve', 'post', 'release', 'unknown', 'overrun', 'resolve')),
    amount_micros  bigint NOT NULL,
    price_version  text NOT NULL,
    note           text,
    created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX ledger_entries_once_idx ON imagejobs.ledger_entries (job_id, reservation_no, kind);
CREATE INDEX ledger_entries_project_idx ON imagejobs.ledger_entries (project_id, created_at);

CREATE TABLE imagejobs.budgets (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope          text NOT NULL CHECK (scope IN ('instance', 'project', 'key')),
    scope_id       text NOT NULL DEFAULT '',
    period         text NOT NULL CHECK (period IN ('day', 'month', 'total')),
    cap_micros     bigint NOT NULL CHECK (cap_micros >= 0),
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (scope, scope_id, period)
);

CREATE TABLE imagejobs.budget_periods (
    budget_id       bigint NOT NULL REFERENCES imagejobs.budgets (id) ON DELETE CASCADE,
    starts_at       timestamptz NOT NULL,
    reserved_micros bigint NOT NULL DEFAULT 0 CHECK (reserved_micros >= 0),
    posted_micros   bigint NOT NULL DEFAULT 0,
    unknown_micros  bigint NOT NULL DEFAULT 0 CHECK (unknown_micros >= 0),
    alerted_percent integer NOT NULL DEFAULT 0,
    PRIMARY KEY (budget_id, starts_at)
);

CREATE TABLE imagejobs.events (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id      uuid NOT NULL,
    project_id  text NOT NULL,
    seq         bigint NOT NULL,
    kind        text NOT NULL,
    data        jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    UNIQUE (job_id, seq)
);
CREATE INDEX events_project_idx ON imagejobs.events (project_id, id);

CREATE TABLE imagejobs.projects (
    id                 text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 200),
    name               text,
    on_unknown_outcome text NOT NULL DEFAULT 'fail' CHECK (on_unknown_outcome IN ('fail', 'retry_once')),
    created_by         text,
    created_at         timestamptz NOT NULL DEFAULT now(),
    archived_at        timestamptz
);

CREATE TABLE imagejobs.members (
    project_id  text NOT NULL REFERENCES imagejobs.projects (id) ON DELETE CASCADE,
    user_id     text NOT NULL,
    role        text NOT NULL CHECK (role IN ('viewer', 'editor', 'admin')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, user_id)
);
CREATE INDEX members_user_idx ON imagejobs.members (user_id);

CREATE TABLE imagejobs.api_keys (
    id               text PRIMARY KEY,
    secret_sha256    bytea NOT NULL,
    name             text NOT NULL,
    scopes           text[] NOT NULL,
    is_bound         boolean NOT NULL DEFAULT false,
    daily_cap_micros bigint CHECK (daily_cap_micros >= 0),
    created_at       timestamptz NOT NULL DEFAULT now(),
    last_used_at     timestamptz,
    expires_at       timestamptz,
    revoked_at       timestamptz
);

CREATE TABLE imagejobs.api_key_projects (
    key_id      text NOT NULL REFERENCES imagejobs.api_keys (id) ON DELETE CASCADE,
    project_id  text NOT NULL REFERENCES imagejobs.projects (id) ON DELETE CASCADE,
    PRIMARY KEY (key_id, project_id)
);

CREATE TABLE imagejobs.style_capsules (
    project_id  text NOT NULL REFERENCES imagejobs.projects (id) ON DELETE CASCADE,
    id          text NOT NULL CHECK (length(id) BETWEEN 1 AND 200),
    name        text NOT NULL,
    descriptors jsonb NOT NULL DEFAULT '[]',
    pillars     jsonb NOT NULL DEFAULT '[]',
    inputs      uuid[] NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, id)
);

CREATE TABLE imagejobs.inputs (
    id          uuid PRIMARY KEY,
    project_id  text NOT NULL,
    sha256      bytea NOT NULL,
    media_type  text NOT NULL,
    size_bytes  bigint NOT NULL,
    width       integer NOT NULL,
    height      integer NOT NULL,
    data        bytea,
    object_key  text,
    created_by  text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    CHECK ((data IS NULL) <> (object_key IS NULL))
);
ALTER TABLE imagejobs.inputs ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX inputs_project_idx ON imagejobs.inputs (project_id, created_at DESC);
CREATE INDEX inputs_expiry_idx ON imagejobs.inputs (expires_at);

CREATE TABLE imagejobs.webhook_endpoints (
    id           uuid PRIMARY KEY,
    project_id   text NOT NULL,
    url          text NOT NULL,
    secret       bytea NOT NULL,
    event_kinds  text[] NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT now(),
    disabled_at  timestamptz,
    disabled_reason text
);
CREATE INDEX webhook_endpoints_project_idx ON imagejobs.webhook_endpoints (project_id);

CREATE TABLE imagejobs.webhook_deliveries (
    id            uuid PRIMARY KEY,
    endpoint_id   uuid NOT NULL REFERENCES imagejobs.webhook_endpoints (id) ON DELETE CASCADE,
    event_id      bigint NOT NULL REFERENCES imagejobs.events (id),
    tries         integer NOT NULL DEFAULT 0,
    due_at        timestamptz NOT NULL DEFAULT now(),
    delivered_at  timestamptz,
    given_up_at   timestamptz,
    last_status   integer,
    last_error    text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (endpoint_id, event_id)
);
CREATE INDEX webhook_deliveries_due_idx ON imagejobs.webhook_deliveries (due_at)
    WHERE delivered_at IS NULL AND given_up_at IS NULL;

CREATE TABLE imagejobs.provider_state (
    provider         text NOT NULL,
    key_fingerprint  text NOT NULL DEFAULT '',
    circuit_reason   text,
    circuit_opened_at timestamptz,
    probe_at         timestamptz,
    throttled_until  timestamptz,
    paused_at        timestamptz,
    facts            jsonb NOT NULL DEFAULT '{}',
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, key_fingerprint)
);

CREATE TABLE imagejobs.workers (
    id          uuid PRIMARY KEY,
    version     text NOT NULL,
    host        text NOT NULL,
    boot_id     text NOT NULL,
    pid         integer NOT NULL,
    pid_started text NOT NULL,
    lanes       text[] NOT NULL,
    concurrency integer NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT now(),
    seen_at     timestamptz NOT NULL DEFAULT now()
);
