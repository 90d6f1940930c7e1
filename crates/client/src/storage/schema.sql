CREATE TABLE IF NOT EXISTS account (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    api TEXT NOT NULL,
    user_id INTEGER NOT NULL,
    device INTEGER NOT NULL,
    handle TEXT NOT NULL,
    -- Empty once the device is signed out.
    tokens TEXT NOT NULL,
    servers TEXT NOT NULL,
    from_the_start INTEGER NOT NULL,
    point TEXT
) STRICT;

CREATE TABLE IF NOT EXISTS conversations (
    conversation BLOB PRIMARY KEY,
    state TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS events (
    conversation BLOB NOT NULL,
    seq INTEGER NOT NULL,
    -- The message that it amends.
    target INTEGER,
    event TEXT NOT NULL,
    PRIMARY KEY (conversation, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS events_by_target ON events (conversation, target, seq) WHERE target IS NOT NULL;

CREATE TABLE IF NOT EXISTS outbox (
    conversation BLOB NOT NULL,
    tag INTEGER NOT NULL,
    frame TEXT NOT NULL,
    PRIMARY KEY (conversation, tag)
) STRICT, WITHOUT ROWID;

-- Whom the user has seen or named, for when the server does not answer.
CREATE TABLE IF NOT EXISTS handles (
    user_id INTEGER PRIMARY KEY,
    handle TEXT NOT NULL UNIQUE
) STRICT;
