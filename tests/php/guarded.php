<?php
/* Guards one request to a provider: php guarded.php CLIENT OCTROI PROVIDER TRANSPORT OPTIONS; prints the outcome as JSON. */
declare(strict_types=1);

[, $client, $url, $provider, $transport, $options] = $argv;
require $client;

$options = json_decode($options, true) + ['connectSeconds' => 1, 'answerSeconds' => 0.7];
if ($transport === 'socket') {
    $options['transport'] = new Octroi\SocketTransport(new Octroi\Door($url, 'oct_guard_canary', $options));
}
$octroi = new Octroi\Client($url, 'oct_guard_canary', $options);
$ask = static function (Octroi\Hold $hold) use ($provider): array {
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => 'Content-Type: application/json',
        'content' => json_encode(['max' => $hold->maxOutputTokens]),
    ]]);
    return json_decode(file_get_contents("$provider/v1/chat/completions", false, $context), true);
};
$request = ['account' => 'user:1', 'model' => 'gpt-4o'];
try {
    if ($transport === 'stream') {
        $hold = $octroi->authorize($request);
        foreach ($hold->stream((fn () => yield $ask($hold))()) as $chunk) {
        }
    } else {
        $octroi->guard($request, $ask);
    }
    echo json_encode(['exception' => null]);
} catch (Octroi\Refusal $e) {
    echo json_encode([
        'exception' => substr(get_class($e), 7), 'status' => $e->httpStatus(), 'message' => $e->getMessage(),
        'en' => $e->sentence('en'), 'fr' => $e->sentence('fr'), 'told' => print_r([$e, $octroi], true) . $e,
    ]);
}
