-- Who asks: $1 id of the key, $2 tenant of the token. Always one row. The rights of the same roles are
-- the same as long as the generation is.
SELECT k.ccid AS key_ccid, encode(k.secret_sha256, 'hex') AS secret,
       k.revoked_at IS NOT NULL AS revoked, coalesce(k.expires_at <= now(), false) AS expired,
       extract(epoch FROM k.expires_at - now())::float8 AS good_for, to_json(k.roles) AS key_roles,
       coalesce(k.last_used_at < now() - interval '1 minute', true) AS use_is_news,
       t.ccid AS token_ccid, g.generation
  FROM udm.rights_generation g
  LEFT JOIN udm.api_key k ON k.key_id = $1
  LEFT JOIN udm.tenant t ON t.ccid = $2
