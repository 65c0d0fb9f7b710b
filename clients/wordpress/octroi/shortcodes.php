<?php

declare(strict_types=1);

namespace OctroiPlugin;

use Octroi\Credits;
use Octroi\Refusal;

function register_shortcodes(): void
{
    add_shortcode('octroi_balance', __NAMESPACE__ . '\balance');
    add_shortcode('octroi_billing', __NAMESPACE__ . '\billing');
}

/** The credits of the present user; null for visitors and while octroi does not answer. */
function credits(): ?Credits
{
    $payer = payer();
    $client = client();
    if ($payer === null || $client === null) {
        return null;
    }
    try {
        return $client->credits($payer['account']);
    } catch (Refusal $refusal) {
        error_log($refusal->getMessage());
        return null;
    }
}

/** [octroi_balance]: the balance. */
function balance(): string
{
    $credits = credits();
    return $credits === null ? '' : balance_of($credits);
}

/** [octroi_billing]: the balance and the last usages. */
function billing(): string
{
    $credits = credits();
    if ($credits === null) {
        return '<p>' . esc_html__('Your credits cannot be shown now.', 'octroi') . '</p>';
    }
    $rows = '';
    foreach ((array) ($credits->answer['usages'] ?? []) as $usage) {
        $cells = [$usage['createdAt'] ?? '', $usage['model'] ?? $usage['action'] ?? '', $usage['totalTokens'] ?? '', $usage['cost'] ?? ''];
        $rows .= '<tr><td>' . implode('</td><td>', array_map(static fn ($cell): string => esc_html((string) $cell), $cells)) . '</td></tr>';
    }
    $heads = [__('Time', 'octroi'), __('Model', 'octroi'), __('Tokens', 'octroi'), __('Cost', 'octroi')];
    return '<div class="octroi-billing"><p>' . esc_html__('Balance:', 'octroi') . ' ' . balance_of($credits) . '</p><table><thead><tr><th>'
        . implode('</th><th>', array_map('esc_html', $heads)) . "</th></tr></thead><tbody>$rows</tbody></table></div>";
}

function balance_of(Credits $credits): string
{
    $class = $credits->low ? 'octroi-balance octroi-low' : 'octroi-balance';
    return '<span class="' . esc_attr($class) . '">' . esc_html($credits->balanceFormatted) . '</span>';
}
