-- What must be true of the database whatever was killed: each row of the answer is something that is not so.
--
--   promise  lost, duplicated, broken or dead: never; unfinished, late, unclaimed and survived: not once the work is
--            over
--   rule     which one, in words
--   id       the record (or the key) that breaks it
--
-- Read as an administrator, whom row-level security does not hold, in one statement and so in one snapshot. The
-- temporary table acknowledged(kind, id) holds what the outside client was promised before this statement began, and
-- arrived(purpose, key, body) every call that servers outside had got from us by then.
-- Some rules repeat a unique constraint: they would tell if the constraint were ever dropped.

WITH stage_order(stage, place) AS (
    VALUES ('pattern_matched', 1), ('recovery_suggested', 2), ('policy_generated', 3), ('routing_adjusted', 4),
           ('loop_complete', 5)
), landed AS (  -- the engine's ledger entries: one of a loop and transaction, which tells the outcome of every step
    SELECT entry.tenant_id, entry.subject AS trace_id, landing ->> 'stage' AS stage, landing ->> 'outcome' AS outcome
      FROM governance_ledgerentry entry
     CROSS JOIN jsonb_array_elements(convert_from(entry.body, 'UTF8')::jsonb #> '{facts,stages}') landing
     WHERE entry.kind LIKE 'loop.%'
), landings AS (
    SELECT tenant_id, trace_id, stage, count(*) FILTER (WHERE outcome = 'goon') AS done,
           count(*) FILTER (WHERE outcome = 'wait') AS waits
      FROM landed GROUP BY tenant_id, trace_id, stage
), told AS (
    SELECT tenant_id, trace_id, stage, count(*) FILTER (WHERE type = stage) AS done,
           count(*) FILTER (WHERE type = 'waiting') AS waits
      FROM governance_loopevent WHERE stage <> '' GROUP BY tenant_id, trace_id, stage
)

-- Lost: what an answer promised ----------------------------------------------------------------------------

SELECT 'lost' AS promise, 'an acknowledged incident has a row' AS rule, ack.id
  FROM acknowledged ack
 WHERE ack.kind = 'incident' AND NOT EXISTS (SELECT FROM incidents_incident i WHERE i.id = ack.id)

UNION ALL
SELECT 'lost', 'an acknowledged incident has its loop, the first step and the first event', ack.id
  FROM acknowledged ack
 WHERE ack.kind = 'incident' AND NOT EXISTS (
       SELECT FROM governance_looptrace t
         JOIN governance_loopstep s ON s.tenant_id = t.tenant_id AND s.trace_id = t.id AND s.stage = 'pattern_matched'
         JOIN governance_loopevent e ON e.tenant_id = t.tenant_id AND e.trace_id = t.id AND e.type = 'incident_created'
        WHERE t.incident_id = ack.id)

UNION ALL
SELECT 'lost', 'an acknowledged incident is in the ledger', ack.id
  FROM acknowledged ack
 WHERE ack.kind = 'incident' AND NOT EXISTS (
       SELECT FROM governance_ledgerentry l WHERE l.kind = 'incident.opened' AND l.subject = ack.id)

UNION ALL
SELECT 'lost', 'an answer of the guard was kept', ack.id
  FROM acknowledged ack
 WHERE ack.kind = 'decision' AND NOT EXISTS (SELECT FROM policies_decision d WHERE d.id = ack.id)

UNION ALL
SELECT 'lost', 'an outcome was kept', ack.id
  FROM acknowledged ack
 WHERE ack.kind = 'outcome' AND NOT EXISTS (SELECT FROM policies_outcome o WHERE o.decision_id = ack.id)

UNION ALL
SELECT 'lost', 'a decision of a person stands as it was made', ack.id
  FROM acknowledged ack
 WHERE ack.kind IN ('approved', 'rejected') AND NOT EXISTS (
       SELECT FROM governance_checkpoint c WHERE c.id = ack.id AND c.state = ack.kind)

-- Duplicated: one cause, two effects -----------------------------------------------------------------------

UNION ALL
SELECT 'duplicated', 'one incident for a source key', source || ' ' || source_key
  FROM incidents_incident WHERE source_key IS NOT NULL
 GROUP BY tenant_id, source, source_key HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'one opening of an incident in the ledger', subject
  FROM governance_ledgerentry WHERE kind = 'incident.opened'
 GROUP BY tenant_id, subject HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'one loop for an incident and generation', incident_id
  FROM governance_looptrace GROUP BY tenant_id, incident_id, generation HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'one beginning of a story', trace_id
  FROM governance_loopevent WHERE type = 'incident_created'
 GROUP BY tenant_id, trace_id HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'one step for a stage', trace_id || ' ' || stage
  FROM governance_loopstep GROUP BY tenant_id, trace_id, stage HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'one pattern for a signature', signature
  FROM catalog_pattern GROUP BY tenant_id, signature HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'one match for an incident', incident_id
  FROM catalog_patternmatch GROUP BY tenant_id, incident_id HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'one recovery for a match', match_id
  FROM recovery_recovery GROUP BY tenant_id, match_id HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'a recovery is applied once', subject
  FROM governance_loopevent WHERE type = 'recovery_applied'
 GROUP BY tenant_id, subject HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'one directive of a kind in force for a pattern', pattern_id || ' ' || kind
  FROM recovery_directive WHERE active
 GROUP BY tenant_id, pattern_id, kind, params_digest HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'an incident speaks once for a version of a policy', policy_id || ' ' || incident_id
  FROM policies_evidence WHERE incident_id IS NOT NULL
 GROUP BY tenant_id, policy_id, version, incident_id, withdraws HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'a policy is born once for a loop', trace_id
  FROM governance_loopevent WHERE type = 'policy_born'
 GROUP BY tenant_id, trace_id, subject HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'one outcome for a decision', decision_id
  FROM policies_outcome GROUP BY tenant_id, decision_id HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'one prevention for a policy and a decision', policy_id || ' ' || decision_id
  FROM policies_prevention WHERE decision_id IS NOT NULL
 GROUP BY tenant_id, policy_id, decision_id HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'one open adjustment of a weight by a policy', policy_id || ' ' || agent_id || ' ' || capability
  FROM routing_adjustment WHERE state = 'open'
 GROUP BY tenant_id, policy_id, agent_id, capability HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'an incident speaks once for an adjustment', adjustment_id || ' ' || incident_id
  FROM routing_adjustmentevidence GROUP BY tenant_id, adjustment_id, incident_id HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'one pending question of a type about a record', type || ' ' || subject
  FROM governance_checkpoint WHERE state = 'pending'
 GROUP BY tenant_id, type, subject HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'a question is decided once', subject
  FROM governance_ledgerentry WHERE kind IN ('checkpoint.approved', 'checkpoint.rejected', 'checkpoint.expired')
 GROUP BY tenant_id, subject HAVING count(*) > 1

UNION ALL
SELECT 'duplicated', 'one failure is one pattern, however many report it at once', i.error_type
  FROM incidents_incident i
  JOIN catalog_patternmatch m ON m.tenant_id = i.tenant_id AND m.incident_id = i.id
 WHERE i.source = 'race' GROUP BY i.tenant_id, i.error_type HAVING count(DISTINCT m.pattern_id) > 1

UNION ALL
SELECT 'duplicated', 'a call outside carries the key that it was announced with', a.purpose || ' ' || a.key
  FROM arrived a
 WHERE NOT EXISTS (SELECT FROM recovery_outsidecall o WHERE o.purpose = a.purpose AND o.key = a.key)

UNION ALL
SELECT 'duplicated', 'a call that is repeated says the same again', purpose || ' ' || key
  FROM arrived GROUP BY purpose, key HAVING count(DISTINCT body) > 1

UNION ALL
SELECT 'duplicated', 'a call outside is counted before it is sent', o.purpose || ' ' || o.key
  FROM recovery_outsidecall o
  JOIN (SELECT purpose, key, count(*) AS times FROM arrived GROUP BY purpose, key) a USING (purpose, key)
 WHERE a.times > o.attempts

-- Broken: what belongs together was written together -------------------------------------------------------

UNION ALL
SELECT 'broken', 'an incident has a loop', i.id
  FROM incidents_incident i
 WHERE NOT EXISTS (SELECT FROM governance_looptrace t WHERE t.tenant_id = i.tenant_id AND t.incident_id = i.id)

UNION ALL
SELECT 'broken', 'a done step has told its stage exactly once', step.trace_id || ' ' || step.stage
  FROM governance_loopstep step
  LEFT JOIN told USING (tenant_id, trace_id, stage)
 WHERE step.state = 'done' AND coalesce(told.done, 0) <> 1

UNION ALL
SELECT 'broken', 'a done step is told exactly once in the ledger', step.trace_id || ' ' || step.stage
  FROM governance_loopstep step
  LEFT JOIN landings USING (tenant_id, trace_id, stage)
 WHERE step.state = 'done' AND coalesce(landings.done, 0) <> 1

UNION ALL
SELECT 'broken', 'story and ledger tell of the same waits', step.trace_id || ' ' || step.stage
  FROM governance_loopstep step
  LEFT JOIN told USING (tenant_id, trace_id, stage)
  LEFT JOIN landings USING (tenant_id, trace_id, stage)
 WHERE coalesce(told.waits, 0) <> coalesce(landings.waits, 0)

UNION ALL
SELECT 'broken', 'the hash of a ledger entry is that of its bytes', id
  FROM governance_ledgerentry WHERE sha256(body) <> hash

UNION ALL
SELECT 'broken', 'a number in the ledger is that of an entry and of its bytes', l.id
  FROM governance_ledgerleaf l
  LEFT JOIN governance_ledgerentry e ON e.tenant_id = l.tenant_id AND e.id = l.id
 WHERE e.id IS NULL OR sha256('\x00'::bytea || e.body) <> l.hash

UNION ALL
SELECT 'broken', 'the numbers of a ledger begin at 0 and have no gap', tenant_id
  FROM governance_ledgerleaf GROUP BY tenant_id HAVING count(*) <> max(seq) + 1 OR min(seq) <> 0

UNION ALL
SELECT 'broken', 'a step begins when the one before it is done', step.trace_id || ' ' || step.stage
  FROM governance_loopstep step
  JOIN stage_order own USING (stage)
  JOIN stage_order before ON before.place = own.place - 1
 WHERE NOT EXISTS (SELECT FROM governance_loopstep earlier
                    WHERE earlier.tenant_id = step.tenant_id AND earlier.trace_id = step.trace_id
                      AND earlier.stage = before.stage AND earlier.state = 'done')

UNION ALL
SELECT 'broken', 'a running loop has a step that is ready or running', t.id
  FROM governance_looptrace t
 WHERE t.state = 'running' AND NOT EXISTS (
       SELECT FROM governance_loopstep s
        WHERE s.tenant_id = t.tenant_id AND s.trace_id = t.id AND s.state IN ('ready', 'running'))

UNION ALL
SELECT 'broken', 'a loop that does not run has no step that does', t.id
  FROM governance_looptrace t
  JOIN governance_loopstep s ON s.tenant_id = t.tenant_id AND s.trace_id = t.id AND s.state IN ('ready', 'running')
 WHERE t.state <> 'running'

UNION ALL
SELECT 'broken', 'a waiting loop says for what, and a step of it waits', t.id
  FROM governance_looptrace t
 WHERE t.state = 'waiting' AND (t.failure_state = '' OR NOT EXISTS (
       SELECT FROM governance_loopstep s
        WHERE s.tenant_id = t.tenant_id AND s.trace_id = t.id AND s.state = 'waiting' AND s.waits_for <> ''
          AND s.failure_state = t.failure_state))

UNION ALL
SELECT 'broken', 'a complete loop has five done steps', t.id
  FROM governance_looptrace t
 WHERE t.state = 'complete' AND 5 <> (
       SELECT count(*) FROM governance_loopstep s
        WHERE s.tenant_id = t.tenant_id AND s.trace_id = t.id AND s.state = 'done')

UNION ALL
SELECT 'broken', 'nobody sleeps through the decision that was waited for', s.id
  FROM governance_loopstep s
  JOIN governance_checkpoint c ON c.tenant_id = s.tenant_id AND c.id = s.waits_for
 WHERE s.state = 'waiting' AND c.state <> 'pending'

UNION ALL
SELECT 'broken', 'nobody sleeps through the activation that was waited for', s.id
  FROM governance_loopstep s
  JOIN policies_policy p ON p.tenant_id = s.tenant_id AND p.id = s.waits_for
 WHERE s.state = 'waiting' AND p.state IN ('active', 'retired')

UNION ALL
SELECT 'broken', 'a policy that waits for approval has its question', p.id
  FROM policies_policy p
 WHERE p.state = 'pending' AND NOT EXISTS (
       SELECT FROM governance_checkpoint c
        WHERE c.tenant_id = p.tenant_id AND c.subject = p.id AND c.type = 'approve_policy' AND c.state = 'pending')

UNION ALL
SELECT 'broken', 'a prevention is told in the story of its policy', v.id
  FROM policies_prevention v
  JOIN policies_policy p ON p.tenant_id = v.tenant_id AND p.id = v.policy_id AND p.trace_id IS NOT NULL
 WHERE 1 <> (SELECT count(*) FROM governance_loopevent e
              WHERE e.tenant_id = v.tenant_id AND e.type = 'prevention' AND e.subject = v.id)

UNION ALL
SELECT 'broken', 'a dead step tells its cause, in its story and in the ledger', s.id
  FROM governance_loopstep s
 WHERE s.state = 'dead' AND (s.error = '' OR NOT EXISTS (
       SELECT FROM governance_loopevent e
        WHERE e.tenant_id = s.tenant_id AND e.trace_id = s.trace_id AND e.type = 'dead' AND e.stage = s.stage)
    OR NOT EXISTS (
       SELECT FROM governance_ledgerentry l
        WHERE l.tenant_id = s.tenant_id AND l.subject = s.trace_id AND l.kind = 'loop.dead'))

UNION ALL
SELECT 'broken', 'a question that holds a loop is waited for', c.id
  FROM governance_checkpoint c
 WHERE c.state = 'pending' AND c.blocking AND c.type = 'approve_recovery' AND NOT EXISTS (
       SELECT FROM governance_loopstep s
        WHERE s.tenant_id = c.tenant_id AND s.state = 'waiting' AND s.waits_for = c.id)

UNION ALL
SELECT 'broken', 'poison is tasted by nobody who was not fed it', e.trace_id || ' ' || e.stage
  FROM governance_loopevent e
  JOIN governance_looptrace t ON t.tenant_id = e.tenant_id AND t.id = e.trace_id
  JOIN incidents_incident i ON i.tenant_id = t.tenant_id AND i.id = t.incident_id
 WHERE e.type = 'failed' AND i.source <> 'poison'
   AND (e.details ->> 'error' LIKE 'Poisoned:%' OR e.details ->> 'error' LIKE 'MemoryError:%')

-- Dead: only poison kills a step ---------------------------------------------------------------------------

UNION ALL
SELECT 'dead', 'only poison kills a step', s.trace_id || ' ' || s.stage || ': ' || left(s.error, 200)
  FROM governance_loopstep s
  JOIN governance_looptrace t ON t.tenant_id = s.tenant_id AND t.id = s.trace_id
  JOIN incidents_incident i ON i.tenant_id = t.tenant_id AND i.id = t.incident_id
 WHERE s.state = 'dead' AND i.source <> 'poison'

UNION ALL
SELECT 'dead', 'poison kills the step that it was fed to', s.trace_id || ' ' || s.stage || ': ' || left(s.error, 200)
  FROM governance_loopstep s
  JOIN governance_looptrace t ON t.tenant_id = s.tenant_id AND t.id = s.trace_id
  JOIN incidents_incident i ON i.tenant_id = t.tenant_id AND i.id = t.incident_id
 WHERE s.state = 'dead' AND i.source = 'poison' AND split_part(i.source_key, '/', 2) <> s.stage

-- Unfinished: not yet finished, and waiting for nobody -----------------------------------------------------

UNION ALL
SELECT 'unfinished', 'a loop is finished or waits in a named state', t.id
  FROM governance_looptrace t
  JOIN incidents_incident i ON i.tenant_id = t.tenant_id AND i.id = t.incident_id
 WHERE t.state = 'running' AND i.source <> 'poison'

-- Survived: what was fed poison dies of it and of nothing else; five tries take their time -----------------

UNION ALL
SELECT 'survived', 'poison is what its step died of', i.source_key || ': ' || t.state
  FROM incidents_incident i
  JOIN governance_looptrace t ON t.tenant_id = i.tenant_id AND t.incident_id = i.id
 WHERE i.source = 'poison' AND (t.state <> 'dead' OR NOT EXISTS (
       SELECT FROM governance_loopevent e  -- now and then a fault was faster
        WHERE e.tenant_id = t.tenant_id AND e.trace_id = t.id AND e.type IN ('failed', 'dead')
          AND e.stage = split_part(i.source_key, '/', 2) AND e.details ->> 'error' LIKE
              CASE split_part(i.source_key, '/', 1)
                  WHEN 'error' THEN 'Poisoned: %'
                  WHEN 'memory' THEN 'MemoryError: %'
                  WHEN 'endless' THEN 'TookTooLong: %'
                  ELSE 'the process that ran it disappeared' END))

-- Late: while the sweeper is down nobody does these things, so they count when it has had time to ----------

UNION ALL
SELECT 'late', 'no lease ran out long ago', id
  FROM governance_loopstep WHERE state = 'running' AND lease_until < clock_timestamp() - interval '15 seconds'

UNION ALL
SELECT 'late', 'an entry of the ledger has its number soon', e.id
  FROM governance_ledgerentry e
 WHERE e.created_at < clock_timestamp() - interval '15 seconds'
   AND NOT EXISTS (SELECT FROM governance_ledgerleaf l WHERE l.tenant_id = e.tenant_id AND l.id = e.id)

-- Unclaimed: rows that no answer told of. While the client works, its next answer may be about to ----------

UNION ALL
SELECT 'unclaimed', 'every incident was acknowledged to the client', i.id
  FROM incidents_incident i
 WHERE i.source NOT IN ('bench', 'prepare')  -- those the torture made itself, before the work began
   AND NOT EXISTS (SELECT FROM acknowledged ack WHERE ack.kind = 'incident' AND ack.id = i.id)

UNION ALL
SELECT 'unclaimed', 'every answer of the guard reached the client', d.id
  FROM policies_decision d
 WHERE NOT EXISTS (SELECT FROM acknowledged ack WHERE ack.kind = 'decision' AND ack.id = d.id)

UNION ALL
SELECT 'unclaimed', 'every decision of a person was acknowledged', c.id
  FROM governance_checkpoint c
 WHERE c.state IN ('approved', 'rejected')
   AND NOT EXISTS (SELECT FROM acknowledged ack WHERE ack.kind = c.state AND ack.id = c.id)
