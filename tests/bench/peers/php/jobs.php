<?php
// jobs.php: the job that a client sends: its form, what it is held against, and how it is stored.
declare(strict_types=1);

const UNITS = ['' => 1, 'kb' => 1000, 'mb' => 1000000, 'gb' => 1000000000, 'kib' => 1 << 10,
    'mib' => 1 << 20, 'gib' => 1 << 30];

function fault(string $pointer, string $detail): Problem
{
    return new Problem(400, 'the job is not valid', [['pointer' => $pointer, 'detail' => $detail]]);
}

// A member of one of these types ("string", "object", "array", "boolean"); null when it is absent.
function member(object $parent, string $pointer, string $type, bool $required = false): mixed
{
    $value = $parent->{basename($pointer)} ?? null;
    if ($value === null && $required) {
        throw fault($pointer, 'is required');
    }
    if ($value !== null && gettype($value) !== $type) {
        throw fault($pointer, "must be of type $type");
    }
    return $value;
}

function name_of(object $parent, string $pointer): string
{
    $value = member($parent, $pointer, 'string', true);
    if (trim($value, " \t\r\n") === '') {
        throw fault($pointer, 'must not be empty');
    }
    return $value;
}

// An instant, or a date, which means its midnight, as PostgreSQL reads it.
function instant(object $parent, string $pointer): ?string
{
    $value = member($parent, $pointer, 'string');
    if ($value === null) {
        return null;
    }
    if (!preg_match('/^\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?$/iD', $value, $found) ||
        strtotime($value) === false) {
        throw fault($pointer, 'must be an RFC 3339 date or instant');
    }
    return isset($found[1]) ? $value : $value . 'T00:00:00Z';
}

function split_bytes(string $size): ?int
{
    if ($size === '') {
        return null;
    }
    $bytes = preg_match('/^(\d{1,15}) ?([A-Za-z]*)$/D', $size, $found)
        ? (int)$found[1] * (UNITS[strtolower($found[2])] ?? 0) : 0;
    if ($bytes < 65536) {
        throw fault('/jobParams/fileSplitSize', 'must be a number of bytes, at least 65536');
    }
    return $bytes;
}

function read_job(mixed $body): stdClass
{
    if (!$body instanceof stdClass) {
        throw fault('', 'must be a JSON object');
    }
    $frame = member($body, '/timeFrame', 'object', true);
    $schedule = member($body, '/schedulerParam', 'object', true);
    $params = member($body, '/jobParams', 'object', true);
    $job = new stdClass();
    $job->source = name_of($body, '/source');
    $job->family = member($body, '/type', 'string', true);
    $job->title = name_of($body, '/title');
    $job->description = member($body, '/description', 'string');
    $job->type = name_of($params, '/jobParams/type');
    $job->media = member($params, '/jobParams/media', 'array', true);
    $job->attachments = member($params, '/jobParams/exportAttachments', 'boolean') ?? false;
    $job->split_size = member($params, '/jobParams/fileSplitSize', 'string') ?? '';
    $job->split_bytes = split_bytes($job->split_size);
    $job->suspended = member($body, '/suspended', 'boolean', true);
    $job->all = member($frame, '/timeFrame/all', 'boolean') ?? false;
    $job->from = instant($frame, '/timeFrame/dateFrom');
    $job->to = instant($frame, '/timeFrame/dateTo');
    $immediately = member($schedule, '/schedulerParam/immediately', 'boolean');
    $job->start = instant($schedule, '/schedulerParam/startDate');
    $job->schedule = $schedule;
    if ($job->family !== 'UCS' && $job->family !== 'DataSync') {
        throw fault('/type', 'must be UCS or DataSync');
    }
    if (iconv_strlen($job->title, 'UTF-8') > 255 || preg_match('/[\x00-\x1f\x7f-\x{9f}]/u', $job->title)) {
        throw fault('/title', 'must have at most 255 characters, and no control characters');
    }
    if (iconv_strlen($job->description ?? '', 'UTF-8') > 4000) {
        throw fault('/description', 'must have at most 4000 characters');
    }
    foreach ($job->media as $i => $medium) {
        if (!is_string($medium) || $medium === '') {
            throw fault("/jobParams/media/$i", 'must be a string that is not empty');
        }
    }
    if ($job->all && ($job->from !== null || $job->to !== null)) {
        throw fault('/timeFrame/all', 'cannot stand beside dateFrom or dateTo');
    }
    if ($job->from !== null && $job->to !== null && strtotime($job->to) <= strtotime($job->from)) {
        throw fault('/timeFrame/dateTo', 'must be later than dateFrom');
    }
    if (isset($schedule->cron) || isset($schedule->runs) || ($immediately && $job->start !== null) ||
        ($immediately === false && $job->start === null)) {
        throw fault('/schedulerParam', 'must be immediately, or a startDate');
    }
    if (!empty($params->filters)) {
        throw fault('/jobParams/filters', 'must be empty'); // what has any is none of the measured jobs
    }
    return $job;
}

// The certificate must be one that a run of the job could encrypt for.
function check_certificate(array $row): void
{
    if ($row['pem'] === null) {
        throw new Problem(400, 'there is no certificate to encrypt the export for');
    }
    if ($row['expired'] === 't') {
        throw new Problem(400, 'the certificate to encrypt the export for has expired');
    }
    $certificate = openssl_x509_read($row['pem']);
    $key = $certificate ? openssl_pkey_get_details(openssl_pkey_get_public($certificate)) : null;
    if (!$key || $key['type'] !== OPENSSL_KEYTYPE_RSA || $key['bits'] < 2048 || $key['bits'] > 16384) {
        throw new Problem(400, 'the certificate needs an RSA key of 2048 to 16384 bits');
    }
    $about = openssl_x509_parse($certificate);
    $usage = $about['extensions']['keyUsage'] ?? 'Key Encipherment';
    if (time() < $about['validFrom_time_t'] || time() > $about['validTo_time_t'] ||
        !str_contains($usage, 'Key Encipherment')) {
        throw new Problem(400, 'the certificate cannot be used now');
    }
}

function check_job(stdClass $job, array $row, array $who): void
{
    if ($row['type'] !== null && !may($who, $row['source'], $row['type'], 'write')) {
        throw new Problem(403, "this needs a role that may export data of type \"{$row['type']}\"");
    }
    if ($row['source'] === null) {
        throw fault('/source', 'there is no such source');
    }
    if ($job->family !== $row['family']) {
        throw fault('/type', "the source is of family {$row['family']}");
    }
    if ($row['type'] === null) {
        throw fault('/jobParams/type', 'there is no such type in the source');
    }
    $job->source = $row['source'];
    if (!$job->all && $row['has_time'] !== 't') {
        throw fault('/timeFrame', 'data of this type has no time');
    }
    $legal = [];
    foreach (json_decode($row['media'] ?? '[]') as $name) {
        $legal[strtolower($name)] = $name;
    }
    $media = [];
    foreach ($job->media as $name) {
        $found = $legal[strtolower($name)] ?? throw fault('/jobParams/media', "there is no medium \"$name\"");
        $media[$found] = $found;
    }
    $job->media = array_values($media);
    check_certificate($row);
}

// The parameters of job_insert.
function job_values(stdClass $job, array $who, string $address, string $request_id): array
{
    return [$who['ccid'], $job->family, $job->source, $job->type, $job->title, $job->description,
        $job->all ? 't' : 'f', $job->from, $job->to, array_literal($job->media),
        $job->attachments ? 't' : 'f', $job->split_size === '' ? null : $job->split_size,
        $job->split_bytes, $job->start === null ? 'immediately' : 'once', encode($job->schedule),
        $job->start, $job->suspended ? 't' : 'f', $who['subject'], $who['key_id'], $address, $request_id,
        '[]'];
}
