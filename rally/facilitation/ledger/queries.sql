-- Every fixed question to the ledger, by name. A test prepares each of them and checks that none that
-- is on the way of a decision walks through the whole table.
--
-- Lists of ids go in as one JSON text, so that a statement stays the same (and stays prepared)
-- whatever their number.

-- name: head
SELECT seq, hash FROM facts ORDER BY seq DESC LIMIT 1

-- name: append
INSERT INTO facts (seq, event_id, kind, tool, run, step, ref, key, target, prev, hash, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: tail
SELECT seq, hash, body FROM facts WHERE seq > :after ORDER BY seq LIMIT :limit

-- name: by_event_id
SELECT fact.event_id, fact.hash, fact.body
FROM json_each(:ids) AS asked CROSS JOIN facts AS fact ON fact.event_id = asked.value

-- name: by_seq
SELECT fact.seq, fact.hash, fact.body
FROM json_each(:seqs) AS asked CROSS JOIN facts AS fact ON fact.seq = asked.value

-- name: by_key
SELECT fact.key, fact.hash, fact.body
FROM json_each(:keys) AS asked CROSS JOIN facts AS fact ON fact.key = asked.value

-- name: about
SELECT seq, hash, body FROM facts WHERE ref = :event_id AND seq < :before ORDER BY seq

-- name: landings
SELECT artifact.run, artifact.step, artifact.event_id
FROM json_each(:pairs) AS asked
CROSS JOIN facts AS artifact INDEXED BY facts_by_landing
  ON artifact.run = json_extract(asked.value, '$[0]')
  AND artifact.step = json_extract(asked.value, '$[1]')
  AND artifact.kind = 'artifact'
WHERE artifact.seq < :before
  AND json_extract(CAST(artifact.body AS TEXT), '$.trust') IS NOT 'untrusted'
  AND NOT EXISTS (
    SELECT 1 FROM facts AS withdrawal
    WHERE withdrawal.ref = artifact.event_id
      AND withdrawal.kind = 'retract'
      AND withdrawal.seq < :before
      AND json_extract(CAST(withdrawal.body AS TEXT), '$.trust') IS NOT 'untrusted')
ORDER BY artifact.seq

-- name: retracted
SELECT DISTINCT withdrawal.ref
FROM json_each(:ids) AS asked
CROSS JOIN facts AS withdrawal INDEXED BY facts_by_ref
  ON withdrawal.ref = asked.value AND withdrawal.kind = 'retract'
WHERE json_extract(CAST(withdrawal.body AS TEXT), '$.trust') IS NOT 'untrusted'

-- name: sample
SELECT hash FROM facts WHERE seq = :seq

-- name: verify_rows
SELECT seq, event_id, kind, tool, run, step, ref, key, target, prev, hash, body
FROM facts WHERE seq > :after ORDER BY seq LIMIT :limit

-- name: newest_ever
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'facts'), 0)

-- name: verify_total
SELECT count(*) FROM facts

-- name: verify_event_ids
SELECT max(seq) FROM facts GROUP BY event_id HAVING count(*) > 1 ORDER BY 1 LIMIT 1

-- name: verify_keys
SELECT max(seq) FROM facts WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1 ORDER BY 1 LIMIT 1
