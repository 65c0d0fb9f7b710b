<?php
// An application's page, for `php -S`: one element of octroi's in bare HTML of the old kind, without a doctype.
// Environment: OCTROI_URL (the internal one), OCTROI_KEY, ACCOUNT, TTL_SECONDS.

function token(): string
{
    $body = json_encode(['account' => getenv('ACCOUNT'), 'ttlSeconds' => (int) getenv('TTL_SECONDS')]);
    $options = ['method' => 'POST', 'content' => $body,
        'header' => ['Content-Type: application/json', 'Authorization: Bearer ' . getenv('OCTROI_KEY')]];
    $answer = file_get_contents(getenv('OCTROI_URL') . '/api/tokens', false, stream_context_create(['http' => $options]));
    return json_decode($answer, true)['token'];
}

if (strtok($_SERVER['REQUEST_URI'], '?') === '/token.php') {
    header('Content-Type: application/json');
    echo json_encode(['token' => token()]);
    exit;
}
$element = preg_match('/^octroi-[a-z]+$/', $_GET['element'] ?? '') ? $_GET['element'] : 'octroi-balance';
?>
<html lang="en">
<head>
<title>An application</title>
<link rel="icon" href="data:,">
<meta name="octroi-token" content="<?= htmlspecialchars(token()) ?>">
<script type="module" src="/octroi/ui/octroi.js"></script>
<script>
window.needed = 0;
addEventListener("octroi-token-needed", async () => {
    window.needed++;
    const answer = await fetch("/token.php");
    document.querySelector('meta[name="octroi-token"]').content = (await answer.json()).token;
});
</script>
</head>
<body>
<main><h1>An application</h1><<?= $element ?>></<?= $element ?>></main>
</body>
</html>
