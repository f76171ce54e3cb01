-- A page of the history, oldest first: $1 to $3 as above, $4 rows from the row $5 on.
SELECT r.id, r.type, r.source, r.title, coalesce(r.file_split_size, '') AS "fileSplitSize",
       r.file_name AS "fileName", coalesce(r.file_size, 0) AS "fileSize", r.status,
       to_char(r.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "createdDate",
       to_char(r.window_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "dateFrom",
       to_char(r.window_to AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "dateTo",
       coalesce(r.description, '') AS description, to_json(r.media) AS media,
       CASE WHEN r.status = 'COMPLETED' THEN 100
            WHEN r.status IN ('IN_PROGRESS', 'FAILED', 'CANCELLED') THEN coalesce(p.percent, 0)
            ELSE 0 END AS progress,
       r.job_id AS "parentId", r.export_attachments AS "exportAttachments",
       CASE WHEN r.status IN ('FAILED', 'CANCELLED') THEN r.status_reason END AS "statusReason"
  FROM udm.run r
  LEFT JOIN udm.run_progress p ON p.run_id = r.id
 WHERE r.ccid = $1 AND (r.source, r.type) IN (SELECT * FROM unnest($2::text[], $3::text[]))
 ORDER BY r.created_at, r.id
 LIMIT $4 OFFSET $5
