<?php
/*
 * A PHP application that asks octroi before each request to a language model and settles after it.
 *
 *     POST /demo/chat.php   {"prompt":"…","stream":false}
 *
 * Nothing but PHP's own streams.  Where octroi is and with which key comes from the environment:
 * OCTROI_INTERNAL_URL, OCTROI_GUARD_KEY, PROVIDER_URL, PROVIDER_KEY, DEMO_ACCOUNT.
 */
declare(strict_types=1);

const MODEL = 'gpt-4o';
const MAX_OUTPUT_TOKENS = 200;

/* Posts JSON; [status, stream], [0, null] when there is no answer. */
function post(string $url, string $key, array $document): array
{
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => "Content-Type: application/json\r\nAuthorization: Bearer $key",
        'content' => json_encode($document, JSON_THROW_ON_ERROR),
        'timeout' => 30,
        'ignore_errors' => true, // a refusal has a body too
    ]]);
    $stream = @fopen($url, 'r', false, $context);
    if ($stream === false) {
        return [0, null];
    }
    $status = (int) (explode(' ', stream_get_meta_data($stream)['wrapper_data'][0])[1] ?? 0);
    return [$status, $stream];
}

/* Calls octroi; [status, answer].  When it cannot be reached nothing may be spent: 503. */
function octroi(string $path, array $document): array
{
    [$status, $stream] = post(getenv('OCTROI_INTERNAL_URL') . $path, getenv('OCTROI_GUARD_KEY'), $document);
    $answer = $stream ? json_decode(stream_get_contents($stream), true) : null;
    return is_array($answer) ? [$status, $answer] : [503, ['error' => 'UNAVAILABLE']];
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
        throw new RuntimeException("the provider answered $status");
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

/* One request, paid for.  [status, what the guard said]. */
function guarded_chat(string $prompt, bool $stream, callable $say): array
{
    [$status, $hold] = octroi('/api/guard/authorize', [
        'account' => getenv('DEMO_ACCOUNT'), 'requestId' => bin2hex(random_bytes(16)), 'model' => MODEL,
        'inputBytes' => strlen($prompt), 'maxOutputTokens' => MAX_OUTPUT_TOKENS,
    ]);
    if ($status !== 200) {
        return [$status, $hold];
    }
    $settle = ['hold' => $hold['hold'], 'outcome' => 'complete'];
    try {
        $usage = completion($prompt, $hold['maxOutputTokens'], $stream, $say);
        $settle = ($usage ? ['usage' => $usage] : ['outcome' => 'partial']) + $settle;
    } catch (RuntimeException | JsonException $e) {
        error_log('provider: ' . $e->getMessage());
        $settle['outcome'] = 'failed';
    }
    [$status, $settled] = octroi('/api/guard/settle', $settle);
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
if (!is_string($asked['prompt'] ?? null)) {
    reply(400, ['error' => 'INVALID_REQUEST']);
}
// A browser that goes away does not spare the settlement.
ignore_user_abort(true);
$words = [];
if (($asked['stream'] ?? false) !== true) {
    [$status, $guard] = guarded_chat($asked['prompt'], false, function (string $word) use (&$words) {
        $words[] = $word;
    });
    reply($status, ['reply' => implode('', $words), 'guard' => $guard]);
}
// Streamed: the refusal comes before the first word, the figures after the last.
[$status, $guard] = guarded_chat($asked['prompt'], true, function (string $word) use (&$words) {
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
