<?php
/* Installs WordPress for test_wordpress.py: php setup.php DIRECTORY JSON.  Prints the address of the page with shortcodes. */
[, $directory, $json] = $argv;
$given = json_decode($json, true);
$_SERVER['HTTP_HOST'] = $given['host'];
define('WP_INSTALLING', true);
require "$directory/wp-load.php";
require ABSPATH . 'wp-admin/includes/upgrade.php';

add_filter('pre_wp_mail', '__return_true');
add_filter('pre_http_request', fn () => new WP_Error('test', 'no request while installing'));
wp_install('Test', 'admin', 'admin@example.org', false, '', 'password');
update_option('active_plugins', ['octroi/octroi.php']);
update_option('octroi', $given['settings']);
update_option('template', 'plain');
update_option('stylesheet', 'plain');
foreach (['rich', 'poor'] as $name) {
    wp_create_user($name, 'password', "$name@example.org");
}
$page = wp_insert_post(['post_type' => 'page', 'post_status' => 'publish', 'post_title' => 'Credits',
    'post_content' => '[octroi_balance] [octroi_billing]']);
echo json_encode(['page' => $page, 'rich' => get_user_by('login', 'rich')->ID, 'poor' => get_user_by('login', 'poor')->ID]);
