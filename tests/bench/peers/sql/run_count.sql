-- How many history records there are: $1 tenant, $2 and $3 sources and types that may be read.
SELECT count(*) AS count
  FROM udm.run r
 WHERE r.ccid = $1 AND (r.source, r.type) IN (SELECT * FROM unnest($2::text[], $3::text[]))
