-- The ledger's one table (schema version 1), and the guards that make the file itself keep contract R3.
--
-- A fact is kept twice over on purpose: `body` is the exact text whose SHA-256 is `hash`, and the
-- columns before it repeat the fields that questions are asked by. `rally verify` compares the two.
-- `body` stands last because SQLite must walk past it, overflow pages included, to reach any column
-- behind it.

CREATE TABLE facts (
  -- AUTOINCREMENT keeps the highest seq ever given in sqlite_sequence: it is what shows that facts
  -- are missing at the end, where no later link could break, and keeps a lost seq from being reused.
  seq      INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id TEXT NOT NULL UNIQUE,
  kind     TEXT NOT NULL,
  tool     TEXT NOT NULL,
  run      TEXT,
  step     TEXT,
  ref      TEXT,
  key      TEXT,
  target   TEXT,
  prev     TEXT NOT NULL,
  hash     TEXT NOT NULL,
  body     BLOB NOT NULL
);

-- Every index ends with the rowid, which is seq: each of them answers "this, in the ledger's order".
CREATE INDEX facts_by_kind ON facts (kind);
CREATE INDEX facts_by_tool ON facts (tool);
CREATE INDEX facts_by_tool_kind ON facts (tool, kind);
-- Most facts have none of these fields, and a partial index costs such facts nothing.
CREATE INDEX facts_by_run ON facts (run) WHERE run IS NOT NULL;
CREATE INDEX facts_by_ref ON facts (ref) WHERE ref IS NOT NULL;
CREATE INDEX facts_by_landing ON facts (run, step) WHERE kind = 'artifact' AND step IS NOT NULL;
CREATE UNIQUE INDEX facts_by_key ON facts (key) WHERE key IS NOT NULL;

CREATE TRIGGER facts_never_change BEFORE UPDATE ON facts
BEGIN
  SELECT RAISE(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER facts_never_vanish BEFORE DELETE ON facts
BEGIN
  SELECT RAISE(ABORT, 'the ledger is append-only');
END;

-- Neither a gap nor a broken chain can be inserted. The last two terms are for INSERT OR REPLACE: it
-- deletes the rows that stand in its way without firing the trigger above, so a row that would stand
-- in its way has to be noticed here, before.
CREATE TRIGGER facts_in_order BEFORE INSERT ON facts
WHEN NEW.seq IS NOT 1 + coalesce((SELECT max(seq) FROM facts), 0)
  OR NEW.seq <= (SELECT seq FROM sqlite_sequence WHERE name = 'facts')
  OR NEW.prev IS NOT coalesce(
       (SELECT hash FROM facts WHERE seq = NEW.seq - 1),
       '0000000000000000000000000000000000000000000000000000000000000000')
  OR EXISTS (SELECT 1 FROM facts WHERE event_id = NEW.event_id)
  OR EXISTS (SELECT 1 FROM facts WHERE key = NEW.key)
BEGIN
  SELECT RAISE(ABORT, 'the ledger is append-only: wrong seq or prev, or the id or key is taken');
END;
