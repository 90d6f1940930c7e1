-- The directory of people. One text for SQLite and PostgreSQL: ids are the 64 bits of a u64 read as signed, times are
-- milliseconds since the Unix epoch, yes and no are 1 and 0.

CREATE TABLE users (
    id BIGINT NOT NULL PRIMARY KEY,
    handle TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    about TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    presence SMALLINT NOT NULL,
    friends_only SMALLINT NOT NULL,
    read_receipts SMALLINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE devices (
    id BIGINT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    generation BIGINT NOT NULL
);
CREATE INDEX devices_of_user ON devices (user_id);

-- Without references: a device is here because it is gone, and its user may be gone too.
CREATE TABLE removed_devices (
    device_id BIGINT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    removed_at BIGINT NOT NULL
);
CREATE INDEX removed_devices_by_time ON removed_devices (removed_at);

-- One row for two users, so that requests in opposite directions meet.
CREATE TABLE friendships (
    low BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    high BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    asker BIGINT NOT NULL,
    accepted SMALLINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (low, high),
    CHECK (low < high)
);
CREATE INDEX friendships_of_high ON friendships (high);

CREATE TABLE blocks (
    blocker BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    blocked BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (blocker, blocked),
    CHECK (blocker <> blocked)
);
CREATE INDEX blocks_of_blocked ON blocks (blocked);

CREATE TABLE last_seen (
    user_id BIGINT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    seen_at BIGINT NOT NULL
);

CREATE TABLE group_keys (
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    request_key TEXT NOT NULL,
    group_id BIGINT NOT NULL,
    PRIMARY KEY (user_id, request_key)
);

-- One row, which whoever removes a user locks: many rows name two users, and two removals at once could each take some of
-- them and wait for the rest.
CREATE TABLE removal_lock (
    id SMALLINT NOT NULL PRIMARY KEY
);
INSERT INTO removal_lock (id) VALUES (1);
