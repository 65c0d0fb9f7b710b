<?php
/*
 * The guard as an application would write it in PHP: authorize and settle, each one durable transaction that
 * locks the account's row.  It is what octroi is compared with, so it is written to be fast: a persistent
 * connection, prices in memory, as few statements as the work needs, keys looked up by their digest.
 *
 * It does less than octroi: no expiry of holds, no grants, plans, members or limits, no hash chain.
 *
 * $GUARD_SETTINGS names a file that returns ['dsn', 'user', 'password', 'prices' => [model => [input, output]] in
 * pico-dollars a token, 'margin_ppm', 'rate_ppm'].
 */
declare(strict_types=1);

const TOKENS_MAX = 1_000_000_000;

/** An answer that is no success: status and name of the error. */
final class Refused extends Exception
{
    public function __construct(public readonly int $status, public readonly string $error)
    {
        parent::__construct($error);
    }
}

function connect(array $settings): PDO
{
    return new PDO($settings['dsn'], $settings['user'], $settings['password'], [
        PDO::ATTR_PERSISTENT => true,
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
        PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC,
        // One round trip a statement: what is prepared in a request is gone with it.
        PDO::ATTR_EMULATE_PREPARES => true,
        PDO::MYSQL_ATTR_INIT_COMMAND => 'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
    ]);
}

function run(PDO $db, string $sql, array $values = []): PDOStatement
{
    $statement = $db->prepare($sql);
    $statement->execute($values);
    return $statement;
}

/** Does $work in a transaction, once more where the database broke a deadlock. */
function transact(PDO $db, callable $work): array
{
    for ($attempt = 1; ; $attempt++) {
        $db->beginTransaction();
        try {
            $answer = $work();
            $db->commit();
            return $answer;
        } catch (PDOException $e) {
            $db->rollBack();
            if ($e->getCode() !== '40001' || $attempt === 3) {
                throw $e;
            }
        } catch (Refused $e) {
            $db->rollBack();
            throw $e;
        }
    }
}

function count_of(array $body, string $name, int $otherwise): int
{
    $count = $body[$name] ?? $otherwise;
    if (!is_int($count) || $count < 0 || $count > TOKENS_MAX) {
        throw new Refused(400, 'INVALID_REQUEST');
    }
    return $count;
}

function text_of(array $body, string $name, ?string $otherwise = null): ?string
{
    $text = $body[$name] ?? $otherwise;
    if ($text !== $otherwise && (!is_string($text) || $text === '' || strlen($text) > 128)) {
        throw new Refused(400, 'INVALID_REQUEST');
    }
    return $text;
}

/** Micros, rounded up once.  Beyond 64 bits PHP would go on in floating point: refused. */
function cost(array $settings, string $model, int $input, int $output): int
{
    $price = $settings['prices'][$model] ?? throw new Refused(422, 'UNKNOWN_MODEL');
    $product = ($input * $price[0] + $output * $price[1]) * $settings['margin_ppm'];
    $divisor = $settings['rate_ppm'] * 1_000_000;
    if (!is_int($product)) {
        throw new Refused(400, 'INVALID_REQUEST');
    }
    return intdiv($product, $divisor) + ($product % $divisor > 0 ? 1 : 0);
}

/** The stored answer of a request id, or null; another content under it is refused. */
function remembered(PDO $db, int $account, ?string $request, string $fingerprint): ?array
{
    if ($request === null) {
        return null;
    }
    $row = run($db, 'SELECT fingerprint, answer FROM requests WHERE account_id = ? AND request_id = ?',
        [$account, $request])->fetch();
    if ($row === false) {
        return null;
    }
    if (!hash_equals($row['fingerprint'], $fingerprint)) {
        throw new Refused(409, 'CONFLICT');
    }
    return ['replayed' => true] + json_decode($row['answer'], true);
}

function remember(PDO $db, int $account, ?string $request, string $fingerprint, array $answer): void
{
    if ($request !== null) {
        run($db, 'INSERT INTO requests (account_id, request_id, fingerprint, answer) VALUES (?, ?, ?, ?)',
            [$account, $request, $fingerprint, json_encode($answer)]);
    }
}

function authorize(PDO $db, array $settings, array $body): array
{
    $name = text_of($body, 'account') ?? throw new Refused(400, 'INVALID_REQUEST');
    $model = text_of($body, 'model') ?? throw new Refused(400, 'INVALID_REQUEST');
    $request = text_of($body, 'requestId');
    $input = count_of($body, 'inputTokens', 500);
    $output = count_of($body, 'maxOutputTokens', 2000);
    $reserved = cost($settings, $model, $input, $output);
    $fingerprint = hash('sha256', "$model $input $output", true);

    return transact($db, function () use ($db, $name, $model, $request, $input, $output, $reserved, $fingerprint) {
        $account = run($db, 'SELECT id, balance_micros, held_micros FROM accounts WHERE name = ? FOR UPDATE',
            [$name])->fetch() ?: throw new Refused(402, 'INSUFFICIENT_CREDITS');
        $before = remembered($db, $account['id'], $request, $fingerprint);
        if ($before !== null) {
            return $before;
        }
        $available = $account['balance_micros'] - $account['held_micros'] - $reserved;
        if ($available < 0) {
            throw new Refused(402, 'INSUFFICIENT_CREDITS');
        }
        run($db, 'INSERT INTO holds (account_id, model, input_tokens, max_output_tokens, reserved_micros)'
            . ' VALUES (?, ?, ?, ?, ?)', [$account['id'], $model, $input, $output, $reserved]);
        $hold = $db->lastInsertId();
        run($db, 'UPDATE accounts SET held_micros = held_micros + ? WHERE id = ?', [$reserved, $account['id']]);
        $answer = ['decision' => 'allow', 'hold' => $hold, 'reservedMicros' => $reserved, 'model' => $model,
            'maxOutputTokens' => $output, 'balanceMicros' => $account['balance_micros'],
            'availableMicros' => $available, 'replayed' => false];
        remember($db, $account['id'], $request, $fingerprint, $answer);
        return $answer;
    });
}

/** The answer to the hold's end; settled again with the same figures it is the same answer. */
function settled_before(PDO $db, string $hold, int $input, int $output): array
{
    $usage = run($db, 'SELECT * FROM usages WHERE id = ?', [$hold])->fetch() ?: throw new Refused(404, 'NOT_FOUND');
    if ($usage['input_tokens'] !== $input || $usage['output_tokens'] !== $output) {
        throw new Refused(409, 'SETTLEMENT_CONFLICT');
    }
    return ['hold' => $hold, 'costMicros' => $usage['cost_micros'], 'balanceMicros' => $usage['balance_micros'],
        'availableMicros' => $usage['available_micros'], 'replayed' => true];
}

function settle(PDO $db, array $settings, array $body): array
{
    $hold = text_of($body, 'hold') ?? throw new Refused(400, 'INVALID_REQUEST');
    $input = count_of($body, 'inputTokens', 0);
    $output = count_of($body, 'outputTokens', 0);

    return transact($db, function () use ($db, $settings, $hold, $input, $output) {
        $row = run($db, 'SELECT h.account_id, h.model, h.reserved_micros, h.created_at, a.balance_micros, a.held_micros'
            . ' FROM holds h JOIN accounts a ON a.id = h.account_id WHERE h.id = ? FOR UPDATE', [$hold])->fetch();
        if ($row === false) {
            return settled_before($db, $hold, $input, $output);
        }
        $cost = cost($settings, $row['model'], $input, $output);
        $balance = $row['balance_micros'] - $cost;
        $available = $balance - ($row['held_micros'] - $row['reserved_micros']);
        run($db, 'INSERT INTO usages (id, account_id, model, reserved_micros, input_tokens, output_tokens, cost_micros,'
            . ' balance_micros, available_micros, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
            [$hold, $row['account_id'], $row['model'], $row['reserved_micros'], $input, $output, $cost, $balance,
                $available, $row['created_at']]);
        if ($cost > 0) {
            run($db, 'INSERT INTO entries (account_id, usage_id, amount_micros, balance_before_micros,'
                . ' balance_after_micros) VALUES (?, ?, ?, ?, ?)',
                [$row['account_id'], $hold, -$cost, $row['balance_micros'], $balance]);
        }
        run($db, 'DELETE FROM holds WHERE id = ?', [$hold]);
        run($db, 'UPDATE accounts SET balance_micros = ?, held_micros = held_micros - ? WHERE id = ?',
            [$balance, $row['reserved_micros'], $row['account_id']]);
        return ['hold' => $hold, 'costMicros' => $cost, 'balanceMicros' => $balance, 'availableMicros' => $available,
            'replayed' => false];
    });
}

function check_key(PDO $db): void
{
    if (!preg_match('/^Bearer (\S+)$/', $_SERVER['HTTP_AUTHORIZATION'] ?? '', $found)) {
        throw new Refused(401, 'UNAUTHORIZED');
    }
    $scope = run($db, 'SELECT scope FROM api_keys WHERE digest = ?', [hash('sha256', $found[1], true)])->fetchColumn();
    if ($scope !== 'guard') {
        throw new Refused($scope === false ? 401 : 403, $scope === false ? 'UNAUTHORIZED' : 'FORBIDDEN');
    }
}

function answer(): array
{
    $settings = require $_SERVER['GUARD_SETTINGS'];
    $db = connect($settings);
    check_key($db);
    $body = json_decode(file_get_contents('php://input'), true);
    if (!is_array($body)) {
        throw new Refused(400, 'INVALID_REQUEST');
    }
    return match (strtok($_SERVER['REQUEST_URI'], '?')) {
        '/api/guard/authorize' => authorize($db, $settings, $body),
        '/api/guard/settle' => settle($db, $settings, $body),
        default => throw new Refused(404, 'NOT_FOUND'),
    };
}

try {
    $answer = answer();
} catch (Refused $e) {
    http_response_code($e->status);
    $answer = ['error' => $e->error];
} catch (PDOException $e) {
    error_log($e->getMessage());
    http_response_code(503);
    $answer = ['error' => 'UNAVAILABLE'];
}
$text = json_encode($answer);
header('Content-Type: application/json');
header('Cache-Control: no-store');
header('Content-Length: ' . strlen($text));
echo $text;
