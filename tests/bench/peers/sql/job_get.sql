-- One job: $1 its id, $2 tenant.
SELECT j.id, j.type, j.source, j.title, coalesce(j.file_split_size, '') AS "fileSplitSize",
       r.file_name AS "fileName", coalesce(r.file_size, 0) AS "fileSize", j.status,
       to_char(j.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "createdDate",
       to_char(j.date_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "dateFrom",
       to_char(j.date_to AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "dateTo",
       coalesce(j.description, '') AS description, to_json(j.media) AS media,
       CASE WHEN j.status = 'COMPLETED' THEN 100
            WHEN j.status IN ('IN_PROGRESS', 'FAILED', 'CANCELLED') THEN coalesce(p.percent, 0)
            ELSE 0 END AS progress,
       0 AS "parentId", j.export_attachments AS "exportAttachments",
       CASE j.status WHEN 'FAILED' THEN coalesce(r.status_reason, 'the record of it was deleted')
                     WHEN 'CANCELLED' THEN coalesce(r.status_reason, 'cancelled on request') END
           AS "statusReason"
  FROM udm.job j
  LEFT JOIN udm.run r ON r.id = j.latest_run_id
  LEFT JOIN udm.run_progress p ON p.run_id = r.id
 WHERE j.id = $1 AND j.ccid = $2
