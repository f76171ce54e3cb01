<?php
// index.php: the operations that the benchmarks measure, as a user of PHP-FPM would write them:
// persistent connections on which named statements stay prepared, tokens checked by openssl_verify,
// all code and settings in opcache. $_SERVER['UDM_SETTINGS'] is a file that returns an array, see
// peers.py.
declare(strict_types=1);

require __DIR__ . '/auth.php';
require __DIR__ . '/jobs.php';

const TITLES = [400 => 'Bad Request', 401 => 'Unauthorized', 403 => 'Forbidden', 404 => 'Not Found',
    500 => 'Internal Server Error'];

final class Problem extends Exception
{
    public function __construct(public int $status, string $detail, public ?array $errors = null)
    {
        parent::__construct($detail);
    }
}

final class Database
{
    private PgSql\Connection $connection;

    public function __construct(private array $settings)
    {
        $this->connection = pg_pconnect($settings['dsn']);
    }

    // The statement is prepared once for each connection, which outlives the request.
    public function query(string $name, array $values): array
    {
        $result = @pg_execute($this->connection, $name, $values);
        if ($result === false) {
            if (!@pg_prepare($this->connection, $name, $this->settings['sql'][$name])) {
                throw new Problem(500, 'the server made a mistake');
            }
            $result = pg_execute($this->connection, $name, $values);
        }
        return pg_fetch_all($result);
    }
}

// An array of text as PostgreSQL reads it.
function array_literal(array $values): string
{
    return '{' . implode(',', array_map(fn ($v) => '"' . addcslashes($v, '"\\') . '"', $values)) . '}';
}

function encode(mixed $value): string
{
    return json_encode($value, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR);
}

function may(array $who, string $source, string $type, string $what): bool
{
    foreach ($who['rights'] as $right) {
        if ($right[$what] && $right['source'] === $source && $right['type'] === $type) {
            return true;
        }
    }
    return false;
}

// A row of text as the API shows it.
function job_info(array $row): array
{
    $row['id'] = (int)$row['id'];
    $row['fileSize'] = (int)$row['fileSize'];
    $row['media'] = json_decode($row['media']);
    $row['progress'] = (int)$row['progress'];
    $row['parentId'] = (int)$row['parentId'];
    $row['exportAttachments'] = $row['exportAttachments'] === 't';
    if ($row['statusReason'] === null) {
        unset($row['statusReason']);
    }
    return $row;
}

function answer(int $status, string $body, string $type = 'application/json'): void
{
    http_response_code($status);
    header('Content-Type: ' . $type);
    header('Content-Length: ' . strlen($body));
    echo $body;
}

// Answers with the entity tag of the body, or with the 304 that it calls for.
function answer_tagged(int $status, string $body): void
{
    $etag = '"' . substr(hash('sha256', $body), 0, 32) . '"';
    header('ETag: ' . $etag);
    if ($_SERVER['REQUEST_METHOD'] === 'GET' && ($_SERVER['HTTP_IF_NONE_MATCH'] ?? '') === $etag) {
        http_response_code(304);
        return;
    }
    answer($status, $body);
}

function get_job(Database $db, array $who, string $id): void
{
    if (!preg_match('/^0*[1-9][0-9]{0,17}$/', $id)) {
        throw new Problem(400, 'the id in the path must be a positive number');
    }
    $rows = $db->query('job_get', [$id, $who['ccid']]);
    if (!$rows || !may($who, $rows[0]['source'], $rows[0]['type'], 'read')) {
        throw new Problem(404, 'there is no job with this id');
    }
    header('Cache-Control: private, no-cache');
    answer_tagged(200, encode(job_info($rows[0])));
}

function list_runs(Database $db, array $who): void
{
    $from = $_GET['from'] ?? '0';
    $size = $_GET['size'] ?? '999999999';
    if (!preg_match('/^[0-9]{1,18}$/', $from)) {
        throw new Problem(400, 'from must be a number from 0 on');
    }
    if (!preg_match('/^0*[1-9][0-9]{0,17}$/', $size)) {
        throw new Problem(400, 'size must be a number from 1 on');
    }
    $rights = [$who['ccid'], $who['sources'], $who['types']];
    $count = (int)$db->query('run_count', $rights)[0]['count'];
    if ($count === 0) {
        http_response_code(204);
        return;
    }
    $items = array_map(job_info(...), $db->query('run_page', [...$rights, $size, $from]));
    answer(200, encode(['count' => $count, 'from' => (int)$from, 'items' => $items, 'size' => (int)$size]));
}

function create_job(Database $db, array $who, array $settings, string $request_id): void
{
    $job = read_job(json_decode(file_get_contents('php://input')));
    check_job($job, $db->query('job_check', [$job->source, $job->type, $who['ccid']])[0], $who);
    $made = $db->query('job_insert', job_values($job, $who, $_SERVER['REMOTE_ADDR'], $request_id))[0];
    $db->query('job_hint', []);
    header("Location: {$settings['url']}/v10/export/jobs/{$made['id']}");
    answer_tagged(202, encode([
        'id' => (int)$made['id'], 'type' => $job->type, 'source' => $job->source, 'title' => $job->title,
        'fileSplitSize' => $job->split_size, 'fileName' => null, 'fileSize' => 0,
        'status' => $made['status'], 'createdDate' => $made['created'], 'dateFrom' => $made['dateFrom'],
        'dateTo' => $made['dateTo'], 'description' => $job->description ?? '', 'media' => $job->media,
        'progress' => 0, 'parentId' => 0, 'exportAttachments' => $job->attachments]));
}

function request_id(): string
{
    $sent = $_SERVER['HTTP_X_REQUEST_ID'] ?? '';
    if (preg_match('~^[A-Za-z0-9._\-:+/=@]{1,128}$~', $sent)) {
        return $sent;
    }
    $bytes = random_bytes(16);
    $bytes[6] = chr(ord($bytes[6]) & 0x0f | 0x40);
    $bytes[8] = chr(ord($bytes[8]) & 0x3f | 0x80);
    return vsprintf('%s%s-%s-%s-%s-%s%s%s', str_split(bin2hex($bytes), 4));
}

function main(): void
{
    $settings = require $_SERVER['UDM_SETTINGS'];
    $request_id = request_id();
    header('Cache-Control: no-store');
    header('X-Content-Type-Options: nosniff');
    header('X-Request-Id: ' . $request_id);
    try {
        $db = new Database($settings);
        $who = authenticate($db, $settings);
        $path = strtok($_SERVER['REQUEST_URI'], '?');
        $method = $_SERVER['REQUEST_METHOD'];
        if ($method === 'GET' && preg_match('~^/udm/v10/export/jobs/([^/]+)$~', $path, $found)) {
            get_job($db, $who, $found[1]);
        } elseif ($method === 'GET' && $path === '/udm/v10/export/history') {
            list_runs($db, $who);
        } elseif ($method === 'POST' && $path === '/udm/v10/export/jobs') {
            create_job($db, $who, $settings, $request_id);
        } else {
            throw new Problem(404, 'there is no such operation');
        }
    } catch (Problem $problem) {
        // Errors are problem documents (RFC 9457).
        if ($problem->status === 401) {
            header('WWW-Authenticate: Bearer realm="UDM"');
        }
        $body = ['type' => 'about:blank', 'title' => TITLES[$problem->status],
            'status' => $problem->status, 'detail' => $problem->getMessage()];
        answer($problem->status, encode($problem->errors ? $body + ['errors' => $problem->errors] : $body),
            'application/problem+json');
    }
}

main();
