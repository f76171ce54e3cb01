-- A job that runs once, with its run if it is due, the run's progress and the audit. $16: when, NULL
-- for now. What wakes the workers comes after it (job_hint): a transaction that notifies makes all
-- others that do wait for its commit.
WITH plan AS MATERIALIZED (
    SELECT nextval('udm.job_or_run_id') AS job_id,
           CASE WHEN due THEN nextval('udm.job_or_run_id') END AS run_id, due, start,
           CASE WHEN $17::boolean THEN 'SUSPENDED' WHEN due THEN 'QUEUED' ELSE 'SCHEDULED' END AS status
      FROM (SELECT start, NOT $17::boolean AND start <= now() AS due
              FROM (SELECT coalesce($16::timestamptz, now()) AS start) s) d,
           set_config('udm.notifies_later', 'on', true)),
job AS (
    INSERT INTO udm.job (id, ccid, family, source, type, title, description, time_all, date_from,
                         date_to, media, export_attachments, file_split_size, file_split_bytes,
                         schedule_type, schedule, next_run_at, suspended, status, latest_run_id,
                         created_by, filters, encryption)
    SELECT job_id, $1, $2, $3, $4, $5, $6, $7::boolean, $8::timestamptz, $9::timestamptz,
           $10::text[], $11::boolean, $12, $13::bigint, $14, $15::jsonb,
           CASE WHEN NOT due THEN start END, $17::boolean, status, run_id, $18, $22::jsonb, 'smime'
      FROM plan),
new_run AS (
    INSERT INTO udm.run (id, job_id, ccid, source, type, title, description, window_all, window_from,
                         window_to, media, export_attachments, file_split_size, file_split_bytes,
                         filters, scheduled_at, ready_at, created_by)
    SELECT run_id, job_id, $1, $3, $4, $5, $6, $7::boolean, $8::timestamptz,
           CASE WHEN num_nonnulls($8, $9) = 0 AND NOT $7::boolean THEN start
                ELSE $9::timestamptz END,
           $10::text[], $11::boolean, $12, $13::bigint, $22::jsonb, start, start, $18
      FROM plan WHERE due RETURNING id),
new_progress AS (
    INSERT INTO udm.run_progress (run_id) SELECT id FROM new_run)
SELECT job_id AS id, status,
       to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created,
       to_char($8::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "dateFrom",
       to_char($9::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "dateTo",
       udm.audit_write($1, $18, $19, 'job.create', job_id::text, $20, $21, NULL)
  FROM plan
