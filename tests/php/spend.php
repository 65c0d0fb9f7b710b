<?php
/*
 * Spends on an account until it is told to stop: php spend.php CLIENT SPOOL ACCOUNT COUNT.  Environment as for the client.
 *
 * Prints a line of JSON for each request: its hold and the tokens that it used, or the exception.  The test kills octroi
 * meanwhile.  A line from standard input is awaited before each authorize and each settle.
 */
declare(strict_types=1);

[, $client, $spool, $account, $count] = $argv;
require $client;

$octroi = Octroi\Client::fromEnvironment(['spool' => $spool, 'connectSeconds' => 0.5, 'answerSeconds' => 2]);
for ($i = 1; $i <= $count; $i++) {
    fgets(STDIN);
    try {
        $hold = $octroi->authorize(['account' => $account, 'model' => 'gpt-4o', 'inputTokens' => 100, 'maxOutputTokens' => 100]);
    } catch (Octroi\Refusal $e) {
        echo json_encode(['refused' => $e->getMessage()]), "\n";
        continue;
    }
    echo json_encode(['hold' => $hold->id]), "\n";
    fgets(STDIN);
    $used = ['prompt_tokens' => 10 + $i, 'completion_tokens' => 5, 'total_tokens' => 15 + $i];
    $settlement = $hold->settle($used);
    echo json_encode(['hold' => $hold->id, 'input' => 10 + $i, 'output' => 5, 'delivered' => $settlement->delivered]), "\n";
}
