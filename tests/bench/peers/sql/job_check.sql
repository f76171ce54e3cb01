-- What a new job is held against: $1 source or its alias, $2 type, $3 tenant. Always one row; what
-- is unknown, or belongs to other tenants alone, is NULL.
SELECT s.name AS source, s.family, t.name AS type, t.time_column IS NOT NULL AS has_time,
       t.media_column IS NOT NULL AS has_media,
       (SELECT to_json(array_agg(m.name ORDER BY m.name)) FROM udm.media m
         WHERE m.source = t.source AND m.type = t.name) AS media,
       (SELECT json_object_agg(a.name, a.kind) FROM udm.attribute a
         WHERE a.source = t.source AND a.type = t.name) AS attributes,
       c.pem, coalesce(c.not_after <= now(), false) AS expired
  FROM (SELECT) one
  LEFT JOIN LATERAL (
       SELECT name, family FROM udm.source o
        WHERE (name = $1 OR alias = $1)
          AND EXISTS (SELECT FROM udm.data_type d
                       WHERE d.source = o.name AND (d.tenants IS NULL OR $3 = ANY (d.tenants)))
        ORDER BY name = $1 DESC LIMIT 1) s ON true
  LEFT JOIN udm.data_type t ON t.source = s.name AND t.name = $2
                           AND (t.tenants IS NULL OR $3 = ANY (t.tenants))
  LEFT JOIN udm.certificate c ON c.ccid = $3
