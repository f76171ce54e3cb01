-- The demo contact centre. Run by load.sh, which gives :scale and, on standard input, fortunes and
-- files. Every choice is a hash of the row's number, so that loading twice gives the same rows.
\set QUIET on
\pset tuples_only on
\pset format unaligned
SET search_path = pg_catalog, pg_temp;
SET client_encoding = 'UTF8';
BEGIN;
SET LOCAL timezone = 'UTC';
SET LOCAL synchronous_commit = off;
SET LOCAL work_mem = '64MB';
SET LOCAL jit = off;

DROP SCHEMA IF EXISTS ucs CASCADE;
CREATE SCHEMA ucs;
-- Made a moment ago, so that nobody else has put anything in it.
SET LOCAL search_path = ucs, pg_catalog, pg_temp;

CREATE TEMP TABLE staging (kind text, name text, mime text, body text, base64 text) ON COMMIT DROP;
\copy staging FROM pstdin

-- n numbers 0..n-1, evenly, for row `i`; `salt` tells the choices of one row apart.
CREATE FUNCTION ucs.pick(i bigint, salt bigint, n bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT (hashint8extended(i, salt) & 9223372036854775807) % n
$$;

CREATE FUNCTION ucs.attribute(value text, "primary" boolean, description text) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('value', $1, 'primary', $2, 'description', $3)
$$;

CREATE TEMP TABLE fortune ON COMMIT DROP AS
    SELECT (row_number() OVER (ORDER BY body COLLATE "C") - 1)::bigint AS n, body
      FROM staging WHERE kind = 'fortune';
ALTER TABLE fortune ADD PRIMARY KEY (n);
CREATE TEMP TABLE attached_file ON COMMIT DROP AS
    SELECT (row_number() OVER (ORDER BY (length(base64) > 1500000) DESC, mime, name, base64) - 1)::bigint AS n,
           name, mime, decode(base64, 'base64') AS content
      FROM staging WHERE kind = 'file';
ALTER TABLE attached_file ADD PRIMARY KEY (n);
ANALYZE fortune;
ANALYZE attached_file;

SELECT count(*) AS fortunes FROM fortune \gset
SELECT count(*) AS files FROM attached_file \gset
SELECT date_trunc('minute', now()) AS now,
       ceil(200000 * :scale)::bigint AS interactions,
       ceil(20000 * :scale)::bigint AS contacts,
       greatest(ceil(600 * :scale), 60)::bigint AS documents
\gset

CREATE TEMP TABLE centre ON COMMIT DROP AS
    SELECT * FROM (VALUES
        ('harbour-insurance', 101, 0,       :interactions, :contacts,           :documents),
        ('lakeside-energy',   102, 7000000, :interactions / 10, :contacts / 10, :documents / 10)
    ) AS t (ccid, tenant_id, salt, interactions, contacts, documents);

CREATE TEMP TABLE person ON COMMIT DROP AS
    SELECT '{Ada,Zoë,Łukasz,Søren,Ηλίας,Ольга,李雷,محمد,김민준,Noël,Bjørk,José,Grace,Anaïs,Ngũgĩ,Siobhán,Đặng,Mary-Jane,"D''Arcy","Jean \"JJ\"",さくら,Ana,Peter,Ruth,Tom,Priya,Omar,Lena,Ivan,Chloé}'::text[]
               AS first,
           '{Lovelace,Müller,Żółć,Sørensen,Παπαδόπουλος,Иванова,王,السيد,박,O''Brien,Guðmundsdóttir,García,Hopper,Lefèvre,"wa Thiong''o","Ó Súilleabháin",Nguyễn,Smith,Jones,"van der Berg",田中,Brown,Patel,Haddad,Weiß,Novák,Okafor,Silva,Kowalski,Dupont}'::text[]
               AS last,
           '{"Harbour & Sons","Lakeside Ltd","Møller A/S","\"Quoted\" GmbH","Back\\slash Inc","Café René","株式会社デモ",NULL}'::text[]
               AS company;

-- The columns of a contact. What a contact may have several of is an array of
-- {value, primary, description}.
CREATE TABLE ucs.contact (
    ccid                        text NOT NULL,
    "id"                        text NOT NULL,
    "tenantId"                  integer NOT NULL,
    "subTenantId"               integer,
    "mergeId"                   text,
    "createdDate"               timestamptz NOT NULL,
    "modifiedDate"              timestamptz,
    "title"                     jsonb,
    "firstName"                 jsonb,
    "lastName"                  jsonb,
    "companyName"               jsonb,
    "emailAddress"              jsonb,
    "phoneNumber"               jsonb,
    "accountNumber"             jsonb,
    "customerSegment"           jsonb,
    "pin"                       jsonb,
    "preferredAgentEmployeeId"  text,
    "lastCalledAgentEmployeeId" text,
    "lastCalledAgentTimeStamp"  timestamptz
);

INSERT INTO ucs.contact
SELECT c.ccid,
       lpad(upper(to_hex(i)), 8, '0') || 'a57JGQ00A8',
       c.tenant_id, CASE WHEN pick(k, 1, 3) = 0 THEN pick(k, 2, 5)::int END,
       CASE WHEN i > 1 AND pick(k, 3, 50) = 0 THEN lpad(upper(to_hex(i - 1)), 8, '0') || 'a57JGQ00A8' END,
       created,
       CASE WHEN pick(k, 4, 100) > 0
            THEN created + make_interval(secs => extract(epoch FROM :'now'::timestamptz - created)
                                                 * pick(k, 5, 1000)::float8 / 1000) END,
       CASE WHEN pick(k, 6, 4) = 0
            THEN jsonb_build_array(attribute('Dr', true, NULL)) END,
       jsonb_build_array(attribute(v.first, true, NULL)),
       jsonb_build_array(attribute(v.last, true, NULL)),
       CASE WHEN v.company IS NOT NULL
            THEN jsonb_build_array(attribute(v.company, true, '')) END,
       (SELECT jsonb_agg(attribute(format('contact%s.%s@example.com', i, a), a = 1,
                                   CASE a WHEN 1 THEN 'work' WHEN 2 THEN 'private 📧' END))
          FROM generate_series(1, pick(k, 10, 4)) a),
       (SELECT jsonb_agg(attribute('+1555' || lpad(pick(k * 4 + a, 11, 10000000)::text, 7, '0'),
                                   a = 1, CASE a WHEN 1 THEN 'home "☎"' ELSE E'mobile\t2' END))
          FROM generate_series(1, 1 + pick(k, 12, 3)) a),
       jsonb_build_array(attribute(lpad(i::text, 10, '0'), true, NULL)),
       CASE pick(k, 13, 4) WHEN 0 THEN jsonb_build_array(attribute('Gold', true, NULL))
                           WHEN 1 THEN jsonb_build_array(attribute('Silver', true, NULL),
                                                         attribute('Trial', false, 'until June'))
                           WHEN 2 THEN '[]' END,
       NULL,
       CASE WHEN pick(k, 14, 3) = 0 THEN 'agent' || pick(k, 15, 80) END,
       CASE WHEN pick(k, 16, 2) = 0 THEN 'agent' || pick(k, 17, 80) END,
       CASE WHEN pick(k, 16, 2) = 0 THEN :'now'::timestamptz - make_interval(mins => pick(k, 18, 500000)::int) END
  FROM centre c CROSS JOIN person p
 CROSS JOIN LATERAL generate_series(1, c.contacts) i
 CROSS JOIN LATERAL (SELECT i + c.salt) AS key (k)
 CROSS JOIN LATERAL (SELECT p.first[1 + pick(k, 20, 30)], p.last[1 + pick(k, 21, 30)],
                            p.company[1 + pick(k, 22, 8)],
                            :'now'::timestamptz - make_interval(secs => pick(k, 23, 730 * 86400)
                                                                        + pick(k, 24, 1000) / 1000.0)
                    ) AS v (first, last, company, created);
ALTER TABLE ucs.contact ADD PRIMARY KEY (ccid, id);
CREATE INDEX contact_modified ON ucs.contact (ccid, "modifiedDate");

-- The columns of an interaction, in the order of the reference.
CREATE TABLE ucs.interaction (
    ccid                 text NOT NULL,
    "ixnId"              text NOT NULL,
    "status"             integer,
    "entityTypeId"       integer NOT NULL,
    "mediaTypeId"        integer,
    "typeId"             text,
    "subtypeId"          text,
    "externalId"         text,
    "ownerId"            integer,
    "contactId"          text,
    "parentId"           text,
    "startDate"          timestamptz,
    "modifiedDate"       timestamptz,
    "endDate"            timestamptz,
    "threadId"           text,
    "categoryId"         text,
    "timeShift"          smallint,
    "subject"            text,
    "text"               text,
    "structuredText"     text,
    "structTextMimetype" text,
    "theComment"         text,
    "tenantId"           integer,
    "subtenantId"        integer,
    "threadHash"         text,
    "canBeParent"        boolean,
    "creatorAppId"       integer,
    "queueName"          text,
    "allAttributes"      jsonb,
    "isSpam"             boolean,
    "webSafeEmailStatus" text
);

-- How often each entity type comes, of 100, and its medium: 0 EMAIL_IN, 1 EMAIL_OUT, 2 CHAT,
-- 3 PHONE_CALL, 5 CALLBACK, 6 COBROWSE, 7 INTERACTION (open media, of several media).
CREATE TEMP TABLE kind ON COMMIT DROP AS
    SELECT d.*, m.type_id, m.subtype_id
      FROM (SELECT n::bigint, CASE WHEN n < 24 THEN 0 WHEN n < 42 THEN 1 WHEN n < 64 THEN 2
                                   WHEN n < 84 THEN 3 WHEN n < 89 THEN 5 WHEN n < 91 THEN 6
                                   ELSE 7 END AS entity,
                   CASE WHEN n < 42 THEN 102 WHEN n < 64 THEN 105 WHEN n < 82 THEN 100
                        WHEN n < 84 THEN 101 WHEN n < 88 THEN 112 WHEN n < 89 THEN 1034
                        WHEN n < 91 THEN 107
                        ELSE (ARRAY[111, 111, 110, 117, 122, 1031, 1032, 1033, 113])[n - 90] END AS media
              FROM generate_series(0, 99) n) d
      JOIN (VALUES (0, 'Inbound', 'InboundNew'), (1, 'Outbound', 'OutboundReply'),
                   (2, 'Inbound', 'InboundNew'), (3, 'Inbound', 'InboundNew'),
                   (5, 'Outbound', 'OutboundNew'), (6, 'Internal', NULL), (7, 'Unknown', ''))
           AS m (entity, type_id, subtype_id) USING (entity);
ANALYZE kind;

INSERT INTO ucs.interaction
SELECT ccid, ixn, CASE WHEN age_days < 3 THEN pick(k, 1, 4)::int ELSE 3 END, kind.entity, kind.media,
       kind.type_id, kind.subtype_id,
       CASE WHEN kind.entity IN (0, 1) THEN '<' || k || '.' || pick(k, 2, 1000000) || '@mail.example.com>' END,
       CASE WHEN pick(k, 3, 20) > 0 THEN 1000 + pick(k, 4, 80)::int END,
       contact,
       CASE WHEN kind.entity = 1 AND i > 1 THEN lpad(upper(to_hex(i - 1)), 10, '0') || suffix END,
       started,
       started + make_interval(secs => pick(k, 5, 7200000) / 1000.0),
       CASE WHEN age_days >= 3 THEN started + make_interval(secs => pick(k, 6, 3600000) / 1000.0) END,
       CASE WHEN kind.entity IN (0, 1, 2) THEN lpad(upper(to_hex(i - i % 3)), 10, '0') || suffix END,
       CASE WHEN pick(k, 7, 3) = 0 THEN 'category-' || pick(k, 8, 40) END,
       (ARRAY[0, 60, 120, 330, -300, -480])[1 + pick(k, 9, 6)]::smallint,
       CASE WHEN kind.entity IN (0, 1) THEN
                CASE WHEN kind.entity = 1 THEN 'Re: ' ELSE '' END || left(split_part(f1.body, E'\n', 1), 120)
            WHEN kind.entity = 7 THEN (ARRAY['Claim 📄', 'Meter reading', '', 'Ticket #' || k])[1 + pick(k, 10, 4)] END,
       CASE WHEN kind.entity IN (0, 1) THEN
                'Dear ' || CASE WHEN kind.entity = 0 THEN 'team' ELSE person.first[1 + pick(k, 11, 30)] END
                || E',\r\n\r\n' || f1.body || E'\r\n\r\n' || f2.body
                || CASE WHEN pick(k, 12, 3) = 0 THEN E'\r\n\r\n' || f3.body ELSE '' END
                || E'\r\n\r\nKind regards,\r\n' || person.first[1 + pick(k, 13, 30)] || ' '
                || person.last[1 + pick(k, 14, 30)]
                || CASE WHEN pick(k, 15, 10) = 0 THEN E'\r\n\r\n👍🏽 sent from my 📱' ELSE '' END
            WHEN kind.entity IN (2, 7) AND pick(k, 16, 4) > 0 THEN f2.body END,
       CASE WHEN kind.entity = 2 THEN
                '<chatTranscript startAt="' || to_char(started, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || '">'
                || '<message userNick="' || person.first[1 + pick(k, 17, 8)] || '"><msgText>'
                || replace(replace(f1.body, '&', '&amp;'), '<', '&lt;')
                || '</msgText></message><message userNick="agent"><msgText>'
                || replace(replace(f3.body, '&', '&amp;'), '<', '&lt;')
                || '</msgText></message></chatTranscript>'
            WHEN kind.entity = 0 AND pick(k, 18, 3) = 0 THEN
                '<html><body><p>' || replace(replace(f1.body, '&', '&amp;'), '<', '&lt;') || '</p></body></html>' END,
       CASE WHEN kind.entity = 2 THEN 'application/xml'
            WHEN kind.entity = 0 AND pick(k, 18, 3) = 0 THEN 'text/html' END,
       CASE WHEN kind.entity IN (3, 5) OR pick(k, 19, 8) = 0 THEN left(f3.body, 400)
            WHEN pick(k, 20, 8) = 0 THEN '' END,
       tenant_id, CASE WHEN pick(k, 21, 3) = 0 THEN pick(k, 22, 5)::int END,
       CASE WHEN kind.entity IN (0, 1) THEN md5(i::text) END,
       kind.entity IN (0, 2), 130 + pick(k, 23, 6)::int,
       (ARRAY['Sales', 'Claims', 'Support', 'Überlauf', 'VIP ⭐', NULL])[1 + pick(k, 24, 6)],
       jsonb_build_object('Lang', (ARRAY['en', 'de', 'fr', 'ja'])[1 + pick(k, 25, 4)],
                          'DispositionCode', (ARRAY['resolved', 'callback', 'escalated', NULL])[1 + pick(k, 26, 4)])
       || CASE kind.entity
          WHEN 3 THEN jsonb_build_object('PhoneNumber', '+1555' || lpad(pick(k, 27, 10000000)::text, 7, '0'),
                                         'Duration', pick(k, 28, 3600), 'Score', pick(k, 29, 1000) / 100.0,
                                         'TConnectionId', lpad(to_hex(k), 16, '0'))
          WHEN 0 THEN jsonb_build_object('FromAddress', 'contact' || pick(k, 30, 9999) || '@example.com',
                                         'ToAddresses', jsonb_build_array('service@' || ccid || '.example'),
                                         'Header', jsonb_build_object('X-Mailer', 'a"b\c', 'X-Spam', NULL))
          WHEN 5 THEN jsonb_build_object('Attempts', pick(k, 31, 5), 'CallbackResult', NULL)
          ELSE '{}' END,
       CASE WHEN kind.entity = 0 THEN pick(k, 32, 30) = 0 END,
       CASE WHEN kind.entity IN (0, 1) THEN (ARRAY['safe', 'unchecked', ''])[1 + pick(k, 33, 3)] END
  FROM (SELECT c.ccid, c.tenant_id, c.contacts, i, i + c.salt AS k, suffix,
               lpad(upper(to_hex(i)), 10, '0') || suffix AS ixn,
               lpad(upper(to_hex(1 + pick(i + c.salt, 40, c.contacts))), 8, '0') || 'a57JGQ00A8' AS contact,
               pick(i + c.salt, 41, 100) AS kind_n,
               pick(i + c.salt, 42, :fortunes) AS n1, pick(i + c.salt, 43, :fortunes) AS n2,
               pick(i + c.salt, 44, :fortunes) AS n3,
               :'now'::timestamptz - make_interval(secs => age / 1000000.0) AS started,
               age / 86400000000 AS age_days
          FROM centre c
         CROSS JOIN LATERAL generate_series(1, c.interactions) i
         -- 24 months in microseconds; the first 500 ids exist in both centres.
         CROSS JOIN LATERAL (SELECT pick(i + c.salt, 45, 730::bigint * 86400000000),
                                    CASE WHEN c.salt = 0 OR i <= 500 THEN 'JGQ00A' ELSE 'JGQ00B' END
                            ) AS v (age, suffix)) r
 CROSS JOIN person
  JOIN kind ON kind.n = r.kind_n
  JOIN fortune f1 ON f1.n = r.n1
  JOIN fortune f2 ON f2.n = r.n2
  JOIN fortune f3 ON f3.n = r.n3;

-- What an export has trouble with, in each centre, all within the last days.
INSERT INTO ucs.interaction (ccid, "ixnId", "status", "entityTypeId", "mediaTypeId", "startDate", "subject",
                             "text", "theComment", "tenantId", "timeShift", "allAttributes")
SELECT c.ccid, 'ODD0' || lpad(o.n::text, 6, '0') || 'JGQ00A', o.n % 4, o.entity, o.media,
       CASE WHEN o.dated THEN :'now'::timestamptz - make_interval(hours => 1 + o.n) END,
       o.subject, o.body, NULL, c.tenant_id, -32768, o.attributes::jsonb
  FROM centre c CROSS JOIN (VALUES
        (1, 0, 102, true,  'five megabytes', repeat(E'5 MB \U0001F4BE \u00fc "quoted" \\ ', 220000), NULL),
        (2, 0, 102, true,  '', '', '{}'),
        (3, 1, 102, true,  E'control \x01\x02\x1f\x7f characters', E'tab\tnewline\ncr\rbs\bff\f\x0b\x1b[31mred', '{"a": "\u0001\t\n"}'),
        (4, 2, 105, true,  E'"quotes" ''single'' \\backslash\\ /slash/', '</script><!-- {"not": "json"} -->', '{"\"k\\": ["\\", "\""]}'),
        (5, 2, 105, true,  '👩‍👩‍👧‍👦 🏳️‍🌈 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ﷽ ‮rtl‬', E'line sep \u2028 para sep \u2029 bom \ufeff nbsp \u00a0', '{"emoji 😀": "😀"}'),
        (6, 3, 100, false, 'no date at all', NULL, 'null'),
        (7, 5, 112, false, NULL, NULL, NULL),
        (8, 6, NULL, true, 'no medium', NULL, '[1, 1.50, 1e400, -0.0, true, null, [], {}]'),
        (9, 7, 110, true,  'big numbers', NULL, '{"n": 123456789012345678901234567890.12345678901234567890}')
       ) AS o (n, entity, media, dated, subject, body, attributes);

ALTER TABLE ucs.interaction ADD PRIMARY KEY (ccid, "ixnId");
CREATE INDEX interaction_started ON ucs.interaction (ccid, "startDate");

-- Files that hang on e-mails and chats. Ids repeat between the centres, too.
CREATE TABLE ucs.document (
    ccid        text NOT NULL,
    "id"        text NOT NULL,
    "entityid"  text NOT NULL,
    "name"      text,
    "mimeType"  text,
    "content"   bytea
);
ALTER TABLE ucs.document ALTER COLUMN content SET STORAGE EXTERNAL;

INSERT INTO ucs.document
SELECT e.ccid, 'DOC' || lpad(e.rank::text, 13, '0'), e."ixnId",
       CASE pick(e.rank, 60, 12) WHEN 0 THEN 'Rechnung Übersicht "final" ' || f.name
                                 WHEN 1 THEN '../' || f.name WHEN 2 THEN '写真📷 ' || f.name
                                 ELSE f.name END,
       f.mime, f.content
  FROM (SELECT i.ccid, i."ixnId", row_number() OVER (PARTITION BY i.ccid ORDER BY
                                                     hashtextextended(i."ixnId", 61), i."ixnId") AS rank
          FROM ucs.interaction i WHERE "entityTypeId" IN (0, 1, 2) AND "startDate" IS NOT NULL
           AND "ixnId" NOT LIKE 'ODD%') e
  JOIN centre c USING (ccid)
  JOIN attached_file f ON f.n = (e.rank - 1) % :files
 WHERE e.rank <= c.documents;

INSERT INTO ucs.document
SELECT c.ccid, 'ODDDOC' || lpad(o.n::text, 10, '0'), 'ODD0' || lpad(o.entity::text, 6, '0') || 'JGQ00A',
       o.name, o.mime, o.content
  FROM centre c CROSS JOIN (VALUES
        (1, 1, 'empty.txt', 'text/plain', ''::bytea),
        (2, 1, NULL, NULL, NULL),
        (3, 3, E'tab\tand\nnewline.bin', 'application/octet-stream', '\x00ff01fe0d0a1a'::bytea),
        (4, 6, 'of a row without a date.txt', 'text/plain', 'no date'::bytea),
        (5, 5, 'second of the same.txt', 'text/plain; charset=utf-8', convert_to('zwei 2️⃣', 'UTF8')),
        (6, 5, 'second of the same.txt', 'text/plain; charset=utf-8', convert_to('zwei 2️⃣', 'UTF8'))
       ) AS o (n, entity, name, mime, content);
-- Recent ones of each kind, so that a short export shows them.
INSERT INTO ucs.document
SELECT i.ccid, 'NEWDOC' || lpad(i.rank::text, 10, '0'), i."ixnId", f.name, f.mime, f.content
  FROM (SELECT ccid, "ixnId", row_number() OVER (PARTITION BY ccid ORDER BY "startDate" DESC, "ixnId") AS rank
          FROM ucs.interaction WHERE "entityTypeId" = 0 AND "startDate" IS NOT NULL) i
  JOIN (SELECT f.*, row_number() OVER (ORDER BY (row_number) , mime) AS nth
          FROM (SELECT *, row_number() OVER (PARTITION BY mime ORDER BY n) FROM attached_file) f) f
    ON f.nth = i.rank
 WHERE i.rank <= 12;
ALTER TABLE ucs.document ADD PRIMARY KEY (ccid, id);
CREATE INDEX document_entity ON ucs.document (ccid, entityid);

DROP FUNCTION ucs.pick(bigint, bigint, bigint);
DROP FUNCTION ucs.attribute(text, boolean, text);

-- Who reads it: a role of its own, without any right in schema udm.
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'udm_reader_ucs') AS no_reader \gset
\if :no_reader
CREATE ROLE udm_reader_ucs LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT;
\endif
GRANT CONNECT ON DATABASE :"DBNAME" TO udm_reader_ucs;
GRANT USAGE ON SCHEMA ucs TO udm_reader_ucs;
GRANT SELECT ON ALL TABLES IN SCHEMA ucs TO udm_reader_ucs;

-- What may be exported.
SELECT udm.create_tenant(t.ccid, t.name)
  FROM (VALUES ('harbour-insurance', 'Harbour Insurance'), ('lakeside-energy', 'Lakeside Energy'))
       AS t (ccid, name)
 WHERE NOT EXISTS (SELECT FROM udm.tenant u WHERE u.ccid = t.ccid) \g /dev/null

SELECT udm.register_source('UCS', 'UCS', 'lines', 'ucs', 'Contact History', 'Contact History'),
       udm.register_source('UCSX', 'UCS', 'records', 'ucs', 'Universal Contact Server X') \g /dev/null

SELECT udm.register_type(s.name, 'Interaction', 'ucs.interaction', 'ixnId',
                         tenant_column => 'ccid', time_column => 'startDate',
                         subtype_column => 'entityTypeId', media_column => 'mediaTypeId',
                         columns => ARRAY(SELECT attname::text FROM pg_attribute
                                           WHERE attrelid = 'ucs.interaction'::regclass AND attnum > 1
                                           ORDER BY attnum)),
       udm.register_attachments(s.name, 'Interaction', 'ucs.document', 'id', 'entityid', 'name',
                                'mimeType', 'content', tenant_column => 'ccid'),
       udm.register_type(s.name, 'Contact', 'ucs.contact', 'id',
                         tenant_column => 'ccid', time_column => 'modifiedDate',
                         columns => ARRAY(SELECT attname::text FROM pg_attribute
                                           WHERE attrelid = 'ucs.contact'::regclass AND attnum > 1
                                           ORDER BY attnum))
  FROM (VALUES ('UCS'), ('UCSX')) AS s (name) \g /dev/null

SELECT udm.register_attributes(s.name, t.name)
  FROM (VALUES ('UCS'), ('UCSX')) AS s (name)
 CROSS JOIN (VALUES ('Interaction'), ('Contact')) AS t (name) \g /dev/null

SELECT udm.register_sub_type(s.name, 'Interaction', e.value, e.name, e.label)
  FROM (VALUES ('UCS'), ('UCSX')) AS s (name)
 CROSS JOIN (VALUES ('0', 'EMAIL_IN', 'Inbound e-mail'), ('1', 'EMAIL_OUT', 'Outbound e-mail'),
                    ('2', 'CHAT', 'Chat'), ('3', 'PHONE_CALL', 'Phone call'),
                    ('5', 'CALLBACK', 'Callback'), ('6', 'COBROWSE', 'Co-browse'),
                    ('7', 'INTERACTION', 'Open media')) AS e (value, name, label) \g /dev/null

SELECT udm.register_media(s.name, 'Interaction', m.value, m.name, m.label)
  FROM (VALUES ('UCS'), ('UCSX')) AS s (name)
 CROSS JOIN (VALUES
        ('100', 'voice', 'Voice'), ('101', 'voip', 'Voice over IP'), ('102', 'email', 'E-mail'),
        ('103', 'vmail', 'Voice mail'), ('104', 'smail', 'Scanned mail'), ('105', 'chat', 'Chat'),
        ('106', 'video', 'Video'), ('107', 'cobrowsing', 'Co-browsing'),
        ('108', 'whiteboard', 'Whiteboard'), ('109', 'appsharing', 'Application sharing'),
        ('110', 'webform', 'Web form'), ('111', 'workitem', 'Work item'),
        ('112', 'callback', 'Callback'), ('113', 'fax', 'Fax'), ('114', 'imchat', 'Instant messaging'),
        ('115', 'busevent', 'Business event'), ('116', 'alert', 'Alert'), ('117', 'sms', 'SMS'),
        ('118', 'any', 'Any'), ('119', 'auxwork', 'Auxiliary work'),
        ('120', 'outboundpreview', 'Outbound preview'), ('121', 'trainingitem', 'Training item'),
        ('122', 'smssession', 'SMS session'), ('123', 'mms', 'MMS'), ('124', 'mmssession', 'MMS session'),
        ('1031', 'twitter', 'Twitter'), ('1032', 'facebook', 'Facebook'),
        ('1033', 'facebooksession', 'Facebook session'), ('1034', 'webcallback', 'Web callback'))
       AS m (value, name, label) \g /dev/null

COMMIT;
ANALYZE ucs.interaction;
ANALYZE ucs.contact;
ANALYZE ucs.document;

SELECT format('loaded %s interactions, %s contacts and %s attachments of 2 contact centres',
              (SELECT count(*) FROM ucs.interaction), (SELECT count(*) FROM ucs.contact),
              (SELECT count(*) FROM ucs.document));
