<?php
/*
 * Plugin Name: octroi
 * Description: Guards the AI requests of all plugins: each user spends credits of octroi.
 * Requires PHP: 7.4
 * Requires at least: 5.9
 * Version: 0.1.0
 *
 * octroi-client.php beside this file is a copy of clients/php/octroi.php.
 */
declare(strict_types=1);

namespace OctroiPlugin;

if (!defined('ABSPATH')) {
    exit;
}
require_once __DIR__ . '/octroi-client.php';
require_once __DIR__ . '/settings.php';
require_once __DIR__ . '/guard.php';
require_once __DIR__ . '/shortcodes.php';

/** The client, by the plugin's settings; null where they are incomplete. */
function client(): ?\Octroi\Client
{
    static $client = null;
    $settings = settings();
    if ($client === null && $settings['url'] !== '' && key() !== '') {
        try {
            $client = new \Octroi\Client($settings['url'], key(), [
                'locale' => substr(get_user_locale(), 0, 2),
                'spool' => $settings['spool'] !== '' ? $settings['spool'] : null,
            ]);
        } catch (\InvalidArgumentException $e) {
            error_log($e->getMessage());
        }
    }
    return $client;
}

/**
 * The account and the member that pay for the present user; null for visitors who are not signed in.
 *
 * @return array{account: string, member?: string}|null
 */
function payer(): ?array
{
    $user = wp_get_current_user();
    if ($user->ID === 0) {
        return null;
    }
    $role = preg_replace('/[^A-Za-z0-9._-]/', '', (string) reset($user->roles));
    if (settings()['account'] === 'role' && $role !== '') {
        return ['account' => "role:$role", 'member' => "user:$user->ID"];
    }
    return ['account' => "user:$user->ID"];
}

Guard::register();
register_settings();
register_shortcodes();
