<?php

declare(strict_types=1);

namespace OctroiPlugin;

const OPTION = 'octroi';
const HOSTS = "api.openai.com\napi.anthropic.com\ngenerativelanguage.googleapis.com\napi.mistral.ai";
const DEFAULTS = ['url' => 'http://127.0.0.1:8081', 'key' => '', 'account' => 'user', 'hosts' => HOSTS, 'spool' => ''];

function register_settings(): void
{
    add_action('admin_init', static function (): void {
        register_setting(OPTION, OPTION, ['type' => 'array', 'sanitize_callback' => __NAMESPACE__ . '\sanitize']);
    });
    add_action('admin_menu', static function (): void {
        add_options_page('octroi', 'octroi', 'manage_options', OPTION, __NAMESPACE__ . '\settings_page');
    });
}

/** @return array<string, string> */
function settings(): array
{
    $saved = get_option(OPTION, []);
    return array_map('strval', array_merge(DEFAULTS, is_array($saved) ? array_intersect_key($saved, DEFAULTS) : []));
}

/** The key: OCTROI_KEY of wp-config.php, or else the settings'. */
function key(): string
{
    return defined('OCTROI_KEY') ? (string) OCTROI_KEY : settings()['key'];
}

/** @return list<string> the guarded hosts, in lower case */
function hosts(): array
{
    return array_values(array_filter(array_map('trim', explode("\n", strtolower(settings()['hosts'])))));
}

/**
 * @param mixed $given
 * @return array<string, string>
 */
function sanitize($given): array
{
    $given = is_array($given) ? array_map('strval', array_intersect_key($given, DEFAULTS)) : [];
    $kept = array_merge(settings(), array_map('trim', $given));
    $kept['url'] = esc_url_raw($kept['url'], ['http', 'https']);
    // The form never shows the key: an empty field keeps the saved one.
    $kept['key'] = ($given['key'] ?? '') !== '' ? sanitize_text_field($given['key']) : settings()['key'];
    $kept['account'] = $kept['account'] === 'role' ? 'role' : 'user';
    $kept['hosts'] = sanitize_textarea_field($kept['hosts']);
    $kept['spool'] = sanitize_text_field($kept['spool']);
    return $kept;
}

function settings_page(): void
{
    if (!current_user_can('manage_options')) {
        return;
    }
    $settings = settings();
    $name = static fn (string $member): string => esc_attr(OPTION . "[$member]");
    ?>
    <div class="wrap">
        <h1>octroi</h1>
        <form method="post" action="options.php">
            <?php settings_fields(OPTION); ?>
            <table class="form-table" role="presentation">
                <tr>
                    <th><label for="octroi-url"><?php esc_html_e('Address of octroi', 'octroi'); ?></label></th>
                    <td><input class="regular-text" id="octroi-url" name="<?php echo $name('url'); ?>"
                        value="<?php echo esc_attr($settings['url']); ?>"></td>
                </tr>
                <tr>
                    <th><label for="octroi-key"><?php esc_html_e('API key of scope app', 'octroi'); ?></label></th>
                    <td><input class="regular-text" id="octroi-key" type="password" autocomplete="off" name="<?php echo $name('key'); ?>"
                        value="" placeholder="<?php echo esc_attr(key() !== '' ? __('saved', 'octroi') : ''); ?>"></td>
                </tr>
                <tr>
                    <th><label for="octroi-account"><?php esc_html_e('Credits belong to', 'octroi'); ?></label></th>
                    <td><select id="octroi-account" name="<?php echo $name('account'); ?>">
                        <option value="user"<?php selected($settings['account'], 'user'); ?>><?php esc_html_e('each user', 'octroi'); ?></option>
                        <option value="role"<?php selected($settings['account'], 'role'); ?>><?php esc_html_e('each role', 'octroi'); ?></option>
                    </select></td>
                </tr>
                <tr>
                    <th><label for="octroi-hosts"><?php esc_html_e('Guarded hosts, one a line', 'octroi'); ?></label></th>
                    <td><textarea class="regular-text" rows="5" id="octroi-hosts" name="<?php echo $name('hosts'); ?>"><?php
                        echo esc_textarea($settings['hosts']); ?></textarea></td>
                </tr>
                <tr>
                    <th><label for="octroi-spool"><?php esc_html_e('File of the spool, outside the web root', 'octroi'); ?></label></th>
                    <td><input class="regular-text" id="octroi-spool" name="<?php echo $name('spool'); ?>"
                        value="<?php echo esc_attr($settings['spool']); ?>"></td>
                </tr>
            </table>
            <?php submit_button(); ?>
        </form>
    </div>
    <?php
}
