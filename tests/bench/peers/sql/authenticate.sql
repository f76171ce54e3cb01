-- Who asks, and what he may do: $1 id of the key, $2 SHA-256 of its secret in hex, $3 tenant and $4
-- roles of the token. Always one row. Notes the use of a good key, once a minute.
WITH used AS (
    UPDATE udm.api_key SET last_used_at = now()
     WHERE key_id = $1 AND secret_sha256 = decode($2, 'hex') AND revoked_at IS NULL
       AND (expires_at IS NULL OR expires_at > now())
       AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute'))
SELECT k.ccid AS key_ccid, encode(k.secret_sha256, 'hex') AS secret,
       k.revoked_at IS NOT NULL AS revoked, coalesce(k.expires_at <= now(), false) AS expired,
       extract(epoch FROM k.expires_at - now())::float8 AS good_for,
       CASE WHEN k.key_id IS NOT NULL THEN
           (SELECT json_agg(json_build_array(source, type, may_read, may_write))
              FROM udm.rights(k.roles, k.ccid)) END AS key_rights,
       t.ccid AS token_ccid,
       CASE WHEN t.ccid IS NOT NULL THEN
           (SELECT json_agg(json_build_array(source, type, may_read, may_write))
              FROM udm.rights($4::text[], t.ccid)) END AS token_rights
  FROM (SELECT) one
  LEFT JOIN udm.api_key k ON k.key_id = $1
  LEFT JOIN udm.tenant t ON t.ccid = $3
