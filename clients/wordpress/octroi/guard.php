<?php

declare(strict_types=1);

namespace OctroiPlugin;

use Octroi\Hold;
use Octroi\Refusal;
use Octroi\StreamUsage;
use Octroi\Usage;

/**
 * Guards each POST to an AI provider that goes through WordPress' HTTP API, whichever plugin sends it.
 *
 * WordPress calls three hooks for a request: http_request_args, where the guard authorizes; pre_http_request, where it
 * refuses; and http_api_debug after the answer, where it settles.  A member of the arguments ties the three together.
 */
final class Guard
{
    private const MARK = 'octroi';
    /** Members that bound the output, by the names of the providers. */
    private const BOUNDS = ['max_completion_tokens', 'max_output_tokens', 'max_tokens'];

    /** @var array<string, Hold> */
    private static array $holds = [];
    /** @var array<string, \WP_Error> */
    private static array $refusals = [];

    public static function register(): void
    {
        add_filter('http_request_args', [self::class, 'authorize'], PHP_INT_MAX, 2);
        add_filter('pre_http_request', [self::class, 'refuse'], PHP_INT_MAX, 2);
        add_action('http_api_debug', [self::class, 'settle'], 10, 4);
    }

    /**
     * @param array<string, mixed> $arguments
     * @return array<string, mixed>
     */
    public static function authorize(array $arguments, string $url): array
    {
        if (!self::isGuarded((string) ($arguments['method'] ?? 'GET'), $url)) {
            return $arguments;
        }
        $mark = $arguments[self::MARK] = bin2hex(random_bytes(8));
        $body = is_string($arguments['body'] ?? null) ? json_decode($arguments['body'], true) : null;
        $model = is_array($body) && isset($body['model']) ? (string) $body['model'] : self::modelOf($url);
        $payer = payer();
        $client = client();
        if ($payer === null || $client === null || $model === '') {
            self::$refusals[$mark] = new \WP_Error('octroi_refused', self::reason($payer, $client));
            return $arguments;
        }
        $bound = self::bound($body);
        $request = $payer + ['model' => $model, 'inputBytes' => strlen((string) $arguments['body'])];
        try {
            self::$holds[$mark] = $client->authorize($request + ($bound !== null ? ['maxOutputTokens' => $bound] : []));
        } catch (Refusal $refusal) {
            error_log($refusal->getMessage());
            $data = ['status' => $refusal->httpStatus()] + $refusal->answer;
            self::$refusals[$mark] = new \WP_Error('octroi_refused', $refusal->html(substr(get_user_locale(), 0, 2)), $data);
        }
        return $arguments;
    }

    /**
     * @param mixed $answer false, or the answer of another plugin in the provider's place
     * @param array<string, mixed> $arguments
     * @return mixed
     */
    public static function refuse($answer, array $arguments)
    {
        $mark = $arguments[self::MARK] ?? '';
        if (isset(self::$refusals[$mark])) {
            $refusal = self::$refusals[$mark];
            unset(self::$refusals[$mark]);
            return $refusal;
        }
        if ($answer !== false && isset(self::$holds[$mark])) {
            self::end($mark, static fn (Hold $hold) => $hold->failed()); // nothing goes out
        }
        return $answer;
    }

    /**
     * @param mixed $answer an array, or a WP_Error
     * @param array<string, mixed> $arguments
     */
    public static function settle($answer, string $context, string $class, array $arguments): void
    {
        $mark = $arguments[self::MARK] ?? '';
        if (!isset(self::$holds[$mark])) {
            return;
        }
        $status = (int) wp_remote_retrieve_response_code($answer);
        $usage = self::usageOf((string) wp_remote_retrieve_body($answer));
        if (($status >= 400 && $usage === null) || self::isUnsent($answer)) {
            self::end($mark, static fn (Hold $hold) => $hold->failed());
        } elseif ($usage !== null) {
            self::end($mark, static fn (Hold $hold) => $hold->settle($usage));
        } else {
            self::end($mark, static fn (Hold $hold) => $hold->partial()); // no answer, or one that is not waited for
        }
    }

    private static function end(string $mark, callable $work): void
    {
        $hold = self::$holds[$mark];
        unset(self::$holds[$mark]);
        try {
            $work($hold);
        } catch (Refusal $refusal) {
            error_log($refusal->getMessage());
        }
    }

    /**
     * True where no request reached the provider: WordPress blocked it, or there was no connection.
     *
     * @param mixed $answer
     */
    private static function isUnsent($answer): bool
    {
        return $answer instanceof \WP_Error && ($answer->get_error_code() === 'http_request_not_executed'
            || preg_match('/^cURL error (5|6|7|35|60):/', $answer->get_error_message()) === 1);
    }

    private static function isGuarded(string $method, string $url): bool
    {
        $host = strtolower((string) wp_parse_url($url, PHP_URL_HOST));
        return strtoupper($method) === 'POST' && in_array($host, hosts(), true);
    }

    /** Gemini's address names the model. */
    private static function modelOf(string $url): string
    {
        return preg_match('~/models/([\w.-]+):~', $url, $found) ? $found[1] : '';
    }

    /** @param array<string, mixed>|null $body */
    private static function bound(?array $body): ?int
    {
        foreach (self::BOUNDS as $name) {
            if (isset($body[$name]) && is_int($body[$name])) {
                return $body[$name];
            }
        }
        return null;
    }

    /** @param array<string, mixed>|null $payer */
    private static function reason(?array $payer, ?\Octroi\Client $client): string
    {
        if ($payer === null) {
            return esc_html__('Please sign in to use this.', 'octroi');
        }
        return $client === null ? esc_html__('octroi is not set up.', 'octroi') : esc_html__('This model is not available.', 'octroi');
    }

    /**
     * The usage object of an answer, or of the events of a stream.
     *
     * @return array<string, mixed>|null
     */
    private static function usageOf(string $body): ?array
    {
        $document = json_decode($body, true);
        if (is_array($document)) {
            return Usage::of($document);
        }
        $usage = new StreamUsage();
        preg_match_all('/^data: (\{.*)$/m', $body, $events);
        foreach ($events[1] as $event) {
            $usage->add(json_decode($event, true));
        }
        return $usage->known();
    }
}
