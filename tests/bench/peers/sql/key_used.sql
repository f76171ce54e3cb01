-- Notes the use of a key, once a minute.
UPDATE udm.api_key SET last_used_at = now()
 WHERE key_id = $1 AND coalesce(last_used_at < now() - interval '1 minute', true)
