-- A job that runs once, with its run if it is due, the run's progress and the audit. $16: when, NULL
-- for now. What wakes the workers comes after it (job_hint): a transaction that notifies makes all
-- others that do wait for its commit.
WITH plan AS MATERIALIZED (
    SELECT nextval('udm.job_or_run_id') AS job_id,
           CASE WHEN due THEN nextval('udm.job_or_run_id') END AS run_id, due, start
      FROM (SELECT start, NOT $17::boolean AND start <= now() AS due
              FROM (SELECT coalesce($16::timestamptz, now()) AS start) s) d,
           set_config('udm.notifies_later', 'on', true)),
job AS (
    INSERT INTO udm.job (id, ccid, family, source, type, title, description, time_all, date_from,
                         date_to, media, export_attachments, file_split_size, file_split_bytes,
                         schedule_type, schedule, next_run_at, suspended, latest_run_id,
                         created_by, filters, encryption)
    SELECT job_id, $1, $2, $3, $4, $5, $6, $7::boolean, $8::timestamptz, $9::timestamptz,
           $10::text[], $11::boolean, $12, $13::bigint, $14, $15::jsonb,
           CASE WHEN NOT due THEN start END, $17::boolean, run_id, $18, $22::jsonb, 'smime'
      FROM plan RETURNING id, status),
made AS MATERIALIZED (
    SELECT udm.make_runs(array_agg(job_id), array_agg(start), NULL) AS runs
      FROM plan JOIN job ON job.id = job_id WHERE due)
SELECT job.id, job.status,
       to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created,
       to_char($8::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "dateFrom",
       to_char($9::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "dateTo",
       udm.audit_write($1, $18, $19, 'job.create', job_id::text, $20, $21, NULL)
  FROM plan JOIN job ON job.id = job_id, made WHERE made.runs >= 0
