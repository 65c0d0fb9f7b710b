<?php
/*
 * The client of octroi for PHP 7.4 to 8.4: one file, no dependency.  docs/php.md is its manual.
 *
 *     $octroi = Octroi\Client::fromEnvironment();
 *     $answer = $octroi->guard(
 *         ['account' => 'user:42', 'model' => 'gpt-4o'],
 *         fn (Octroi\Hold $hold) => ask_openai($hold->maxOutputTokens)
 *     );
 *
 * The client fails closed: only a new hold lets an AI request out.  Every other answer, and no answer, is an exception.
 * Names of members are those of octroi's API (GET /api/openapi.json).  PHP has to be a 64-bit one.
 */
declare(strict_types=1);

namespace Octroi;

// ---- exceptions --------------------------------------------------------------------------------------------

/** A call that octroi did not permit.  Neither the message nor a member holds a secret. */
abstract class Refusal extends \RuntimeException
{
    /** @var array<string, string> the sentence for the user, by language */
    protected const SENTENCES = [];

    /** HTTP status of octroi's answer; 0 without an answer. */
    public int $status;
    /** octroi's code such as UNKNOWN_MODEL; empty where the answer had none. */
    public string $error;
    /** X-Request-Id, by which octroi's log names the request. */
    public string $requestId;
    /** Seconds after which octroi wants to be asked again. */
    public ?int $retryAfter;
    /** @var array<string, mixed> the whole answer */
    public array $answer;

    final public function __construct(Answer $answer, string $reason = '')
    {
        $this->status = $answer->status;
        $this->error = $answer->error();
        $this->requestId = $answer->requestId();
        $this->retryAfter = $answer->retryAfter();
        $this->answer = $answer->document() ?? [];
        $words = [$answer->status ?: 'no answer', $this->error, $reason ?: $answer->reason, $this->requestId];
        parent::__construct('octroi: ' . implode(' ', array_filter($words)));
    }

    /** A sentence for the user, in English or French. */
    public function sentence(string $locale = 'en'): string
    {
        return static::SENTENCES[substr($locale, 0, 2)] ?? static::SENTENCES['en'];
    }

    /** The sentence as a paragraph of HTML. */
    public function html(string $locale = 'en'): string
    {
        return '<p>' . htmlspecialchars($this->sentence($locale)) . '</p>';
    }

    /**
     * The refusal as a document of JSON for a browser.
     *
     * @return array<string, mixed>
     */
    public function document(string $locale = 'en'): array
    {
        return ['error' => $this->error !== '' ? $this->error : 'UNAVAILABLE', 'message' => $this->sentence($locale)];
    }

    /** The status with which the page should answer its own user. */
    public function httpStatus(): int
    {
        return 503;
    }
}

/** 402: the account, its member or its plan may not spend this. */
final class InsufficientCredits extends Refusal
{
    protected const SENTENCES = [
        'en' => 'Not enough credits.',
        'fr' => 'Crédits insuffisants.',
    ];

    /** octroi's own sentence, in the language of the client's option `locale`; with an argument, in that language. */
    public function sentence(?string $locale = null): string
    {
        $said = $this->answer['message'] ?? null;
        return $locale === null && is_string($said) ? $said : parent::sentence($locale ?? 'en');
    }

    /**
     * With octroi's own sentence, the figures and the link to the top-up.
     *
     * @return array<string, mixed>
     */
    public function document(string $locale = 'en'): array
    {
        $names = ['code', 'limit', 'neededMicros', 'availableMicros', 'shortfallMicros', 'topupUrl'];
        $figures = array_intersect_key($this->answer, array_flip($names));
        return ['error' => $this->error, 'message' => $this->sentence()] + $figures;
    }

    /** octroi's own sentence, with a link to the top-up. */
    public function html(string $locale = 'en'): string
    {
        $url = (string) $this->topupUrl();
        $words = substr($locale, 0, 2) === 'fr' ? 'Recharger' : 'Top up';
        $link = preg_match('~^https?://~i', $url) ? ' <a href="' . htmlspecialchars($url) . "\">$words</a>" : '';
        return '<p>' . htmlspecialchars($this->sentence()) . "$link</p>";
    }

    public function httpStatus(): int
    {
        return 402;
    }

    /** The page on which the user can buy credits. */
    public function topupUrl(): ?string
    {
        $url = $this->answer['topupUrl'] ?? null;
        return is_string($url) ? $url : null;
    }

    /** The kind of limit: balance, hard_limit, member, daily, monthly or suspended. */
    public function limitKind(): ?string
    {
        $kind = $this->answer['limit']['kind'] ?? null;
        return is_string($kind) ? $kind : null;
    }

    public function neededMicros(): ?int
    {
        return $this->micros('neededMicros');
    }

    public function availableMicros(): ?int
    {
        return $this->micros('availableMicros');
    }

    public function shortfallMicros(): ?int
    {
        return $this->micros('shortfallMicros');
    }

    private function micros(string $name): ?int
    {
        $value = $this->answer[$name] ?? null;
        return is_int($value) ? $value : null;
    }
}

/** 401 or 403: the key is missing, revoked, or lacks the scope. */
final class NotPermitted extends Refusal
{
    protected const SENTENCES = [
        'en' => 'This service is not set up correctly. Please tell its operator.',
        'fr' => 'Ce service est mal configuré. Merci de prévenir son responsable.',
    ];
}

/** 422: the model or the action has no price. */
final class UnknownPrice extends Refusal
{
    protected const SENTENCES = [
        'en' => 'This model is not available.',
        'fr' => 'Ce modèle n’est pas disponible.',
    ];
}

/** 409: the request contradicts an earlier one. */
final class Conflict extends Refusal
{
    protected const SENTENCES = [
        'en' => 'This request contradicts an earlier one.',
        'fr' => 'Cette demande contredit une demande précédente.',
    ];
}

/** The request id was used before.  Its hold paid for that one AI request, and pays for no second one. */
final class AlreadyAsked extends Refusal
{
    protected const SENTENCES = [
        'en' => 'This request was sent before.',
        'fr' => 'Cette demande a déjà été envoyée.',
    ];
}

/** 429: the account has too many open holds, or asks too often. */
final class TooMany extends Refusal
{
    protected const SENTENCES = [
        'en' => 'Too many requests. Please try again in a moment.',
        'fr' => 'Trop de demandes. Réessayez dans un instant.',
    ];
}

/** 400, 404, 405, 413 or 415: a defect of the calling code. */
final class InvalidRequest extends Refusal
{
    protected const SENTENCES = [
        'en' => 'This request could not be sent.',
        'fr' => 'Cette demande n’a pas pu être envoyée.',
    ];

    /** The member that octroi refused. */
    public function field(): ?string
    {
        $field = $this->answer['field'] ?? null;
        return is_string($field) ? $field : null;
    }
}

/** No answer, an answer that octroi does not give, or a 5xx. */
final class Unavailable extends Refusal
{
    protected const SENTENCES = [
        'en' => 'Please try again later.',
        'fr' => 'Veuillez réessayer plus tard.',
    ];
}

// ---- results -----------------------------------------------------------------------------------------------

/** The outcome of a settlement.  Undelivered ones are in the spool, or in the log; their figures are null. */
final class Settlement
{
    public string $hold;
    public bool $delivered;
    /** exact, partial, estimated, late or provider_reported */
    public ?string $settlement = null;
    public ?int $costMicros = null;
    public ?int $balanceMicros = null;
    public ?int $availableMicros = null;
    /** @var array<string, mixed> the whole answer */
    public array $answer;

    /** @param array<string, mixed> $answer */
    public function __construct(string $hold, bool $delivered, array $answer)
    {
        $this->hold = $hold;
        $this->delivered = $delivered;
        $this->answer = $answer;
        if ($delivered) {
            $this->settlement = (string) $answer['settlement'];
            $this->costMicros = (int) $answer['costMicros'];
            $this->balanceMicros = (int) $answer['balanceMicros'];
            $this->availableMicros = (int) $answer['availableMicros'];
        }
    }
}

/** An action that was checked and paid for in one call. */
final class Charge
{
    /** Credits, or minor units of money. */
    public float $creditsConsumed;
    public float $creditsRemaining;
    public int $costMicros;
    public int $balanceMicros;
    public string $message;
    /** @var array<string, mixed> the whole answer */
    public array $answer;

    /** @param array<string, mixed> $answer */
    public function __construct(array $answer)
    {
        $this->creditsConsumed = (float) $answer['creditsConsumed'];
        $this->creditsRemaining = (float) $answer['creditsRemaining'];
        $this->costMicros = (int) $answer['costMicros'];
        $this->balanceMicros = (int) $answer['balanceMicros'];
        $this->message = (string) $answer['message'];
        $this->answer = $answer;
    }
}

/** The balance of an account, and its last movements in `answer`. */
final class Credits
{
    public int $balanceMicros;
    public int $availableMicros;
    public string $balanceFormatted;
    public bool $low;
    /** @var array<string, mixed> the whole answer, with `transactions` and `usages` */
    public array $answer;

    /** @param array<string, mixed> $answer */
    public function __construct(array $answer)
    {
        $this->balanceMicros = (int) $answer['balanceMicros'];
        $this->availableMicros = (int) $answer['availableMicros'];
        $this->balanceFormatted = (string) $answer['balanceFormatted'];
        $this->low = (bool) $answer['low'];
        $this->answer = $answer;
    }
}

/** Permission for one AI request.  It ends once: by settle, partial or failed. */
final class Hold
{
    public string $id;
    /** platform, or byok where the account's own provider key is to be used */
    public string $source;
    public ?string $provider;
    /** The model to ask; null for an action. */
    public ?string $model;
    /** The most tokens that the AI request may ask for; null for an action. */
    public ?int $maxOutputTokens;
    public int $reservedMicros;
    public int $availableMicros;
    public int $balanceMicros;
    /** RFC 3339 */
    public string $expiresAt;

    private Client $octroi;
    private bool $ended = false;
    private string $abandoned;
    private int $process;

    /**
     * @param array<string, mixed> $answer
     * @internal
     */
    public function __construct(Client $octroi, array $answer, string $abandoned)
    {
        $this->octroi = $octroi;
        $this->abandoned = $abandoned;
        $this->process = (int) getmypid();
        $this->id = (string) $answer['hold'];
        $this->source = (string) $answer['source'];
        $this->provider = isset($answer['provider']) ? (string) $answer['provider'] : null;
        $this->model = isset($answer['model']) ? (string) $answer['model'] : null;
        $this->read($answer);
    }

    /**
     * Charges the tokens that were used.
     *
     * @param mixed $usage the provider's usage object as it came: an array or an object
     * @param array<string, mixed> $more further members of the settlement: inputTokens, counts, messageId, …
     * @throws Conflict|InvalidRequest octroi refuses the settlement for good
     */
    public function settle($usage = null, array $more = []): Settlement
    {
        return $this->end('complete', $usage, $more);
    }

    /**
     * Ends a hold whose AI request broke off.  Without a usage, the reservation is charged.
     *
     * @param mixed $usage
     * @param array<string, mixed> $more
     */
    public function partial($usage = null, array $more = []): Settlement
    {
        return $this->end('partial', $usage, $more);
    }

    /** Ends a hold whose AI request the provider refused: nothing is charged. */
    public function failed(): Settlement
    {
        return $this->end('failed', null, []);
    }

    /** Asks for more time, or for more output.  The members of the hold are the new ones afterwards. */
    public function extend(?int $ttlSeconds = null, ?int $maxOutputTokens = null): self
    {
        $this->read($this->octroi->extendHold($this->id, $ttlSeconds, $maxOutputTokens));
        return $this;
    }

    /**
     * Passes the provider's chunks on, and settles after the last one, or when the caller stops.
     *
     * The usage object is found in the chunks (OpenAI, Anthropic, Gemini).  A stream that ends without one is charged
     * for the output that $count counted, or else for the reservation.
     *
     * @template T
     * @param iterable<T> $chunks decoded chunks: arrays or objects
     * @param (callable(T): int)|null $count the output tokens of a chunk
     * @return \Generator<mixed, T>
     */
    public function stream(iterable $chunks, ?callable $count = null): \Generator
    {
        $usage = new StreamUsage();
        $output = 0;
        $whole = false;
        try {
            foreach ($chunks as $key => $chunk) {
                $usage->add($chunk);
                $output += $count !== null ? $count($chunk) : 0;
                yield $key => $chunk;
            }
            $whole = true;
        } finally {
            if ($this->isOpenHere()) {
                $known = $usage->known();
                $more = $known === null && $count !== null ? ['outputTokens' => $output] : [];
                $outcome = $whole && $known !== null ? 'complete' : 'partial';
                $this->octroi->quietly(fn () => $this->end($outcome, $known, $more));
            }
        }
    }

    public function isEnded(): bool
    {
        return $this->ended;
    }

    public function __destruct()
    {
        $this->abandon();
    }

    public function __clone()
    {
        throw new \LogicException('octroi: a hold is for one AI request');
    }

    /**
     * Ends a hold that nobody settled, as the application chose.
     *
     * @internal
     */
    public function abandon(): void
    {
        if (!$this->isOpenHere()) {
            return;
        }
        $this->octroi->warn('a hold was not settled', ['hold' => $this->id, 'outcome' => $this->abandoned]);
        $this->octroi->quietly(fn () => $this->end($this->abandoned, null, []));
    }

    /** A forked child has a copy of the hold, and leaves it to its parent. */
    private function isOpenHere(): bool
    {
        return !$this->ended && $this->process === getmypid();
    }

    /**
     * @param mixed $usage
     * @param array<string, mixed> $more
     */
    private function end(string $outcome, $usage, array $more): Settlement
    {
        $this->ended = true;
        $usage = Usage::plain($usage);
        // Without any count a complete request is one that broke off.
        $outcome = $outcome === 'complete' && $usage === null && $more === [] ? 'partial' : $outcome;
        $settlement = ['hold' => $this->id] + ($usage !== null ? ['usage' => $usage] : []) + $more;
        return $this->octroi->settleHold($outcome === 'complete' ? $settlement : $settlement + ['outcome' => $outcome]);
    }

    /** @param array<string, mixed> $answer */
    private function read(array $answer): void
    {
        $this->maxOutputTokens = isset($answer['maxOutputTokens']) ? (int) $answer['maxOutputTokens'] : null;
        $this->reservedMicros = (int) $answer['reservedMicros'];
        $this->availableMicros = (int) $answer['availableMicros'];
        $this->balanceMicros = (int) $answer['balanceMicros'];
        $this->expiresAt = (string) $answer['expiresAt'];
    }
}

// ---- usage objects -----------------------------------------------------------------------------------------

/** Finds the provider's usage object. */
final class Usage
{
    /**
     * The usage object of a provider's answer, as an array; null where the answer has none.
     *
     * @param mixed $answer
     * @return array<string, mixed>|null
     */
    public static function of($answer): ?array
    {
        foreach (['usage', 'usageMetadata'] as $name) {
            if (is_array($answer) && isset($answer[$name])) {
                return self::plain($answer[$name]);
            }
            if (is_object($answer) && isset($answer->$name)) {
                return self::plain($answer->$name);
            }
        }
        return null;
    }

    /**
     * True for the body with which OpenAI, Anthropic and Gemini refuse a request: they bill nothing.
     *
     * @param mixed $answer
     */
    public static function isRefused($answer): bool
    {
        $error = is_array($answer) ? $answer['error'] ?? null : (is_object($answer) ? $answer->error ?? null : null);
        return (is_array($error) || is_object($error)) && self::of($answer) === null;
    }

    /**
     * A usage object as an array that JSON can hold; null for none, and for an empty one.
     *
     * @param mixed $usage
     * @return array<string, mixed>|null
     */
    public static function plain($usage): ?array
    {
        if (is_object($usage) && is_callable([$usage, 'toArray'])) {
            $usage = $usage->toArray();
        }
        $json = json_encode($usage);
        $plain = $json === false ? null : json_decode($json, true);
        return is_array($plain) && $plain !== [] ? $plain : null;
    }
}

/** Collects the usage object of a stream. */
final class StreamUsage
{
    /** @var array<string, mixed> */
    private array $usage = [];
    private bool $known = false;

    /** @param mixed $chunk */
    public function add($chunk): void
    {
        // Anthropic's message_start counts the input; its output is a first guess, and no known usage.
        $begun = Usage::of(self::member($chunk, 'message')) ?? [];
        // OpenAI's response.completed has the usage one level deeper.
        $usage = Usage::of($chunk) ?? Usage::of(self::member($chunk, 'response'));
        $this->known = $this->known || $usage !== null;
        $said = array_filter($usage ?? [], static fn ($value): bool => $value !== null);
        $this->usage = array_merge($this->usage, $begun, $said);
    }

    /** @return array<string, mixed>|null */
    public function known(): ?array
    {
        return $this->known ? $this->usage : null;
    }

    /**
     * @param mixed $chunk
     * @return mixed
     */
    private static function member($chunk, string $name)
    {
        return is_array($chunk) ? $chunk[$name] ?? null : (is_object($chunk) ? $chunk->$name ?? null : null);
    }
}

// ---- the client --------------------------------------------------------------------------------------------

/** octroi, as an application calls it.  One object serves a whole process. */
final class Client
{
    /** The version of octroi's API that this client speaks. */
    public const API = '1';

    private const TRIES = 4;
    private const DEADLINE_SECONDS = 15.0;
    private const FIRST_WAIT_SECONDS = 0.2;
    private const OUTCOMES = ['partial', 'failed'];

    private Transport $transport;
    private ?Spool $spool;
    private string $abandoned;
    private string $locale;
    /** @var object|callable|null */
    private $logger;
    /** @var array<string, \WeakReference<Hold>> open holds, for the end of the script */
    private array $open = [];

    /**
     * Options:
     *   abandoned  outcome of a hold that nobody settled: partial (charged, the default) or failed (free)
     *   locale     language of octroi's own sentences: en or fr
     *   spool      file for settlements that cannot be delivered; see Spool
     *   logger     a PSR-3 logger, or a function (string $level, string $message, array $context)
     *   ca         file with the certificates to trust instead of the system's
     *   connectSeconds, answerSeconds   1 and 10 unless given
     *   transport  a Transport that replaces curl and sockets
     *
     * @param array<string, mixed> $options
     */
    public function __construct(
        string $url,
        #[\SensitiveParameter]
        string $key,
        array $options = []
    ) {
        $this->abandoned = $options['abandoned'] ?? 'partial';
        if (!in_array($this->abandoned, self::OUTCOMES, true)) {
            throw new \InvalidArgumentException('octroi: abandoned is partial or failed');
        }
        $this->locale = (string) ($options['locale'] ?? 'en');
        $this->logger = $options['logger'] ?? null;
        $this->spool = isset($options['spool']) ? new Spool((string) $options['spool']) : null;
        $this->transport = $options['transport'] ?? self::transport(new Door($url, $key, $options));
        $self = \WeakReference::create($this);
        register_shutdown_function(static function () use ($self): void {
            $octroi = $self->get();
            if ($octroi !== null) {
                $octroi->abandonOpenHolds(); // a fatal error calls no destructor
            }
        });
    }

    /**
     * A client with OCTROI_INTERNAL_URL (http://127.0.0.1:8081), OCTROI_GUARD_KEY and OCTROI_SPOOL of the environment.
     *
     * @param array<string, mixed> $options
     */
    public static function fromEnvironment(array $options = []): self
    {
        $spool = getenv('OCTROI_SPOOL');
        return new self(
            getenv('OCTROI_INTERNAL_URL') ?: 'http://127.0.0.1:8081',
            (string) getenv('OCTROI_GUARD_KEY'),
            $options + ($spool ? ['spool' => $spool] : [])
        );
    }

    /**
     * Asks for permission to send one AI request.
     *
     * @param array<string, mixed> $request account, and model, models or action; further members as in the API
     * @throws Refusal there is no permission
     */
    public function authorize(array $request): Hold
    {
        $answer = $this->ask('POST', '/api/guard/authorize', self::withId($request));
        $hold = $answer->document();
        if (!$answer->isOk() || !self::isHold($hold, isset($request['model']) || isset($request['models']))) {
            throw $this->refusal($answer);
        }
        // An open hold is this call's own if an earlier try had no answer.
        if ($hold['replayed'] && !($answer->tries > 1 && ($hold['holdState'] ?? '') === 'open')) {
            throw new AlreadyAsked($answer, 'the hold of an earlier request');
        }
        $made = new Hold($this, $hold, $this->abandoned);
        $this->open = array_filter($this->open, static fn (\WeakReference $open): bool => $open->get() !== null);
        $this->open[$made->id] = \WeakReference::create($made);
        return $made;
    }

    /**
     * Calls $work with a hold, and settles it: with the `usage` of what $work returns, unless $work has settled itself.
     * An answer with the provider's `error` and no usage is free.  A $work that throws, or whose answer has neither, is
     * charged as the option `abandoned` says.
     *
     * @template T
     * @param array<string, mixed> $request as of authorize
     * @param callable(Hold): T $work sends the AI request
     * @return T
     * @throws Refusal there is no permission; $work was not called
     */
    public function guard(array $request, callable $work)
    {
        $hold = $this->authorize($request);
        $result = null;
        try {
            $result = $work($hold);
            $usage = Usage::of($result);
            if (!$hold->isEnded() && $usage !== null) {
                $this->quietly(static fn () => $hold->settle($usage));
            } elseif (!$hold->isEnded() && Usage::isRefused($result)) {
                $this->quietly(static fn () => $hold->failed());
            }
            return $result;
        } finally {
            if (!$result instanceof \Generator) { // a stream settles at its own end
                $hold->abandon();
            }
        }
    }

    /**
     * As guard, for a page of HTML: a refusal is told to the user, with the link to the top-up, and ends the page.
     *
     * @template T
     * @param array<string, mixed> $request
     * @param callable(Hold): T $work
     * @return T
     */
    public function guardPage(array $request, callable $work)
    {
        try {
            return $this->guard($request, $work);
        } catch (Refusal $refusal) {
            error_log($refusal->getMessage());
            http_response_code($refusal->httpStatus());
            exit($refusal->html($this->locale));
        }
    }

    /**
     * Checks and pays for an action in one call.
     *
     * @param array<string, mixed> $request account, action, quantity, member, requestId, metadata
     * @throws Refusal the action is not paid for
     */
    public function charge(array $request): Charge
    {
        $answer = $this->ask('POST', '/api/guard/charge', self::withId($request));
        $charge = $answer->document();
        $names = ['creditsConsumed', 'creditsRemaining', 'costMicros', 'balanceMicros', 'message', 'replayed'];
        if (!$answer->isOk() || !self::has($charge, $names) || $charge['success'] !== true) {
            throw $this->refusal($answer);
        }
        if ($charge['replayed'] && $answer->tries === 1) {
            throw new AlreadyAsked($answer, 'the action of an earlier request');
        }
        return new Charge($charge);
    }

    /** The balance and the last movements of an account.  The key needs the scope app. */
    public function credits(string $account): Credits
    {
        $answer = $this->ask('GET', '/api/credits?account=' . rawurlencode($account));
        $credits = $answer->document();
        if (!$answer->isOk() || !self::has($credits, ['balanceMicros', 'availableMicros', 'balanceFormatted', 'low'])) {
            throw $this->refusal($answer);
        }
        return new Credits($credits);
    }

    /**
     * A token for the user's browser, good for 15 minutes at most.  The key needs the scope app.
     *
     * @param array<string, mixed> $request account, member, ttlSeconds
     */
    public function token(array $request): string
    {
        $answer = $this->ask('POST', '/api/tokens', $request);
        $token = $answer->document()['token'] ?? null;
        if ($answer->status < 200 || $answer->status > 201 || !is_string($token)) {
            throw $this->refusal($answer);
        }
        return $token;
    }

    /** Sends what is in the spool; the number of settlements that are left there. */
    public function replay(): int
    {
        return $this->spool === null ? 0 : $this->spool->replay($this);
    }

    // ---- for Hold and Spool --------------------------------------------------------------------------------

    /**
     * @param array<string, mixed> $settlement
     * @internal
     */
    public function settleHold(array $settlement): Settlement
    {
        $hold = (string) $settlement['hold'];
        unset($this->open[$hold]);
        $answer = $this->ask('POST', '/api/guard/settle', $settlement);
        $reserved = self::reserved($settlement);
        if (in_array($answer->status, [400, 413], true) && $answer->error() !== '' && $settlement !== $reserved) {
            // A usage object that contradicts itself is not free: the reservation is charged.
            $field = $answer->document()['field'] ?? null;
            $this->warn('a usage object was refused', ['hold' => $hold, 'field' => $field]);
            $settlement = $reserved;
            $answer = $this->ask('POST', '/api/guard/settle', $settlement);
        }
        $settled = $answer->document();
        if ($answer->isOk() && self::has($settled, ['settlement', 'costMicros', 'balanceMicros', 'availableMicros'])) {
            if ($this->spool !== null) {
                $this->spool->replayOnce($this);
            }
            return new Settlement($hold, true, $settled);
        }
        if ($answer->isFinal()) {
            throw $this->refusal($answer);
        }
        $this->keep($settlement);
        return new Settlement($hold, false, $settled ?? []);
    }

    /**
     * Settles a batch of the spool.
     *
     * @param list<array<string, mixed>> $settlements
     * @return list<array<string, mixed>> those that octroi has neither taken nor refused
     * @internal
     */
    public function settleMany(array $settlements): array
    {
        $answer = $this->ask('POST', '/api/guard/settle', ['settlements' => $settlements]);
        $results = $answer->isOk() ? $answer->document()['results'] ?? null : null;
        if (!is_array($results) || count($results) !== count($settlements)) {
            return $settlements;
        }
        $kept = [];
        foreach ($settlements as $i => $settlement) {
            $status = $results[$i]['status'] ?? 0;
            $reserved = self::reserved($settlement);
            if ($status === 400 && $settlement !== $reserved) {
                array_push($kept, ...$this->settleMany([$reserved]));
            } elseif (in_array($status, Answer::FINAL_STATUSES, true)) {
                $this->log('error', 'a spooled settlement was refused', ['status' => $status] + $settlement);
            } elseif ($status !== 200) {
                $kept[] = $settlement;
            }
        }
        return $kept;
    }

    /**
     * @return array<string, mixed>
     * @internal
     */
    public function extendHold(string $hold, ?int $ttlSeconds, ?int $maxOutputTokens): array
    {
        $wanted = ['ttlSeconds' => $ttlSeconds, 'maxOutputTokens' => $maxOutputTokens];
        $wanted = array_filter($wanted, static fn (?int $value): bool => $value !== null);
        $answer = $this->ask('POST', '/api/guard/extend', ['hold' => $hold] + $wanted);
        $extended = $answer->document();
        if (!$answer->isOk() || !self::isHold($extended, false) || $extended['hold'] !== $hold) {
            throw $this->refusal($answer);
        }
        return $extended;
    }

    /**
     * Runs what may not disturb a page that is served already: a refusal is logged.
     *
     * @internal
     */
    public function quietly(callable $work): void
    {
        try {
            $work();
        } catch (Refusal $e) {
            $this->log('error', 'a settlement was refused', ['reason' => $e->getMessage()]);
        }
    }

    /**
     * @param array<string, mixed> $context
     * @internal
     */
    public function warn(string $message, array $context): void
    {
        $this->log('warning', $message, $context);
    }

    // ---- asking --------------------------------------------------------------------------------------------

    /**
     * Asks until there is an answer, for 15 s at most.  Repeating is safe: the request id and the hold stay the same.
     *
     * @param array<string, mixed>|null $request
     */
    private function ask(string $method, string $path, ?array $request = null): Answer
    {
        $body = $request === null ? '' : json_encode($request);
        if ($body === false) {
            return Answer::local(400, 'the request is no UTF-8');
        }
        $deadline = microtime(true) + self::DEADLINE_SECONDS;
        for ($try = 1; ; $try++) {
            $answer = $this->transport->send($method, $path, $body, $deadline - microtime(true));
            $answer->tries = $try;
            $wait = max($this->jitter($try), $answer->retryAfter() ?? 0);
            if (!$answer->isWorthRepeating() || $try === self::TRIES || microtime(true) + $wait >= $deadline) {
                return $answer;
            }
            usleep((int) ($wait * 1e6));
        }
    }

    private function jitter(int $try): float
    {
        return self::FIRST_WAIT_SECONDS * 2 ** ($try - 1) * random_int(500, 1000) / 1000;
    }

    private function refusal(Answer $answer): Refusal
    {
        if ($answer->error() === '' && $answer->status !== 401) {
            return new Unavailable($answer, $answer->reason ?: 'not an answer of octroi');
        }
        switch ($answer->status) {
            case 400:
            case 404:
            case 405:
            case 413:
            case 415:
                return new InvalidRequest($answer);
            case 401:
            case 403:
                return new NotPermitted($answer);
            case 402:
                return new InsufficientCredits($answer);
            case 409:
                return new Conflict($answer);
            case 422:
                return new UnknownPrice($answer);
            case 429:
                return new TooMany($answer);
            default:
                return new Unavailable($answer);
        }
    }

    /**
     * The settlement that charges the reservation.
     *
     * @param array<string, mixed> $settlement
     * @return array<string, mixed>
     */
    private static function reserved(array $settlement): array
    {
        return ['hold' => $settlement['hold'], 'outcome' => 'partial'];
    }

    /** @param array<string, mixed> $settlement */
    private function keep(array $settlement): void
    {
        $spooled = $this->spool !== null && $this->spool->add($settlement);
        $this->log($spooled ? 'warning' : 'error', $spooled ? 'not settled, spooled' : 'not settled', $settlement);
    }

    /** @param array<string, mixed> $context */
    private function log(string $level, string $message, array $context): void
    {
        if (is_callable($this->logger)) {
            ($this->logger)($level, $message, $context);
        } elseif ($this->logger !== null) {
            $this->logger->log($level, "octroi: $message", $context);
        } else {
            error_log("octroi: $message: " . json_encode($context, JSON_PARTIAL_OUTPUT_ON_ERROR));
        }
    }

    private function abandonOpenHolds(): void
    {
        foreach ($this->open as $open) {
            $hold = $open->get();
            if ($hold !== null) {
                $hold->abandon();
            }
        }
    }

    private static function transport(Door $door): Transport
    {
        return extension_loaded('curl') ? new CurlTransport($door) : new SocketTransport($door);
    }

    /**
     * The request with an id, without which a repetition would be a second request.
     *
     * @param array<string, mixed> $request
     * @return array<string, mixed>
     */
    private static function withId(array $request): array
    {
        return ['requestId' => $request['requestId'] ?? bin2hex(random_bytes(16))] + $request;
    }

    /**
     * @param array<string, mixed>|null $hold
     * @phpstan-assert-if-true array<string, mixed> $hold
     */
    private static function isHold(?array $hold, bool $ofModel): bool
    {
        $names = ['source', 'reservedMicros', 'availableMicros', 'balanceMicros', 'expiresAt', 'replayed'];
        return self::has($hold, $names) && ($hold['decision'] ?? '') === 'allow'
            && is_string($hold['hold'] ?? null) && $hold['hold'] !== '' && is_bool($hold['replayed'])
            && (!$ofModel || is_int($hold['maxOutputTokens'] ?? null));
    }

    /**
     * @param array<string, mixed>|null $document
     * @param list<string> $names
     * @phpstan-assert-if-true array<string, mixed> $document
     */
    private static function has(?array $document, array $names): bool
    {
        foreach ($names as $name) {
            if (!isset($document[$name]) || !is_scalar($document[$name])) {
                return false;
            }
        }
        return true;
    }
}

// ---- the spool ---------------------------------------------------------------------------------------------

/**
 * A file of settlements that could not be delivered, one JSON object a line.
 *
 * Writers append whole lines of at most 4 KiB, and lock the file for that moment.  A replay moves the file away and
 * works on FILE.work; a replay that was interrupted is begun again, because a settlement has one effect.
 */
final class Spool
{
    public const LINE_BYTES = 4096;
    public const FILE_BYTES = 16777216;
    public const AGE_SECONDS = 2592000;
    private const BATCH = 25; // 25 lines of 4 KiB fit the 128 KiB of a request

    private string $file;

    public function __construct(string $file)
    {
        $this->file = $file;
    }

    /**
     * Appends a settlement; false where the file cannot take it.
     *
     * @param array<string, mixed> $settlement
     */
    public function add(array $settlement): bool
    {
        $line = self::line($settlement, time());
        if (strlen($line) > self::LINE_BYTES) {
            $line = self::line(['hold' => $settlement['hold'], 'outcome' => 'partial'], time());
        }
        $stream = $this->openLocked();
        if ($stream === null) {
            return false;
        }
        $size = fstat($stream)['size'];
        $written = $size + strlen($line) <= self::FILE_BYTES && self::append($stream, $line, $size);
        fclose($stream);
        return $written;
    }

    /**
     * Whole lines only: a part of a line, as of a full disk or a killed writer, would spoil the next one.
     *
     * @param resource $stream
     */
    private static function append($stream, string $line, int $size): bool
    {
        if ($size > 0 && fseek($stream, -1, SEEK_END) === 0 && fgetc($stream) !== "\n") {
            $line = "\n" . $line;
        }
        if (fwrite($stream, $line) !== strlen($line) || !fflush($stream)) {
            ftruncate($stream, $size);
            return false;
        }
        return !function_exists('fsync') || fsync($stream); // PHP 8.1
    }

    /** Sends everything; the number of settlements that are left. */
    public function replay(Client $octroi): int
    {
        return $this->work($octroi, PHP_INT_MAX);
    }

    /** Sends one batch where there is one: a page that was served calls this. */
    public function replayOnce(Client $octroi): void
    {
        if (is_file($this->file) || is_file("$this->file.work")) {
            $this->work($octroi, 1);
        }
    }

    private function work(Client $octroi, int $batches): int
    {
        $lock = @fopen("$this->file.lock", 'c');
        if ($lock === false || !flock($lock, LOCK_EX | LOCK_NB)) {
            return 0; // another process replays
        }
        try {
            $left = $this->sendWork($octroi, $batches);
            if ($left === 0 && $this->takeOver()) {
                $left = $this->sendWork($octroi, $batches);
            }
            return $left;
        } finally {
            fclose($lock);
        }
    }

    /** Sends lines of FILE.work, and keeps the others there; the number of these. */
    private function sendWork(Client $octroi, int $batches): int
    {
        $lines = is_file("$this->file.work") ? file("$this->file.work") : [];
        if ($lines === false) {
            $octroi->warn('the spool cannot be read', ['file' => "$this->file.work"]);
            return 1;
        }
        while ($lines !== [] && $batches-- > 0) {
            $batch = array_splice($lines, 0, self::BATCH);
            $times = [];
            foreach ($batch as $line) {
                $entry = json_decode((string) $line, true);
                if (!isset($entry['at'], $entry['settlement']['hold']) || $entry['at'] < time() - self::AGE_SECONDS) {
                    $octroi->warn('a line of the spool was dropped', ['line' => rtrim((string) $line)]);
                    continue;
                }
                $times[$entry['settlement']['hold']] = $entry['at'];
                $settlements[] = $entry['settlement'];
            }
            $kept = isset($settlements) ? $octroi->settleMany($settlements) : [];
            unset($settlements);
            foreach ($kept as $settlement) {
                $lines[] = self::line($settlement, $times[$settlement['hold']]);
            }
            $this->rewriteWork($lines);
            if ($kept !== []) {
                break;
            }
        }
        return count($lines);
    }

    /** Makes FILE the next FILE.work; false where there is nothing to send. */
    private function takeOver(): bool
    {
        if (!is_file($this->file)) {
            return false;
        }
        $stream = $this->openLocked();
        if ($stream === null) {
            return false;
        }
        $moved = rename($this->file, "$this->file.work");
        fclose($stream);
        return $moved;
    }

    /** @param list<string> $lines */
    private function rewriteWork(array $lines): void
    {
        if ($lines === []) {
            unlink("$this->file.work");
            return;
        }
        $stream = fopen("$this->file.new", 'w');
        if ($stream === false) {
            return; // the lines are sent again, without effect
        }
        @chmod("$this->file.new", 0600); // it names accounts
        $text = implode('', $lines);
        $written = fwrite($stream, $text) === strlen($text) && fflush($stream)
            && (!function_exists('fsync') || fsync($stream));
        fclose($stream);
        if ($written) {
            rename("$this->file.new", "$this->file.work");
        }
    }

    /** @return resource|null the file, opened with O_APPEND and locked, and still at its place */
    private function openLocked()
    {
        for ($try = 0; $try < 100; $try++) {
            $stream = @fopen($this->file, 'a+');
            if ($stream === false || !flock($stream, LOCK_EX)) {
                return null;
            }
            clearstatcache(true, $this->file);
            if (@fileinode($this->file) === fstat($stream)['ino']) {
                if (fstat($stream)['size'] === 0) {
                    @chmod($this->file, 0600); // it names accounts
                }
                return $stream;
            }
            fclose($stream); // a replay has moved it away meanwhile
        }
        return null;
    }

    /** @param array<string, mixed> $settlement */
    private static function line(array $settlement, int $at): string
    {
        return json_encode(['at' => $at, 'settlement' => $settlement]) . "\n";
    }
}

// ---- HTTP --------------------------------------------------------------------------------------------------

/** One answer to one call, or its absence. */
final class Answer
{
    /** Statuses that no repetition changes. */
    public const FINAL_STATUSES = [400, 404, 409, 413, 422];
    private const WORTH_REPEATING = [0, 502, 503, 504];

    public int $status;
    public string $body;
    /** The cause of a missing answer. */
    public string $reason = '';
    /** How often octroi was asked until it came. */
    public int $tries = 1;
    /** @var array<string, string> by lower-case name */
    private array $headers;

    /** @param array<string, string> $headers by lower-case name */
    public function __construct(int $status, array $headers, string $body)
    {
        $this->status = $status;
        $this->headers = $headers;
        $this->body = $body;
    }

    public static function none(string $reason): self
    {
        return self::local(0, $reason);
    }

    /** An answer that did not come from octroi. */
    public static function local(int $status, string $reason): self
    {
        $body = $status === 400 ? '{"error":"INVALID_REQUEST"}' : '';
        $answer = new self($status, ['content-type' => 'application/json'], $body);
        $answer->reason = $reason;
        return $answer;
    }

    public function isOk(): bool
    {
        return $this->status === 200;
    }

    public function isWorthRepeating(): bool
    {
        return in_array($this->status, self::WORTH_REPEATING, true);
    }

    /** A refusal by octroi itself, not by a web server before it. */
    public function isFinal(): bool
    {
        return in_array($this->status, self::FINAL_STATUSES, true) && $this->error() !== '';
    }

    /** @return array<string, mixed>|null the JSON object; null for anything else */
    public function document(): ?array
    {
        $type = strtolower(trim(explode(';', $this->headers['content-type'] ?? '')[0]));
        $document = $type === 'application/json' ? json_decode($this->body, true, 64) : null;
        return is_array($document) && ltrim($this->body)[0] === '{' ? $document : null;
    }

    public function error(): string
    {
        $error = $this->document()['error'] ?? '';
        return is_string($error) && preg_match('/^[A-Z_]{1,64}$/D', $error) ? $error : '';
    }

    public function requestId(): string
    {
        return (string) preg_replace('/[^\w.:-]/', '', substr($this->headers['x-request-id'] ?? '', 0, 128));
    }

    public function retryAfter(): ?int
    {
        $seconds = $this->headers['retry-after'] ?? '';
        return preg_match('/^\d{1,6}$/D', $seconds) ? (int) $seconds : null;
    }

    /**
     * @param list<string> $lines
     * @return array<string, string>
     */
    public static function headers(array $lines): array
    {
        $headers = [];
        foreach ($lines as $line) {
            [$name, $value] = explode(':', $line, 2) + [1 => ''];
            $headers[strtolower(trim($name))] = trim($value);
        }
        return $headers;
    }
}

/** The address of octroi, and the key.  It is one object, so that no stack trace shows the key. */
final class Door
{
    public string $url;
    public string $ca;
    public string $locale;
    public float $connectSeconds;
    public float $answerSeconds;
    private string $key;

    /** @param array<string, mixed> $options */
    public function __construct(
        string $url,
        #[\SensitiveParameter]
        string $key,
        array $options = []
    ) {
        $key = trim($key);
        if (!preg_match('~^https?://[^\s/?#@]+(/[^\s?#]*)?$~Di', $url)) {
            throw new \InvalidArgumentException('octroi: the address is http://… or https://…, without user and query');
        }
        if (preg_match('/[^!-\x7e]/', $key)) {
            throw new \InvalidArgumentException('octroi: the key has characters that no key has');
        }
        $this->url = rtrim($url, '/');
        $this->key = $key;
        $this->ca = (string) ($options['ca'] ?? '');
        $this->locale = strncmp((string) ($options['locale'] ?? 'en'), 'fr', 2) === 0 ? 'fr' : 'en';
        $this->connectSeconds = (float) ($options['connectSeconds'] ?? 1.0);
        $this->answerSeconds = (float) ($options['answerSeconds'] ?? 10.0);
    }

    /** @return list<string> */
    public function headers(): array
    {
        return [
            'X-Octroi-Key: ' . $this->key, // some hosts strip Authorization
            'Content-Type: application/json',
            'Accept: application/json',
            'Accept-Language: ' . $this->locale,
            'User-Agent: octroi-php/' . Client::API,
        ];
    }

    /** @return array<string, string> */
    public function __debugInfo(): array
    {
        return ['url' => $this->url];
    }

    /** @return never */
    public function __serialize(): array
    {
        throw new \LogicException('octroi: a key is not stored');
    }
}

/** A way to octroi.  It follows no redirect and never throws. */
interface Transport
{
    /** One request, for at most so many seconds. */
    public function send(string $method, string $path, string $body, float $seconds): Answer;
}

/** One curl handle, whose connection is kept. */
final class CurlTransport implements Transport
{
    private const ANSWER_BYTES = 1048576;

    private Door $door;
    /** @var \CurlHandle|resource|null */
    private $handle = null;
    private int $process = 0;

    public function __construct(Door $door)
    {
        $this->door = $door;
    }

    public function send(string $method, string $path, string $body, float $seconds): Answer
    {
        $handle = $this->handle();
        $lines = [];
        $text = '';
        curl_setopt_array($handle, [
            CURLOPT_URL => $this->door->url . $path,
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_HTTPHEADER => array_merge($this->door->headers(), ['Expect:']),
            CURLOPT_CONNECTTIMEOUT_MS => (int) (1000 * $this->door->connectSeconds),
            CURLOPT_TIMEOUT_MS => max(1, (int) (1000 * min($seconds, $this->door->answerSeconds))),
            CURLOPT_NOSIGNAL => true,
            CURLOPT_PROXY => '',
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_SSL_VERIFYPEER => true,
            CURLOPT_SSL_VERIFYHOST => 2,
            CURLOPT_HEADERFUNCTION => static function ($handle, string $line) use (&$lines): int {
                $lines = strncmp($line, 'HTTP/', 5) === 0 ? [] : array_merge($lines, [$line]);
                return strlen($line);
            },
            CURLOPT_WRITEFUNCTION => static function ($handle, string $part) use (&$text): int {
                $text .= $part;
                return strlen($text) <= self::ANSWER_BYTES ? strlen($part) : 0;
            },
        ]);
        if ($method !== 'GET') {
            curl_setopt($handle, CURLOPT_POSTFIELDS, $body);
        } else {
            curl_setopt($handle, CURLOPT_HTTPGET, true);
        }
        if ($this->door->ca !== '') {
            curl_setopt($handle, CURLOPT_CAINFO, $this->door->ca);
        }
        if (curl_exec($handle) === false) {
            return Answer::none('curl ' . curl_errno($handle)); // 7 refused, 28 too late, 60 certificate
        }
        return new Answer((int) curl_getinfo($handle, CURLINFO_RESPONSE_CODE), Answer::headers($lines), $text);
    }

    /** @return \CurlHandle|resource a forked child gets one of its own */
    private function handle()
    {
        if ($this->handle === null || $this->process !== getmypid()) {
            $this->handle = curl_init();
            $this->process = (int) getmypid();
        }
        return $this->handle;
    }
}

/** A connection for each request, by PHP's own sockets: for hosts without ext-curl. */
final class SocketTransport implements Transport
{
    private const ANSWER_BYTES = 1048576;

    private Door $door;

    public function __construct(Door $door)
    {
        $this->door = $door;
    }

    public function send(string $method, string $path, string $body, float $seconds): Answer
    {
        $deadline = microtime(true) + min($seconds, $this->door->answerSeconds);
        $stream = $this->connect();
        if ($stream === null) {
            return Answer::none('no connection');
        }
        $url = (array) parse_url($this->door->url);
        $head = array_merge(
            ["$method " . ($url['path'] ?? '') . "$path HTTP/1.0", 'Host: ' . $this->authority(), 'Connection: close'],
            $this->door->headers(),
            ['Content-Length: ' . strlen($body)]
        );
        $request = implode("\r\n", $head) . "\r\n\r\n" . $body;
        stream_set_blocking($stream, false);
        $text = self::exchange($stream, $request, $deadline);
        fclose($stream);
        return $text === null ? Answer::none('no whole answer') : self::read($text);
    }

    /** @return resource|null */
    private function connect()
    {
        $url = (array) parse_url($this->door->url);
        $tls = strtolower((string) ($url['scheme'] ?? '')) === 'https';
        $host = (string) ($url['host'] ?? '');
        $context = stream_context_create(['ssl' => [
            'verify_peer' => true,
            'verify_peer_name' => true,
            'peer_name' => trim($host, '[]'),
            'SNI_enabled' => true,
        ] + ($this->door->ca !== '' ? ['cafile' => $this->door->ca] : [])]);
        $address = ($tls ? 'tls' : 'tcp') . "://$host:" . ($url['port'] ?? ($tls ? 443 : 80));
        $seconds = $this->door->connectSeconds;
        $stream = @stream_socket_client($address, $code, $reason, $seconds, STREAM_CLIENT_CONNECT, $context);
        return $stream === false ? null : $stream;
    }

    private function authority(): string
    {
        $url = (array) parse_url($this->door->url);
        return ($url['host'] ?? '') . (isset($url['port']) ? ":{$url['port']}" : '');
    }

    /**
     * @param resource $stream
     * @return string|null everything until the server closes; null where it does not in time
     */
    private static function exchange($stream, string $request, float $deadline): ?string
    {
        $text = '';
        while (!feof($stream)) {
            $left = $deadline - microtime(true);
            $readable = [$stream];
            $writable = $request !== '' ? [$stream] : null;
            $other = null;
            if ($left <= 0 || strlen($text) > self::ANSWER_BYTES) {
                return null;
            }
            @stream_select($readable, $writable, $other, (int) $left, (int) (1e6 * fmod($left, 1)));
            if ($request !== '') {
                $sent = @fwrite($stream, $request);
                if ($sent === false) {
                    return null;
                }
                $request = (string) substr($request, $sent);
            }
            $text .= (string) @fread($stream, 65536);
        }
        return $text;
    }

    private static function read(string $text): Answer
    {
        [$head, $body] = explode("\r\n\r\n", $text, 2) + [1 => null];
        $lines = explode("\r\n", $head);
        if ($body === null || !preg_match('~^HTTP/1\.[01] (\d{3})\b~', $lines[0], $found)) {
            return Answer::none('no HTTP');
        }
        $headers = Answer::headers(array_slice($lines, 1));
        $promised = $headers['content-length'] ?? null;
        if (isset($headers['transfer-encoding']) || ($promised !== null && (int) $promised !== strlen($body))) {
            return Answer::none('half an answer');
        }
        return new Answer((int) $found[1], $headers, $body);
    }
}
