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
    /** @var array<string, mixed>|null the authorize that books the use of a grace */
    private ?array $booking;

    /**
     * @param array<string, mixed> $answer
     * @param array<string, mixed>|null $booking
     * @internal
     */
    public function __construct(Client $octroi, array $answer, string $abandoned, ?array $booking = null)
    {
        $this->octroi = $octroi;
        $this->abandoned = $abandoned;
        $this->booking = $booking;
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
        if ($this->booking !== null) {
            $this->id = $this->octroi->book($this->booking);
            $this->booking = null;
        }
        $this->read($this->octroi->extendHold($this->id, $ttlSeconds, $maxOutputTokens));
        return $this;
    }

    /** True if octroi did not answer and a grace covers the request; balance and available are 0 then. */
    public function isGrace(): bool
    {
        return $this->booking !== null;
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
        $settlement += $outcome === 'complete' ? [] : ['outcome' => $outcome];
        return $this->octroi->settleHold($settlement, $this->booking);
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
    private const HOLD_SECONDS = 600;
    private const END_SECONDS = 2.0;

    private Transport $transport;
    private ?Spool $spool;
    private ?Graces $graces = null;
    private bool $replayed = false;
    private int $tries = self::TRIES;
    private float $patience = self::DEADLINE_SECONDS;
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
     *   onOutage   while octroi does not answer: refuse (the default), or grace, within the amount that octroi gave
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
        $onOutage = $options['onOutage'] ?? 'refuse';
        if (!in_array($onOutage, ['refuse', 'grace'], true) || ($onOutage === 'grace' && $this->spool === null)) {
            throw new \InvalidArgumentException('octroi: onOutage is refuse, or grace with a spool');
        }
        if ($this->spool !== null && $onOutage === 'grace') {
            $this->graces = new Graces($this->spool, $this);
        }
        $this->transport = $options['transport'] ?? self::transport(new Door($url, $key, $options));
        $self = \WeakReference::create($this);
        register_shutdown_function(static function () use ($self): void {
            $octroi = $self->get();
            if ($octroi !== null) {
                $octroi->abandonOpenHolds(); // a fatal error calls no destructor
                $octroi->replayAtEnd();
            }
        });
    }

    /**
     * A client with OCTROI_INTERNAL_URL (http://127.0.0.1:8081), OCTROI_GUARD_KEY, OCTROI_SPOOL and OCTROI_ON_OUTAGE
     * of the environment.
     *
     * @param array<string, mixed> $options
     */
    public static function fromEnvironment(array $options = []): self
    {
        $spool = getenv('OCTROI_SPOOL');
        return new self(
            getenv('OCTROI_INTERNAL_URL') ?: 'http://127.0.0.1:8081',
            (string) getenv('OCTROI_GUARD_KEY'),
            $options + ($spool ? ['spool' => $spool] : []) + ['onOutage' => getenv('OCTROI_ON_OUTAGE') ?: 'refuse']
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
        $request = self::withId($request);
        if ($this->graces !== null && Graces::covers($request)) {
            return $this->authorizeOrUse($this->graces, $request);
        }
        return $this->newHold($request, $this->ask('POST', '/api/guard/authorize', $request));
    }

    /**
     * Asks for a grace too, and uses that of an earlier answer where there is no answer now.
     *
     * @param array<string, mixed> $request
     */
    private function authorizeOrUse(Graces $graces, array $request): Hold
    {
        $asked = $graces->ask($request['account']);
        $place = $asked !== null ? ['grace' => ['place' => $asked['place']]] : [];
        $answer = $this->ask('POST', '/api/guard/authorize', $request + $place);
        if ($answer->isWorthRepeating()) {
            $use = $graces->use($request);
            if ($use !== null) {
                return $this->graceHold($use['booking'], $use['cost']);
            }
        } elseif ($answer->error() !== '' && in_array($answer->status, [401, 402, 403], true)) {
            $graces->forget($request['account']);
        }
        $hold = $this->newHold($request, $answer);
        if ($asked !== null) {
            $graces->note($request, $asked, (array) $answer->document());
        }
        return $hold;
    }

    /**
     * @param array<string, mixed> $booking
     * @param array<string, mixed> $cost
     */
    private function graceHold(array $booking, array $cost): Hold
    {
        $micros = (int) $cost['micros'];
        $this->warn('no answer, a grace was used', ['requestId' => $booking['requestId'], 'micros' => $micros]);
        $hold = [
            'hold' => 'grace-' . $booking['requestId'], 'source' => 'platform', 'provider' => $cost['provider'],
            'model' => $cost['model'], 'maxOutputTokens' => $cost['most'], 'reservedMicros' => $micros,
            'availableMicros' => 0, 'balanceMicros' => 0,
            'expiresAt' => gmdate('Y-m-d\TH:i:s\Z', time() + (int) ($booking['ttlSeconds'] ?? self::HOLD_SECONDS)),
        ];
        return $this->opened(new Hold($this, $hold, $this->abandoned, $booking));
    }

    private function opened(Hold $hold): Hold
    {
        $this->open = array_filter($this->open, static fn (\WeakReference $open): bool => $open->get() !== null);
        $this->open[$hold->id] = \WeakReference::create($hold);
        return $hold;
    }

    /** @param array<string, mixed> $request */
    private function newHold(array $request, Answer $answer): Hold
    {
        $hold = $answer->document();
        if (!$answer->isOk() || !self::isHold($hold, isset($request['model']) || isset($request['models']))) {
            throw $this->refusal($answer);
        }
        // An open hold is this call's own if an earlier try had no answer.
        if ($hold['replayed'] && !($answer->tries > 1 && ($hold['holdState'] ?? '') === 'open')) {
            throw new AlreadyAsked($answer, 'the hold of an earlier request');
        }
        return $this->opened(new Hold($this, $hold, $this->abandoned));
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
     * @param array<string, mixed>|null $booking of the use of a grace
     * @internal
     */
    public function settleHold(array $settlement, ?array $booking = null): Settlement
    {
        $hold = (string) $settlement['hold'];
        unset($this->open[$hold]);
        if ($booking !== null) {
            try {
                $settlement['hold'] = $hold = $this->book($booking);
            } catch (Unavailable $e) {
                $this->keep($settlement, $booking);
                return new Settlement($hold, false, []);
            }
        }
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
            $this->replayOnce();
            return new Settlement($hold, true, $settled);
        }
        if ($answer->isFinal()) {
            throw $this->refusal($answer);
        }
        $this->keep($settlement);
        return new Settlement($hold, false, $settled ?? []);
    }

    /**
     * Books the use of a grace.
     *
     * @param array<string, mixed> $booking
     * @return string its hold
     * @throws Unavailable octroi has neither taken nor refused it
     * @internal
     */
    public function book(array $booking): string
    {
        $answer = $this->ask('POST', '/api/guard/authorize', $booking);
        $hold = $answer->document()['hold'] ?? null;
        if ($answer->isOk() && is_string($hold) && $hold !== '') {
            return $hold;
        }
        if ($answer->isFinal()) {
            throw $this->refusal($answer);
        }
        throw new Unavailable($answer, 'the use of a grace is not booked');
    }

    /**
     * Delivers a batch of the spool.
     *
     * @param list<array<string, mixed>> $entries
     * @return list<array<string, mixed>> those that octroi has neither taken nor refused
     * @internal
     */
    public function deliver(array $entries): array
    {
        $kept = $settlements = $of = [];
        foreach ($entries as $entry) {
            try {
                $hold = $kept === [] ? $this->holdOf($entry) : null;
            } catch (Refusal $e) {
                $this->log('error', 'a spooled use of a grace was refused', ['reason' => $e->getMessage()] + $entry);
                continue;
            }
            if ($hold === null) {
                $kept[] = $entry;
            } elseif (isset($entry['settlement'])) {
                $of[$hold] = $entry;
                $settlements[] = ['hold' => $hold] + $entry['settlement'];
            }
        }
        foreach ($settlements !== [] ? $this->settleMany($settlements) : [] as $left) {
            $entry = $of[$left['hold']];
            if (isset($entry['authorization'])) {
                unset($left['hold']);
            }
            $kept[] = ['settlement' => $left] + $entry;
        }
        return $kept;
    }

    /**
     * @param array<string, mixed> $entry of the spool
     * @return string|null its hold; null while octroi is away
     */
    private function holdOf(array $entry): ?string
    {
        try {
            return isset($entry['authorization']) ? $this->book($entry['authorization']) : $entry['settlement']['hold'];
        } catch (Unavailable $e) {
            return null;
        }
    }

    /**
     * Settles a batch.
     *
     * @param list<array<string, mixed>> $settlements
     * @return list<array<string, mixed>> those that octroi has neither taken nor refused
     */
    private function settleMany(array $settlements): array
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
        $deadline = microtime(true) + $this->patience;
        for ($try = 1; ; $try++) {
            $answer = $this->transport->send($method, $path, $body, $deadline - microtime(true));
            $answer->tries = $try;
            $wait = max($this->jitter($try), $answer->retryAfter() ?? 0);
            if (!$answer->isWorthRepeating() || $try === $this->tries || microtime(true) + $wait >= $deadline) {
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

    private function replayOnce(): void
    {
        $this->replayed = true;
        if ($this->spool !== null) {
            $this->spool->replayOnce($this);
        }
    }

    /**
     * A page that settled nothing sends one batch at its end, if nobody has tried for a minute.
     *
     * @internal
     */
    public function replayAtEnd(): void
    {
        if (!$this->replayed && $this->spool !== null && $this->spool->isIdle()) {
            $this->tries = 1;
            $this->patience = self::END_SECONDS;
            $this->quietly(fn () => $this->replayOnce());
        }
    }

    /**
     * @param array<string, mixed> $settlement
     * @param array<string, mixed>|null $booking
     */
    private function keep(array $settlement, ?array $booking = null): void
    {
        if ($booking !== null) {
            unset($settlement['hold']);
        }
        $spooled = $this->spool !== null && $this->spool->add($settlement, $booking);
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
 * A file of settlements and of uses of graces that could not be delivered, one JSON object a line.
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

    private const IDLE_SECONDS = 60;

    /** @internal */
    public string $file;

    public function __construct(string $file)
    {
        $this->file = $file;
    }

    /**
     * Appends a settlement, the use of a grace, or the settlement of such a use; false where the file cannot take it.
     *
     * @param array<string, mixed>|null $settlement
     * @param array<string, mixed>|null $authorization
     */
    public function add(?array $settlement, ?array $authorization = null): bool
    {
        $use = ['at' => time()] + ($authorization !== null ? ['authorization' => $authorization] : []);
        $line = self::line($use + ($settlement !== null ? ['settlement' => $settlement] : []));
        if (strlen($line) > self::LINE_BYTES && $settlement !== null) {
            $reserved = array_intersect_key($settlement, ['hold' => true]) + ['outcome' => 'partial'];
            $line = self::line($use + ['settlement' => $reserved]);
        }
        $stream = strlen($line) <= self::LINE_BYTES ? $this->openLocked() : null;
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
        if (!$this->isEmpty()) {
            $this->work($octroi, 1);
        }
    }

    public function isEmpty(): bool
    {
        clearstatcache();
        return !is_file($this->file) && !is_file("$this->file.work");
    }

    /** True if there is something to send, and no process has tried for a minute. */
    public function isIdle(): bool
    {
        return !$this->isEmpty() && (int) @filemtime("$this->file.lock") < time() - self::IDLE_SECONDS;
    }

    private function work(Client $octroi, int $batches): int
    {
        $lock = @fopen("$this->file.lock", 'c');
        if ($lock === false || !flock($lock, LOCK_EX | LOCK_NB)) {
            return 0; // another process replays
        }
        @touch("$this->file.lock");
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
            $entries = [];
            foreach (array_splice($lines, 0, self::BATCH) as $line) {
                $entry = json_decode((string) $line, true);
                if (self::isEntry($entry) && $entry['at'] >= time() - self::AGE_SECONDS) {
                    $entries[] = $entry;
                } else {
                    $octroi->warn('a line of the spool was dropped', ['line' => rtrim((string) $line)]);
                }
            }
            $kept = $entries !== [] ? $octroi->deliver($entries) : [];
            array_push($lines, ...array_map([self::class, 'line'], $kept));
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

    /**
     * @param mixed $entry
     * @phpstan-assert-if-true array<string, mixed> $entry
     */
    private static function isEntry($entry): bool
    {
        if (isset($entry['at'], $entry['authorization'])) {
            return is_string($entry['authorization']['requestId'] ?? null) && is_array($entry['settlement'] ?? []);
        }
        return isset($entry['at'], $entry['settlement']['hold']);
    }

    /** @param array<string, mixed> $entry */
    private static function line(array $entry): string
    {
        return json_encode($entry) . "\n";
    }
}

// ---- graces ------------------------------------------------------------------------------------------------

/**
 * Amounts that octroi lets a place use for an account while it does not answer.
 *
 * The place is a spool: its processes share the directory FILE.grace, in which each use is counted under a lock before
 * the AI request goes out.  An entry that is lost, copied elsewhere or broken is no grace.
 *
 * @internal
 */
final class Graces
{
    private const SLOT_ENTRIES = 16;
    private const SLOT_BYTES = 65536;
    private const COSTS = 8;
    private const GRACE = ['serial', 'limitMicros', 'endsAt', 'signature'];
    private const INPUTS = ['inputTokens', 'inputBytes'];
    private const NOT_COVERED = ['models', 'fit', 'fitMinimum', 'byok'];
    private const COST = ['kind', 'input', 'output', 'micros', 'most', 'version', 'provider', 'model'];

    private Spool $spool;
    private Client $octroi;

    public function __construct(Spool $spool, Client $octroi)
    {
        $this->spool = $spool;
        $this->octroi = $octroi;
    }

    /**
     * Whether a grace may cover requests of this form.
     *
     * @param array<string, mixed> $request
     */
    public static function covers(array $request): bool
    {
        foreach (array_merge(self::INPUTS, ['maxOutputTokens']) as $name) {
            if (isset($request[$name]) && !is_int($request[$name])) {
                return false;
            }
        }
        $others = array_filter(self::NOT_COVERED, static fn (string $name): bool => isset($request[$name]));
        return is_string($request['account'] ?? null) && $others === [];
    }

    /**
     * Makes the account's place known; null where this cannot be kept.
     *
     * @return array{place: string, at: float, used: int, booked: bool}|null
     */
    public function ask(string $account): ?array
    {
        $asked = $this->locked($account, function (array &$entry, string $place): array {
            $booked = $this->spool->isEmpty();
            return ['place' => $place, 'at' => microtime(true), 'used' => $entry['used'], 'booked' => $booked];
        });
        if ($asked === null) {
            $this->octroi->warn('the graces cannot be kept', ['directory' => $this->spool->file . '.grace']);
        }
        return $asked;
    }

    /**
     * Takes in the answer of octroi: the grace, what is booked, and what such a request costs.
     *
     * @param array<string, mixed> $request
     * @param array{place: string, at: float, used: int, booked: bool} $asked
     * @param array<string, mixed> $answer
     */
    public function note(array $request, array $asked, array $answer): void
    {
        $work = function (array &$entry, string $place) use ($request, $asked, $answer): bool {
            if ($place !== $asked['place']) {
                return false;
            }
            if (array_key_exists('grace', $answer)) {
                $this->take($entry, $asked, $answer['grace']);
            }
            $cost = self::costOf($request, $answer);
            if ($cost !== null) {
                $others = array_filter($entry['costs'], static fn (array $old): bool => !self::replaces($cost, $old));
                $entry['costs'] = array_slice(array_merge([$cost], array_values($others)), 0, self::COSTS);
            }
            return true;
        };
        $this->locked($request['account'], $work);
    }

    /** octroi refuses the account: it has no grace any more. */
    public function forget(string $account): void
    {
        $this->locked($account, static function (array &$entry): bool {
            $entry['grace'] = null;
            return true;
        }, true);
    }

    /**
     * Counts a use and spools its booking; null where no grace covers it.
     *
     * @param array<string, mixed> $request
     * @return array{booking: array<string, mixed>, cost: array<string, mixed>}|null
     */
    public function use(array $request): ?array
    {
        $work = static function (array &$entry, string $place) use ($request): ?array {
            $cost = self::cheapest($entry['costs'], $request);
            $grace = $entry['grace'];
            $now = microtime(true);
            // A clock that was set back is no clock: it would make the grace longer.
            if ($cost === null || $grace === null || $now < $entry['seen'] || $now >= $entry['until']) {
                return null;
            }
            if ($place !== $entry['place']) {
                return null;
            }
            if ($entry['used'] + $cost['micros'] > $grace['limitMicros']) {
                return null;
            }
            $entry['used'] += $cost['micros'];
            $entry['seen'] = $now;
            $used = $grace + ['micros' => $cost['micros'], 'priceVersion' => $cost['version']];
            return ['booking' => ['grace' => ['place' => $place, 'used' => $used]] + $request, 'cost' => $cost];
        };
        $use = $this->locked($request['account'], $work, true);
        return $use !== null && $this->spool->add(null, $use['booking']) ? $use : null; // it stays counted
    }

    /**
     * @param array<string, mixed> $entry
     * @param array{place: string, at: float, used: int, booked: bool} $asked
     * @param mixed $grace
     */
    private function take(array &$entry, array $asked, $grace): void
    {
        $entry['place'] = $asked['place'];
        $entry['seen'] = microtime(true);
        $entry['grace'] = null;
        foreach (['serial', 'limitMicros', 'bookedMicros', 'endsAt', 'seconds'] as $name) {
            if (!is_array($grace) || !is_int($grace[$name] ?? null)) {
                return;
            }
        }
        if (!is_string($grace['signature'] ?? null)) {
            return;
        }
        $entry['grace'] = array_intersect_key($grace, array_flip(self::GRACE));
        $entry['until'] = $asked['at'] + $grace['seconds'];
        // All that was used is booked, so that octroi's sum is the truth.
        if ($asked['booked'] && $this->spool->isEmpty() && $entry['used'] === $asked['used']) {
            $entry['used'] = $grace['bookedMicros'];
        }
    }

    /**
     * Works on the account's entry under the lock of its file, and writes what it changes.
     *
     * @template T
     * @param callable(array<string, mixed>, string): T $work gets the entry by reference, and its place
     * @param bool $lasting the change has to outlive a power cut
     * @return T|null null where the file cannot be written
     */
    private function locked(string $account, callable $work, bool $lasting = false)
    {
        $directory = $this->spool->file . '.grace';
        $name = $directory . '/' . substr(hash('sha256', $account), 0, 3);
        if (!is_dir($directory)) {
            @mkdir($directory, 0700);
        }
        $stream = @fopen($name, 'c+');
        if ($stream === false || !flock($stream, LOCK_EX)) {
            return null;
        }
        try {
            if (fstat($stream)['size'] === 0) {
                @chmod($name, 0600); // it names accounts
            }
            $entries = self::read($stream);
            $known = array_filter($entries, static fn (array $entry): bool => $entry['account'] === $account);
            $entry = $before = array_values($known)[0] ?? null;
            $entry ??= self::newEntry($account);
            $result = $work($entry, self::place($entry['nonce'], fstat($stream)['ino']));
            $others = array_values(array_diff_key($entries, $known));
            return $entry === $before || self::write($stream, array_merge([$entry], $others), $lasting) ? $result : null;
        } finally {
            fclose($stream);
        }
    }

    /** The entry's name towards octroi.  A copy of the file has another inode, a copy of the disk another machine. */
    private static function place(string $nonce, int $inode): string
    {
        $machine = trim((string) @file_get_contents('/etc/machine-id', false, null, 0, 64));
        return substr(hash('sha256', "$nonce\n$inode\n$machine"), 0, 32);
    }

    /**
     * @param resource $stream
     * @return list<array<string, mixed>> the latest first
     */
    private static function read($stream): array
    {
        $text = (string) stream_get_contents($stream, self::SLOT_BYTES + 1, 0);
        $read = strlen($text) <= self::SLOT_BYTES ? json_decode($text, true) : null;
        return array_values(array_filter(is_array($read) ? $read : [], [self::class, 'isEntry']));
    }

    /**
     * @param resource $stream
     * @param list<array<string, mixed>> $entries
     */
    private static function write($stream, array $entries, bool $lasting): bool
    {
        $text = (string) json_encode(array_slice($entries, 0, self::SLOT_ENTRIES));
        return ftruncate($stream, 0) && rewind($stream) // half a text is no entry
            && fwrite($stream, $text) === strlen($text) && fflush($stream)
            && (!$lasting || !function_exists('fsync') || fsync($stream));
    }

    /** @return array<string, mixed> */
    private static function newEntry(string $account): array
    {
        $nonce = bin2hex(random_bytes(16));
        return ['account' => $account, 'nonce' => $nonce, 'place' => '', 'used' => 0, 'seen' => 0, 'until' => 0]
            + ['grace' => null, 'costs' => []];
    }

    /** @param mixed $entry */
    private static function isEntry($entry): bool
    {
        return is_array($entry) && is_string($entry['account'] ?? null) && is_string($entry['nonce'] ?? null)
            && is_string($entry['place'] ?? null) && is_int($entry['used'] ?? null) && is_array($entry['costs'] ?? null)
            && is_numeric($entry['seen'] ?? null) && is_numeric($entry['until'] ?? null)
            && (!isset($entry['grace']) || self::hasAll($entry['grace'], self::GRACE))
            && array_filter($entry['costs'], static fn ($cost): bool => !self::hasAll($cost, self::COST)) === [];
    }

    /**
     * @param mixed $record
     * @param list<string> $names
     */
    private static function hasAll($record, array $names): bool
    {
        return is_array($record) && array_diff_key(array_flip($names), $record) === [];
    }

    // ---- costs: a like request with no more input and output costs no more ---------------------------------

    /** @param array<string, mixed> $request */
    private static function kind(array $request): string
    {
        $said = [];
        foreach (['model', 'action', 'quantity', 'variant', 'serviceTier', 'counts'] as $name) {
            $said[] = $request[$name] ?? null;
        }
        if (is_array($said[5])) {
            ksort($said[5]);
        }
        $said[] = array_values(array_filter(self::INPUTS, static fn (string $name): bool => isset($request[$name])));
        return substr(hash('sha256', (string) json_encode($said)), 0, 32);
    }

    /** @param array<string, mixed> $request */
    private static function input(array $request): int
    {
        return (int) ($request['inputTokens'] ?? $request['inputBytes'] ?? 0);
    }

    /**
     * @param array<string, mixed> $request
     * @param array<string, mixed> $answer
     * @return array<string, mixed>|null
     */
    private static function costOf(array $request, array $answer): ?array
    {
        if ($answer['source'] !== 'platform' || !is_int($answer['priceVersion'] ?? null)) {
            return null;
        }
        $most = $answer['maxOutputTokens'] ?? null;
        return [
            'kind' => self::kind($request),
            'input' => self::input($request),
            'output' => isset($request['maxOutputTokens']) ? $most : null,
            'micros' => (int) $answer['reservedMicros'],
            'most' => $most,
            'version' => $answer['priceVersion'],
            'provider' => $answer['provider'] ?? null,
            'model' => $answer['model'] ?? null,
        ];
    }

    /**
     * @param array<string, mixed> $new
     * @param array<string, mixed> $old
     */
    private static function replaces(array $new, array $old): bool
    {
        return $new['kind'] === $old['kind'] && ($new['output'] === null) === ($old['output'] === null)
            && ($new['version'] !== $old['version']
                || ($new['input'] >= $old['input'] && (int) $new['output'] >= (int) $old['output']));
    }

    /**
     * @param array<string, mixed> $cost
     * @param array<string, mixed> $request
     */
    private static function costCovers(array $cost, array $request): bool
    {
        $output = $request['maxOutputTokens'] ?? null;
        return $cost['kind'] === self::kind($request) && self::input($request) <= $cost['input']
            && ($output === null) === ($cost['output'] === null) && (int) $output <= (int) $cost['output'];
    }

    /**
     * @param list<array<string, mixed>> $costs
     * @param array<string, mixed> $request
     * @return array<string, mixed>|null
     */
    private static function cheapest(array $costs, array $request): ?array
    {
        $covering = array_filter($costs, static fn (array $cost): bool => self::costCovers($cost, $request));
        usort($covering, static fn (array $a, array $b): int => $a['micros'] <=> $b['micros']);
        $output = $request['maxOutputTokens'] ?? null;
        return $covering === [] ? null : ($output !== null ? ['most' => $output] : []) + $covering[0];
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
