<?php
/* Another plugin, which knows nothing of octroi: ?ask=… asks the provider through WordPress' HTTP API. */
add_action('wp_loaded', function (): void {
    if (!isset($_GET['ask'])) {
        return;
    }
    $document = ['model' => 'gpt-4o', 'max_tokens' => 100, 'messages' => [['role' => 'user', 'content' => $_GET['ask']]]];
    if (isset($_GET['stream'])) {
        $document['stream'] = true;
    }
    $answer = wp_remote_post(ASKED_URL . '/v1/chat/completions', ['body' => json_encode($document),
        'headers' => ['Content-Type' => 'application/json'], 'timeout' => 10]);
    header('Content-Type: text/html; charset=utf-8');
    exit(is_wp_error($answer) ? 'refused: ' . $answer->get_error_message() : wp_remote_retrieve_body($answer));
});
