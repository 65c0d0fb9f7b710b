<?php
/*
 * A PHP application that asks octroi before each request to a language model and settles after it.
 *
 *     POST /demo/chat.php   {"prompt":"…","stream":false,"requestId":"…"}
 *
 * Nothing but PHP's own streams.  Where octroi is and with which key comes from the environment:
 * OCTROI_INTERNAL_URL, OCTROI_GUARD_KEY, PROVIDER_URL, PROVIDER_KEY, DEMO_ACCOUNT.
 */
declare(strict_types=1);

const MODEL = 'gpt-4o';
const MAX_OUTPUT_TOKENS = 200;
const SETTLE_TRIES = 4;

/* The provider has refused the request, or was not reached: it bills nothing. */
final class Refused extends RuntimeException
{
}

/* Posts JSON; [status, stream], [0, null] when there is no answer. */
function post(string $url, string $key, array $document): array
{
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => "Content-Type: application/json\r\nAuthorization: Bearer $key",
        'content' => json_encode($document, JSON_THROW_ON_ERROR),
        'timeout' => 30,
        'follow_location' => 0, // a key goes to nobody else
        'ignore_errors' => true, // a refusal has a body too
    ]]);
    $stream = @fopen($url, 'r', false, $context);
    if ($stream === false) {
        return [0, null];
    }
    $status = (int) (explode(' ', stream_get_meta_data($stream)['wrapper_data'][0])[1] ?? 0);
    return [$status, $stream];
}

/* Calls octroi; [status, answer].  Without an answer nothing may be spent: 503. */
function octroi(string $path, array $document): array
{
    [$status, $stream] = post(getenv('OCTROI_INTERNAL_URL') . $path, getenv('OCTROI_GUARD_KEY'), $document);
    $answer = $stream ? json_decode(stream_get_contents($stream), true) : null;
    return is_array($answer) ? [$status, $answer] : [503, ['error' => 'UNAVAILABLE']];
}

/* A settlement has one effect however often it is sent; it is repeated until octroi has taken or refused it. */
function settle(array $settlement): array
{
    for ($try = 0; $try < SETTLE_TRIES; $try++) {
        if ($try > 0) {
            sleep($try);
        }
        [$status, $answer] = octroi('/api/guard/settle', $settlement);
        if ($status >= 200 && $status < 500) {
            return [$status, $answer];
        }
    }
    error_log('not settled: ' . json_encode($settlement)); // to be sent again by a person
    return [$status, $answer];
}

/* Asks the provider; $say gets the answer as it comes.  The usage object, null if none came. */
function completion(string $prompt, int $most, bool $stream, callable $say): ?array
{
    $document = ['model' => MODEL, 'messages' => [['role' => 'user', 'content' => $prompt]], 'max_tokens' => $most];
    if ($stream) {
        $document += ['stream' => true, 'stream_options' => ['include_usage' => true]];
    }
    [$status, $response] = post(getenv('PROVIDER_URL') . '/v1/chat/completions', getenv('PROVIDER_KEY'), $document);
    if ($status !== 200) {
        throw new Refused("the provider answered $status");
    }
    if (!$stream) {
        $answer = json_decode(stream_get_contents($response), true, 64, JSON_THROW_ON_ERROR);
        $say($answer['choices'][0]['message']['content']);
        return $answer['usage'];
    }
    $usage = null;
    while (($line = fgets($response)) !== false) {
        if (!str_starts_with($line, 'data: {')) {
            continue;
        }
        $chunk = json_decode(substr($line, 6), true, 64, JSON_THROW_ON_ERROR);
        $usage = $chunk['usage'] ?? $usage;
        foreach ($chunk['choices'] as $choice) {
            $say($choice['delta']['content'] ?? '');
        }
    }
    return $usage;
}

/* One request, paid for.  [status, what the guard said].  A page that repeats it sends the same $id. */
function guarded_chat(string $prompt, string $id, bool $stream, callable $say): array
{
    [$status, $hold] = octroi('/api/guard/authorize', [
        'account' => getenv('DEMO_ACCOUNT'), 'requestId' => $id, 'model' => MODEL,
        'inputBytes' => strlen($prompt), 'maxOutputTokens' => MAX_OUTPUT_TOKENS,
    ]);
    // Only a new hold is a permission.
    if ($status !== 200 || !isset($hold['hold'], $hold['maxOutputTokens'])) {
        return [$status !== 200 ? $status : 503, $hold];
    }
    if (!empty($hold['replayed'])) {
        // Asked before.  The hold is for that one answer, also while it is open: another would be free.
        return [409, ['error' => 'CONFLICT', 'hold' => $hold['hold'], 'holdState' => $hold['holdState']]];
    }
    $settle = ['hold' => $hold['hold'], 'outcome' => 'partial'];
    try {
        $usage = completion($prompt, $hold['maxOutputTokens'], $stream, $say);
        $settle = ($usage ? ['usage' => $usage, 'outcome' => 'complete'] : []) + $settle;
    } catch (Refused $e) {
        error_log('provider: ' . $e->getMessage());
        $settle['outcome'] = 'failed';
    } catch (Throwable $e) { // half an answer was used, too
        error_log('provider: ' . $e->getMessage());
    }
    [$status, $settled] = settle($settle);
    if ($status === 400 && isset($settle['usage'])) {
        // An object that contradicts itself: what was reserved is charged.
        error_log('usage: ' . ($settled['field'] ?? ''));
        [$status, $settled] = settle(['hold' => $hold['hold'], 'outcome' => 'partial']);
    }
    if ($status === 200 && $settle['outcome'] === 'failed') {
        [$status, $settled] = [502, ['error' => 'PROVIDER_FAILED']];
    }
    return [$status, ['hold' => $hold['hold'], 'reservedMicros' => $hold['reservedMicros']] + $settled];
}

function reply(int $status, array $document): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    exit(json_encode($document));
}

if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    reply(405, ['error' => 'METHOD_NOT_ALLOWED']);
}
$asked = json_decode(file_get_contents('php://input'), true);
$id = $asked['requestId'] ?? bin2hex(random_bytes(16));
if (!is_string($asked['prompt'] ?? null) || !is_string($id)) {
    reply(400, ['error' => 'INVALID_REQUEST']);
}
// A browser that goes away does not spare the settlement.
ignore_user_abort(true);
$words = [];
if (($asked['stream'] ?? false) !== true) {
    [$status, $guard] = guarded_chat($asked['prompt'], $id, false, function (string $word) use (&$words) {
        $words[] = $word;
    });
    reply($status, ['reply' => implode('', $words), 'guard' => $guard]);
}
// Streamed: the refusal comes before the first word, the figures after the last.
[$status, $guard] = guarded_chat($asked['prompt'], $id, true, function (string $word) use (&$words) {
    if (!$words) {
        header('Content-Type: text/event-stream');
        header('X-Accel-Buffering: no');
    }
    $words[] = $word;
    echo 'data: ', json_encode($word), "\n\n";
    flush();
});
if (!$words) {
    reply($status, ['reply' => '', 'guard' => $guard]);
}
echo "event: guard\ndata: ", json_encode(['status' => $status] + $guard), "\n\n";
