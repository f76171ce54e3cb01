<?php
// auth.php: who asks, by API key and token, and what he may do.
declare(strict_types=1);

const DIGESTS = ['RS256' => OPENSSL_ALGO_SHA256, 'RS384' => OPENSSL_ALGO_SHA384,
    'RS512' => OPENSSL_ALGO_SHA512];
const SKEW = 60;

function base64url(string $text): string|false
{
    return base64_decode(strtr($text, '-_', '+/'), true);
}

// The claims of a token that is signed and valid now, and for how long it will be.
function verify_token(string $token, string $public_key): array
{
    $parts = explode('.', $token);
    $header = count($parts) === 3 ? json_decode((string)base64url($parts[0])) : null;
    $digest = is_object($header) ? DIGESTS[$header->alg ?? ''] ?? null : null;
    if ($digest === null || isset($header->crit) || strcasecmp($header->typ ?? 'JWT', 'JWT') !== 0 ||
        openssl_verify("$parts[0].$parts[1]", (string)base64url($parts[2]), $public_key, $digest) !== 1) {
        throw new Problem(401, 'the token is not valid');
    }
    $claims = json_decode((string)base64url($parts[1]));
    $now = microtime(true);
    if (!is_object($claims) || !is_numeric($claims->exp ?? null) || $now >= $claims->exp + SKEW) {
        throw new Problem(401, 'the token has expired');
    }
    if (isset($claims->nbf) && (!is_numeric($claims->nbf) || $now < $claims->nbf - SKEW)) {
        throw new Problem(401, 'the token is not valid yet');
    }
    return [$claims, $claims->exp + SKEW - $now];
}

function read_token(array $settings): array
{
    $header = $_SERVER['HTTP_AUTHORIZATION'] ?? '';
    if (!str_starts_with($header, 'Bearer ')) {
        throw new Problem(401, 'send a token in the header Authorization: Bearer <token>');
    }
    $token = substr($header, 7);
    $claims = recall('token ' . hash('sha256', $token), $settings['cache'],
        fn () => verify_token($token, $settings['public_key']));
    $ccid = $claims->contact_center_id ?? null;
    if (!is_string($ccid) || $ccid === '') {
        throw new Problem(403, 'the token does not name a contact centre');
    }
    $roles = [];
    foreach ((array)($claims->authorities ?? []) as $role) {
        $name = is_object($role) ? $role->name ?? null : $role;
        if (is_string($name) && $name !== '' && $name !== '*') {
            $roles[] = $name;
        }
    }
    return ['ccid' => $ccid, 'subject' => is_string($claims->sub ?? null) ? $claims->sub : '',
        'roles' => $roles];
}

// What both the key and the token allow.
function common_rights(?string $key_rights, ?string $token_rights): array
{
    $rights = [];
    $others = json_decode($token_rights ?? '[]');
    foreach (json_decode($key_rights ?? '[]') as [$source, $type, $read, $write]) {
        foreach ($others as $other) {
            if ($other[0] === $source && $other[1] === $type) {
                $rights[] = ['source' => $source, 'type' => $type, 'read' => $read && $other[2],
                    'write' => $write && $other[3]];
            }
        }
    }
    return $rights;
}

// What was found a moment ago, as long as it is good, else what $find gives: a value, and for how many
// seconds it is good at most (null: no limit). $cache is a number of seconds, 0 for no cache.
function recall(string $id, int $cache, callable $find): mixed
{
    $since = microtime(true);
    $found = $cache > 0 ? apcu_fetch($id) : false;
    if ($found !== false && $since < $found[1]) {
        return $found[0];
    }
    [$value, $good_for] = $find();
    if ($cache > 0) {
        apcu_store($id, [$value, $since + min($good_for ?? $cache, $cache)], $cache);
    }
    return $value;
}

// What was found for the roles of a generation is good as long as that is, but for a minute at most.
function rights_of(Database $db, string $generation, array $key_roles, array $token): array
{
    $id = 'rights ' . serialize([$generation, $token['ccid'], $key_roles, $token['roles']]);
    return recall($id, 60, function () use ($db, $key_roles, $token) {
        $row = $db->query('rights', [array_literal($key_roles), array_literal($token['roles']),
            $token['ccid']])[0];
        return [common_rights($row['key_rights'], $row['token_rights']), null];
    });
}

function look_up(Database $db, string $id, string $secret, array $token): array
{
    $row = $db->query('authenticate', [$id, $token['ccid']])[0];
    if ($row['secret'] === null || !hash_equals($row['secret'], $secret) || $row['revoked'] === 't') {
        throw new Problem(401, 'the API key is not valid');
    }
    if ($row['expired'] === 't') {
        throw new Problem(401, 'the API key has expired');
    }
    if ($row['key_ccid'] !== $token['ccid']) {
        throw new Problem(403, 'the API key and the token belong to different contact centers');
    }
    if ($row['token_ccid'] === null) {
        throw new Problem(403, 'the contact center of the token is not known here');
    }
    $rights = rights_of($db, $row['generation'], json_decode($row['key_roles']), $token);
    if ($row['use_is_news'] === 't') {
        $db->query('key_used', [$id]);
    }
    $readable = array_filter($rights, fn ($right) => $right['read']);
    $who = ['ccid' => $token['ccid'], 'subject' => $token['subject'], 'key_id' => $id,
        'rights' => $rights, 'sources' => array_literal(array_column($readable, 'source')),
        'types' => array_literal(array_column($readable, 'type'))];
    return [$who, $row['good_for'] === null ? null : (float)$row['good_for']];
}

function authenticate(Database $db, array $settings): array
{
    $sent = $_SERVER['HTTP_X_API_KEY'] ?? null;
    if ($sent !== null && !preg_match('/^udm_([0-9a-f]{12})_([0-9a-f]{64})$/D', $sent, $key)) {
        throw new Problem(401, 'the API key is not valid');
    }
    $token = read_token($settings);
    if ($sent === null) {
        throw new Problem(401, 'send an API key in the header x-api-key');
    }
    $secret = hash('sha256', $key[2]);
    $id = 'who ' . serialize([$key[1], $secret, $token]);
    return recall($id, $settings['cache'], fn () => look_up($db, $key[1], $secret, $token));
}
