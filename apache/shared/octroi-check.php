<?php
// Says whether this site can run octroi, and what its host has to change.  It shows no secret.  It answers for an hour
// after it was uploaded, then never again; delete it when all is well.  PHP 7.0 or newer.
header('Content-Type: text/plain; charset=utf-8');
header('Cache-Control: no-store');
const SECONDS = 3600;
if (filectime(__FILE__) < time() - SECONDS) { // of the upload or the unpacking, not of the file's making
    http_response_code(403);
    exit("This page is older than an hour. Upload it again.\n");
}

$wrong = 0;
function say(bool $good, string $what, string $advice): void
{
    global $wrong;
    $wrong += $good ? 0 : 1;
    echo $good ? "ok       $what\n" : "problem  $what\n         -> $advice\n";
}

$place = null;
for ($above = dirname(__DIR__); ; $above = dirname($above)) {
    if (@is_executable("$above/octroi/octroi") && @is_readable("$above/octroi/octroi.conf")) {
        $place = "$above/octroi";
        break;
    }
    if ($above === dirname($above)) {
        break;
    }
}
say($place !== null, 'the directory octroi', 'put it beside the directory of the site, with octroi.conf in it');
say(@is_executable(__DIR__ . '/octroi.fcgi'), 'octroi.fcgi', 'copy it here, mode 0755');
say(@is_readable(__DIR__ . '/.htaccess'), '.htaccess', 'copy it here');

if ($place !== null) {
    $mode = fileperms("$place/octroi.conf") & 0777;
    say(($mode & 077) === 0, sprintf('mode of octroi.conf: %03o', $mode), 'set it to 0600: the file holds secrets');
    $root = realpath($_SERVER['DOCUMENT_ROOT'] ?? '') ?: __DIR__;
    say(strpos(realpath($place) . '/', "$root/") !== 0, 'octroi lies outside of what is served',
        "move it out of $root");
    $said = [];
    foreach (file("$place/octroi.conf") as $line) {
        if (preg_match('/^(db_\w+)\s*=\s*(.*?)\s*$/', $line, $match)) {
            $said[$match[1]] = $match[2];
        }
    }
    if (extension_loaded('mysqli')) {
        mysqli_report(MYSQLI_REPORT_OFF);
        $db = @new mysqli($said['db_host'] ?? 'localhost', $said['db_user'] ?? '', $said['db_password'] ?? '',
            $said['db_name'] ?? '', (int) ($said['db_port'] ?? 3306), ($said['db_socket'] ?? '') ?: null);
        say($db->connect_errno === 0, 'the database', 'correct db_host, db_name, db_user and db_password: error '
            . $db->connect_errno);
        if ($db->connect_errno === 0) {
            $version = $db->server_info;
            say(strpos($version, 'MariaDB') !== false, "MariaDB $version", 'octroi is made for MariaDB 10.5 or newer');
            $engine = $db->query("SELECT SUPPORT IN ('YES', 'DEFAULT') FROM information_schema.ENGINES WHERE ENGINE = 'InnoDB'");
            say($engine && $engine->fetch_row()[0] === '1', 'InnoDB', 'ask the host for InnoDB');
            $tables = $db->query("SHOW TABLES LIKE 'schema_versions'");
            say($tables && $tables->num_rows === 1, 'the tables', 'run octroictl init by the panel\'s cron');
        }
    } else {
        echo "skipped  the database: this PHP has no mysqli\n";
    }
}

function status_of(string $path): int
{
    $name = $_SERVER['HTTP_HOST'] ?? 'localhost';
    $port = (int) ($_SERVER['SERVER_PORT'] ?? 80);
    $secure = ($_SERVER['HTTPS'] ?? '') !== '' && $_SERVER['HTTPS'] !== 'off';
    $folder = rtrim(dirname($_SERVER['SCRIPT_NAME'] ?? '/'), '/');
    // To this machine itself, whatever name it was called by: the name stands in the request only.
    $context = stream_context_create(['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]]);
    $connection = @stream_socket_client(($secure ? 'ssl' : 'tcp') . "://127.0.0.1:$port", $number, $text, 10,
        STREAM_CLIENT_CONNECT, $context);
    if (!$connection) {
        return 0;
    }
    stream_set_timeout($connection, 20);
    $name = preg_replace('/[^A-Za-z0-9.:\[\]-]/', '', $name);
    fwrite($connection, "GET $folder$path HTTP/1.1\r\nHost: $name\r\nConnection: close\r\n\r\n");
    return preg_match('~^HTTP/1\.\d (\d{3})~', (string) fgets($connection), $match) ? (int) $match[1] : 0;
}

$status = status_of('/healthz');
say($status === 200, "octroi answers: /healthz $status", $status === 404
    ? 'the host has to allow mod_rewrite and AllowOverride AuthConfig FileInfo Options'
    : 'the host has to allow mod_fcgid; the site\'s error log says why octroi.fcgi did not start');
if ($status === 200) {
    $status = status_of('/readyz');
    say($status === 200, "octroi is ready: /readyz $status", 'see the checks of the database above');
}
foreach (['/octroi.fcgi~', '/.htaccess'] as $path) {
    say(status_of($path) !== 200, "$path is not served", 'ask the host to deny it');
}

$limits = function_exists('posix_getrlimit') ? posix_getrlimit() : [];
foreach (['soft maxproc' => 20, 'soft totalmem' => 1 << 30, 'soft openfiles' => 256] as $name => $least) {
    $value = $limits[$name] ?? 'unlimited';
    say($value === 'unlimited' || (int) $value >= $least, "limit $name: $value", "octroi needs $least");
}
echo $wrong === 0 ? "\nAll is well. Delete this page.\n" : "\n$wrong to mend.\n";
