<?php
/*
 * Guarded chats, until so many were answered: php chats.php CLIENT PROVIDER SPOOL ACCOUNT COUNT.  Environment as for the client.
 *
 * Refusals are tried again: the test kills octroi, the web server and the database meanwhile.
 */
declare(strict_types=1);

[, $client, $provider, $spool, $account, $count] = $argv;
require $client;

$octroi = Octroi\Client::fromEnvironment(['spool' => $spool, 'connectSeconds' => 0.5, 'answerSeconds' => 2, 'logger' => fn () => null]);
$ask = static function (Octroi\Hold $hold) use ($provider): array {
    $body = json_encode(['model' => 'gpt-4o', 'max_tokens' => $hold->maxOutputTokens]);
    $http = ['method' => 'POST', 'header' => 'Content-Type: application/json', 'content' => $body];
    return json_decode(file_get_contents("$provider/v1/chat/completions", false, stream_context_create(['http' => $http])), true);
};
for ($answered = 0; $answered < $count;) {
    try {
        $octroi->guard(['account' => $account, 'model' => 'gpt-4o', 'inputTokens' => 100, 'maxOutputTokens' => 100], $ask);
        $answered++;
    } catch (Octroi\Refusal $e) {
        usleep(50000);
    }
}
