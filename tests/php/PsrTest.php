<?php
/* The Composer package beside other people's interfaces: PSR-3, PSR-17 and PSR-18 of Debian.  Run by test_unit.py. */
declare(strict_types=1);

use Nyholm\Psr7\Factory\Psr17Factory;
use Nyholm\Psr7\Response;
use Octroi\Client;
use Octroi\Door;
use Octroi\Psr\HttpTransport;
use PHPUnit\Framework\TestCase;
use Psr\Http\Client\ClientExceptionInterface;
use Psr\Http\Client\ClientInterface;
use Psr\Http\Message\RequestInterface;
use Psr\Http\Message\ResponseInterface;
use Psr\Log\AbstractLogger;

require_once 'Psr/Log/autoload.php';
require_once 'Psr/Http/Client/autoload.php';
require_once 'Nyholm/Psr7/autoload.php';
require_once getenv('OCTROI_AUTOLOAD');

final class Lost extends RuntimeException implements ClientExceptionInterface
{
}

/* An HTTP client that answers from a list: responses, or exceptions. */
final class Answers implements ClientInterface
{
    public array $seen = [];
    private array $answers;

    public function __construct(array $answers)
    {
        $this->answers = $answers;
    }

    public function sendRequest(RequestInterface $request): ResponseInterface
    {
        $this->seen[] = $request;
        $answer = count($this->answers) > 1 ? array_shift($this->answers) : $this->answers[0];
        if ($answer instanceof Throwable) {
            throw $answer;
        }
        return $answer;
    }
}

final class Logger extends AbstractLogger
{
    public array $logged = [];

    public function log($level, $message, array $context = []): void
    {
        $this->logged[] = [$level, $message, $context];
    }
}

final class PsrTest extends TestCase
{
    private const REQUEST = ['account' => 'user:1', 'model' => 'gpt-4o'];
    private const HOLD = ['decision' => 'allow', 'source' => 'platform', 'hold' => 'h1', 'reservedMicros' => 1, 'balanceMicros' => 1,
        'availableMicros' => 1, 'maxOutputTokens' => 77, 'expiresAt' => '2030-01-01T00:00:00.000Z', 'replayed' => false];
    private const SETTLED = ['settlement' => 'exact', 'costMicros' => 1, 'balanceMicros' => 1, 'availableMicros' => 1];

    private Answers $answers;
    private Logger $logger;

    private function octroi(array $answers): Client
    {
        $factory = new Psr17Factory();
        $this->answers = new Answers($answers);
        $this->logger = new Logger();
        $door = new Door('https://octroi.example/base/', 'oct_guard_canary');
        return new Client('https://octroi.example', 'oct_guard_canary', [
            'transport' => new HttpTransport($door, $this->answers, $factory, $factory),
            'logger' => $this->logger,
        ]);
    }

    private static function json(int $status, array $document, array $headers = []): Response
    {
        return new Response($status, $headers + ['Content-Type' => 'application/json'], json_encode($document));
    }

    public function testRequestsAreThoseOfTheApi(): void
    {
        $octroi = $this->octroi([self::json(200, self::HOLD), self::json(200, self::SETTLED)]);
        $octroi->guard(self::REQUEST, fn () => ['usage' => ['prompt_tokens' => 1]]);
        [$authorize, $settle] = $this->answers->seen;
        $this->assertSame('https://octroi.example/base/api/guard/authorize', (string) $authorize->getUri());
        $this->assertSame('POST', $authorize->getMethod());
        $this->assertSame(['oct_guard_canary'], $authorize->getHeader('X-Octroi-Key'));
        $this->assertSame('application/json', $authorize->getHeaderLine('Content-Type'));
        $this->assertSame(['hold' => 'h1', 'usage' => ['prompt_tokens' => 1]], json_decode((string) $settle->getBody(), true));
    }

    /** @dataProvider faults */
    public function testFaultsLetNothingOut($answer, string $exception): void
    {
        try {
            $this->octroi([$answer])->guard(self::REQUEST, fn () => $this->fail('called'));
            $this->fail('no exception');
        } catch (Octroi\Refusal $e) {
            $this->assertSame($exception, get_class($e));
            $this->assertStringNotContainsString('canary', (string) $e);
        }
    }

    public static function faults(): array
    {
        return [
            [new Lost('X-Octroi-Key: oct_guard_canary'), Octroi\Unavailable::class],
            [new TypeError('oct_guard_canary'), Octroi\Unavailable::class],
            [self::json(401, ['error' => 'UNAUTHORIZED']), Octroi\NotPermitted::class],
            [self::json(402, ['error' => 'INSUFFICIENT_CREDITS']), Octroi\InsufficientCredits::class],
            [self::json(307, self::HOLD), Octroi\Unavailable::class],
            [self::json(422, ['error' => 'UNKNOWN_MODEL']), Octroi\UnknownPrice::class],
            [self::json(500, self::HOLD), Octroi\Unavailable::class],
            [self::json(503, ['error' => 'UNAVAILABLE']), Octroi\Unavailable::class],
            [self::json(200, self::HOLD, ['Content-Length' => '5000']), Octroi\Unavailable::class],
            [self::json(200, ['replayed' => true, 'holdState' => 'open'] + self::HOLD), Octroi\AlreadyAsked::class],
            [new Response(200, ['Content-Type' => 'text/html'], json_encode(self::HOLD)), Octroi\Unavailable::class],
            [new Response(200, ['Content-Type' => 'application/json'], '{'), Octroi\Unavailable::class],
        ];
    }

    public function testSilenceIsRepeatedWithTheSameRequestId(): void
    {
        $octroi = $this->octroi([new Lost(), self::json(200, ['replayed' => true, 'holdState' => 'open'] + self::HOLD), self::json(200, self::SETTLED)]);
        $octroi->authorize(self::REQUEST)->failed();
        $this->assertSame((string) $this->answers->seen[0]->getBody(), (string) $this->answers->seen[1]->getBody());
    }

    public function testLoggerOfPsr3(): void
    {
        $octroi = $this->octroi([self::json(200, self::HOLD), self::json(200, self::SETTLED)]);
        $hold = $octroi->authorize(self::REQUEST);
        unset($hold);
        $this->assertSame([['warning', 'octroi: a hold was not settled', ['hold' => 'h1', 'outcome' => 'partial']]], $this->logger->logged);
    }
}
