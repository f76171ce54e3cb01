-- What both the roles of a key ($1) and those of a token ($2) may do, in the tenant $3.
SELECT (SELECT json_agg(json_build_array(source, type, may_read, may_write))
          FROM udm.rights($1::text[], $3)) AS key_rights,
       (SELECT json_agg(json_build_array(source, type, may_read, may_write))
          FROM udm.rights($2::text[], $3)) AS token_rights
