-- Points in time are UTC microseconds; ids are made by the program; one text for SQLite and PostgreSQL.

-- What made the tables, or brought them up to date.
CREATE TABLE migration (
    version BIGINT PRIMARY KEY,
    fingerprint TEXT NOT NULL
);

-- How often something was committed that concerns another monitor than the one that did.
CREATE TABLE outside (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    changes BIGINT NOT NULL
);

-- The monitors that work: which configuration each has, and the latest time on its clock, which it
-- writes again every few seconds. While one is `alone` no other works.
CREATE TABLE replica (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    alone BIGINT NOT NULL
);

-- The configurations that replicas have had: a new one has a higher number.
CREATE TABLE generation (
    fingerprint TEXT PRIMARY KEY,
    number BIGINT NOT NULL
);

-- It is held by a replica, and free if that is gone. Who gave it back leaves the time on its clock,
-- and how many requests it made in the last minute. Its messages have positions up to `position`.
-- '*' stands for all of them; who holds it holds what is detached, too.
CREATE TABLE workspace (
    name TEXT PRIMARY KEY,
    holder TEXT,
    held_since BIGINT,
    released_at BIGINT,
    requests BIGINT,
    term BIGINT NOT NULL,
    version BIGINT NOT NULL,
    position BIGINT NOT NULL,
    baseline_at BIGINT,
    last_good_at BIGINT,
    fresh_until BIGINT,
    failing_cause TEXT,
    failing_detail TEXT,
    failing_since BIGINT,
    failing_cause_since BIGINT,
    fingerprint_salt TEXT,
    fingerprint_token TEXT,
    fingerprint_ignored TEXT NOT NULL DEFAULT '',
    fingerprint_rules TEXT,
    refused_key TEXT,
    refused_listed BIGINT,
    refused_polls BIGINT,
    detached_at BIGINT
);

CREATE INDEX workspace_holder ON workspace (holder, term) WHERE detached_at IS NULL;

-- A person said that a refused list is right: it is believed once, if it comes in time.
CREATE TABLE acceptance (
    workspace TEXT PRIMARY KEY REFERENCES workspace (name) ON UPDATE CASCADE ON DELETE CASCADE,
    list_key TEXT NOT NULL,
    at BIGINT NOT NULL,
    way TEXT NOT NULL,
    actor TEXT NOT NULL
);

CREATE TABLE account (
    workspace TEXT NOT NULL REFERENCES workspace (name) ON UPDATE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    country TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'reconnection_required', 'frozen', 'unknown')),
    raw_status TEXT NOT NULL,
    since BIGINT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    bad_polls BIGINT NOT NULL,
    good_polls BIGINT NOT NULL,
    missing_polls BIGINT NOT NULL,
    missing_since BIGINT,
    changes TEXT NOT NULL,
    removed_at BIGINT,
    matched_name TEXT,
    matched_url TEXT,
    rules_told_at BIGINT,
    replaced_by TEXT,
    PRIMARY KEY (workspace, id)
);

-- The only place that holds a link; its row goes when the incident ends.
CREATE TABLE session (
    workspace TEXT NOT NULL,
    account_id TEXT NOT NULL,
    id TEXT,
    link TEXT,
    unconfirmed_since BIGINT,
    link_since BIGINT,
    PRIMARY KEY (workspace, account_id),
    FOREIGN KEY (workspace, account_id) REFERENCES account (workspace, id) ON UPDATE CASCADE ON DELETE CASCADE
);

-- Reconnection sessions that we ask for or about: the intent is committed before the call. It may
-- follow from an act: a person wants one.
CREATE TABLE session_intent (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    account_id TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    act_id TEXT,
    at BIGINT NOT NULL,
    outcome TEXT NOT NULL
        CHECK (outcome IN ('wanted', 'calling', 'created', 'kept', 'needless', 'refused', 'later', 'limited', 'unknown'))
);

CREATE INDEX session_intent_account ON session_intent (workspace, account_id, at);
CREATE INDEX session_intent_unfinished ON session_intent (outcome) WHERE outcome IN ('wanted', 'calling');

CREATE TABLE transition (
    workspace TEXT NOT NULL,
    account_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    before TEXT,
    after TEXT,
    PRIMARY KEY (workspace, account_id, at)
);

CREATE TABLE incident (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('account', 'workspace')),
    subject TEXT NOT NULL,
    cause TEXT NOT NULL,
    cause_since BIGINT NOT NULL,
    earlier TEXT NOT NULL,
    status TEXT,
    raw_status TEXT,
    detail TEXT NOT NULL,
    times BIGINT,
    times_within BIGINT,
    opened_at BIGINT NOT NULL,
    told_at BIGINT,
    acknowledged_by TEXT,
    acknowledged_way TEXT,
    acknowledged_login TEXT,
    acknowledged_at BIGINT,
    acknowledged_until BIGINT,
    acknowledged_reason TEXT,
    resolved_at BIGINT,
    resolution TEXT,
    reminders BIGINT NOT NULL,
    remind_at BIGINT,
    refresh TEXT CHECK (refresh IN ('due', 'told')),
    refresh_at BIGINT,
    escalated BIGINT,
    muted_until BIGINT,
    next_due_at BIGINT
);

-- At most one open incident about one thing: an account, reading the workspace, its subscription, or
-- (of '*') Linked API.
CREATE UNIQUE INDEX incident_open ON incident (workspace, scope, subject) WHERE resolved_at IS NULL;

-- What is listed: the newest of those that are open, then of the others.
CREATE INDEX incident_listed ON incident (opened_at DESC, id) WHERE resolved_at IS NULL;
CREATE INDEX incident_ended ON incident (opened_at DESC, id) WHERE resolved_at IS NOT NULL;

-- When the latest outage of Linked API was over.
CREATE INDEX incident_of_all ON incident (resolved_at) WHERE workspace = '*';

-- How often something happened lately.
CREATE INDEX incident_subject ON incident (workspace, subject, opened_at);

-- The tick: what is due.
CREATE INDEX incident_due ON incident (next_due_at, id) WHERE next_due_at IS NOT NULL;

CREATE TABLE event (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    at BIGINT NOT NULL,
    workspace TEXT NOT NULL,
    account_id TEXT,
    incident_id TEXT REFERENCES incident (id) ON DELETE CASCADE,
    reason TEXT NOT NULL,
    cause TEXT,
    detail TEXT NOT NULL,
    untold TEXT NOT NULL,
    act_id TEXT,
    times BIGINT
);

CREATE INDEX event_incident ON event (incident_id);
CREATE INDEX event_act ON event (act_id) WHERE act_id IS NOT NULL;

-- What people did: `actor` is who, in their way; `login` is the system's user and host that it came
-- from, whoever they said they were. It is of one incident, or of several of a workspace, or of none.
CREATE TABLE act (
    id TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    act TEXT NOT NULL,
    way TEXT NOT NULL,
    actor TEXT NOT NULL,
    login TEXT,
    workspace TEXT,
    subject TEXT,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL
);

CREATE INDEX act_at ON act (at);

-- What is muted by command, until somebody ends it: `rule` is what the configuration would say, as
-- JSON. One that is once is over at `until_at`.
CREATE TABLE mute (
    id TEXT PRIMARY KEY,
    act_id TEXT NOT NULL,
    rule TEXT NOT NULL,
    until_at BIGINT,
    made_at BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    ended_at BIGINT,
    ended_by TEXT
);

CREATE INDEX mute_live ON mute (until_at) WHERE ended_at IS NULL;

-- One message belongs to one workspace and one recipient; `holder` is that of its workspace, as long
-- as it is not settled. What a pending one waits for: its time
-- ('time': next_attempt_at), a look at its workspace ('look'), an earlier message ('turn'); NULL is
-- nothing: it can leave. `unanswered` counts attempts that may have arrived. `done` is NULL until one
-- of several addresses took it: then it is for the others alone, and holds up nothing; JSON of those
-- that took it or refused it for good.
CREATE TABLE message (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    holder TEXT,
    receiver TEXT NOT NULL,
    address TEXT NOT NULL,
    undelivered_to TEXT,
    undelivered_why TEXT,
    undelivered_since BIGINT,
    state TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'delivered', 'dead', 'cancelled')),
    waits TEXT CHECK (waits IN ('time', 'look', 'turn')),
    position BIGINT NOT NULL,
    part BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    unanswered BIGINT NOT NULL,
    done TEXT,
    next_attempt_at BIGINT NOT NULL,
    claimed_by TEXT,
    claimed_until BIGINT,
    created_at BIGINT NOT NULL,
    settled_at BIGINT
);

-- The queue: what a replica can send to one receiver, oldest first; then what waits, by what ends
-- the wait.
CREATE INDEX message_ready ON message (holder, receiver, position, part)
    WHERE state = 'pending' AND waits IS NULL;
CREATE INDEX message_time ON message (holder, receiver, next_attempt_at) WHERE waits = 'time';
CREATE INDEX message_look ON message (workspace) WHERE waits = 'look';
CREATE INDEX message_sending ON message (holder, receiver, claimed_until) WHERE state = 'sending';
CREATE INDEX message_live ON message (holder, receiver, created_at, id) WHERE settled_at IS NULL;
CREATE UNIQUE INDEX message_place ON message (workspace, position, part) WHERE settled_at IS NULL;
CREATE INDEX message_workspace ON message (workspace) WHERE settled_at IS NULL;
CREATE INDEX message_copies ON message (receiver, workspace, undelivered_to)
    WHERE settled_at IS NULL AND undelivered_to IS NOT NULL;
CREATE INDEX message_settled ON message (settled_at) WHERE settled_at IS NOT NULL;

CREATE TABLE attempt (
    message_id TEXT NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    took BIGINT,
    reason TEXT NOT NULL,
    answer TEXT,
    title TEXT NOT NULL,
    PRIMARY KEY (message_id, number)
);

CREATE TABLE notification (
    id TEXT PRIMARY KEY,
    message_id TEXT NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    event_id TEXT NOT NULL REFERENCES event (id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    incident_id TEXT,
    workspace TEXT NOT NULL,
    subject TEXT NOT NULL,
    receiver TEXT NOT NULL,
    address TEXT NOT NULL,
    position BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'delivered', 'dead', 'cancelled')),
    reason TEXT,
    undelivered_to TEXT,
    settled_at BIGINT
);

CREATE INDEX notification_message ON notification (message_id);
CREATE INDEX notification_event ON notification (event_id);
CREATE INDEX notification_incident ON notification (incident_id);
CREATE INDEX notification_position ON notification (position);

-- The order: nothing about an account is sent to a recipient before what was queued earlier.
CREATE INDEX notification_queue ON notification (receiver, address, workspace, subject)
    WHERE settled_at IS NULL;

-- What a receiver can edit later: Slack's channel and time stamp, say.
CREATE TABLE post (
    id TEXT PRIMARY KEY,
    receiver TEXT NOT NULL,
    address TEXT NOT NULL,
    receipt TEXT NOT NULL
);

-- Who was told of an incident: by which message first, and when. `told_at` is when last by one that
-- left nobody out who is to be tried again.
CREATE TABLE heard (
    incident_id TEXT NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
    receiver TEXT NOT NULL,
    address TEXT NOT NULL,
    message_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    told_at BIGINT,
    told_cause TEXT,
    post_id TEXT REFERENCES post (id) ON DELETE SET NULL,
    PRIMARY KEY (incident_id, receiver, address)
);

CREATE INDEX heard_post ON heard (post_id) WHERE post_id IS NOT NULL;

-- How a receiver fares: until `not_before` nothing is sent to it.
CREATE TABLE receiver (
    name TEXT PRIMARY KEY,
    not_before BIGINT,
    failing_since BIGINT,
    failing_why TEXT,
    refused_since BIGINT,
    refuses BIGINT NOT NULL,
    last_ok_at BIGINT
);
