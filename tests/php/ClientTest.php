<?php
/* The client against a transport of the test's own: holds, streams, usage objects, the spool.  Run by test_unit.py. */
declare(strict_types=1);

use Octroi\Answer;
use Octroi\Client;
use Octroi\Hold;
use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/../../clients/php/octroi.php';
require_once __DIR__ . '/Memory.php';

final class ClientTest extends TestCase
{
    private const REQUEST = ['account' => 'user:1', 'model' => 'gpt-4o'];
    private const USAGE = ['prompt_tokens' => 5, 'completion_tokens' => 7];

    private Memory $memory;
    private array $logged = [];
    private string $directory;

    protected function setUp(): void
    {
        $this->memory = new Memory();
        $this->directory = sys_get_temp_dir() . '/octroi-test-' . bin2hex(random_bytes(8));
        mkdir($this->directory);
    }

    protected function tearDown(): void
    {
        array_map('unlink', glob("$this->directory/*"));
        rmdir($this->directory);
    }

    private function octroi(array $options = []): Client
    {
        return new Client('http://octroi.invalid', 'oct_guard_canary', $options + [
            'transport' => $this->memory,
            'logger' => function (string $level, string $message, array $context): void {
                $this->logged[] = "$level $message";
            },
        ]);
    }

    // ---- holds ---------------------------------------------------------------------------------------------

    public function testHoldHasWhatWasGranted(): void
    {
        $hold = $this->octroi()->authorize(self::REQUEST + ['member' => 'user:2']);
        $this->assertSame(['h1', 'gpt-4o', 77, 9], [$hold->id, $hold->model, $hold->maxOutputTokens, $hold->reservedMicros]);
        $settlement = $hold->settle(self::USAGE, ['messageId' => 'm1']);
        $this->assertSame(['exact', 1, true], [$settlement->settlement, $settlement->costMicros, $settlement->delivered]);
        $this->assertSame(['hold' => 'h1', 'usage' => self::USAGE, 'messageId' => 'm1'], $this->memory->last());
        $this->assertSame([], $this->logged);
    }

    public function testRequestIdIsTheApplicationsOwnOrNew(): void
    {
        $octroi = $this->octroi();
        foreach ([self::REQUEST, self::REQUEST, self::REQUEST + ['requestId' => 'mine']] as $request) {
            $octroi->authorize($request)->failed();
        }
        $asked = array_column(array_filter(array_column($this->memory->seen, 1), fn ($a) => isset($a['account'])), 'requestId');
        $this->assertCount(3, array_unique($asked));
        $this->assertSame('mine', $asked[2]);
    }

    public function testPartialAndFailed(): void
    {
        $this->octroi()->authorize(self::REQUEST)->partial(self::USAGE);
        $this->assertSame(['hold' => 'h1', 'usage' => self::USAGE, 'outcome' => 'partial'], $this->memory->last());
        $this->octroi()->authorize(self::REQUEST)->failed();
        $this->assertSame(['hold' => 'h2', 'outcome' => 'failed'], $this->memory->last());
    }

    public function testSettlementWithoutACountIsPartial(): void
    {
        foreach ([null, [], new stdClass(), NAN] as $usage) {
            $hold = $this->octroi()->authorize(self::REQUEST);
            $hold->settle($usage);
            $this->assertSame(['hold' => $hold->id, 'outcome' => 'partial'], $this->memory->last());
        }
    }

    public function testExtendChangesTheHold(): void
    {
        $hold = $this->octroi()->authorize(self::REQUEST);
        $this->assertSame(500, $hold->extend(null, 500)->maxOutputTokens);
        $this->assertSame(['hold' => 'h1', 'maxOutputTokens' => 500], $this->memory->last());
        $hold->failed();
    }

    /** @dataProvider abandonedHolds */
    public function testHoldOutOfScopeIsSettledAsChosen(array $options, string $outcome): void
    {
        $octroi = $this->octroi($options);
        $hold = $octroi->authorize(self::REQUEST);
        unset($hold);
        $this->assertSame(['hold' => 'h1', 'outcome' => $outcome], $this->memory->last());
        $this->assertSame(['warning a hold was not settled'], $this->logged);
    }

    public static function abandonedHolds(): array
    {
        return [[[], 'partial'], [['abandoned' => 'partial'], 'partial'], [['abandoned' => 'failed'], 'failed']];
    }

    public function testOtherChoicesAreRefused(): void
    {
        $this->expectException(InvalidArgumentException::class);
        $this->octroi(['abandoned' => 'complete']);
    }

    public function testForkedChildLeavesTheHoldToItsParent(): void
    {
        $hold = $this->octroi()->authorize(self::REQUEST);
        $child = pcntl_fork();
        if ($child === 0) {
            $hold->abandon();
            file_put_contents("$this->directory/child", count($this->memory->seen));
            posix_kill(getmypid(), SIGKILL); // without PHPUnit's own end
        }
        pcntl_waitpid($child, $status);
        $this->assertSame('1', file_get_contents("$this->directory/child"));
        $hold->failed();
    }

    public function testHoldIsNotCopied(): void
    {
        $hold = $this->octroi()->authorize(self::REQUEST);
        $hold->failed();
        $this->expectException(LogicException::class);
        clone $hold;
    }

    public function testRefusedSettlementIsAnException(): void
    {
        $hold = $this->octroi()->authorize(self::REQUEST);
        $this->memory->statuses = [409];
        $this->expectException(Octroi\Conflict::class);
        $hold->settle(self::USAGE);
    }

    // ---- guard ---------------------------------------------------------------------------------------------

    public function testGuardSettlesTheUsageOfTheResult(): void
    {
        $result = $this->octroi()->guard(self::REQUEST, fn (Hold $hold) => ['usage' => self::USAGE]);
        $this->assertSame(['usage' => self::USAGE], $result);
        $this->assertSame(['hold' => 'h1', 'usage' => self::USAGE], $this->memory->last());
        $this->assertSame([], $this->logged);
    }

    public function testGuardSettlesNothingTwice(): void
    {
        $this->octroi()->guard(self::REQUEST, function (Hold $hold) {
            $hold->failed();
            return ['usage' => self::USAGE];
        });
        $this->assertCount(2, $this->memory->seen);
    }

    public function testGuardWithoutAUsageIsPartial(): void
    {
        $this->assertSame('text', $this->octroi()->guard(self::REQUEST, fn () => 'text'));
        $this->assertSame(['hold' => 'h1', 'outcome' => 'partial'], $this->memory->last());
        $this->assertSame(['warning a hold was not settled'], $this->logged);
    }

    public function testGuardOfARefusalByTheProviderIsFree(): void
    {
        $this->octroi()->guard(self::REQUEST, fn () => ['error' => ['message' => 'Rate limit reached']]);
        $this->assertSame(['hold' => 'h1', 'outcome' => 'failed'], $this->memory->last());
        $this->octroi()->guard(self::REQUEST, fn () => ['error' => null, 'usage' => self::USAGE]);
        $this->assertSame(['hold' => 'h2', 'usage' => self::USAGE], $this->memory->last());
    }

    public function testGuardThatThrowsIsPartial(): void
    {
        try {
            $this->octroi()->guard(self::REQUEST, function (): void {
                throw new DomainException('provider');
            });
            $this->fail('no exception');
        } catch (DomainException $e) {
            $this->assertSame(['hold' => 'h1', 'outcome' => 'partial'], $this->memory->last());
        }
    }

    public function testGuardServesThePageWhenTheSettlementIsRefused(): void
    {
        $result = $this->octroi()->guard(self::REQUEST, function (): array {
            $this->memory->statuses = [404];
            return ['usage' => self::USAGE];
        });
        $this->assertSame(['usage' => self::USAGE], $result);
        $this->assertSame(['error a settlement was refused'], $this->logged);
    }

    public function testRefusalCallsNothing(): void
    {
        $this->memory->statuses = [402];
        $this->expectException(Octroi\InsufficientCredits::class);
        $this->octroi()->guard(self::REQUEST, fn () => $this->fail('called'));
    }

    // ---- usage objects -------------------------------------------------------------------------------------

    public function testUsageIsFound(): void
    {
        $object = new class {
            public ?object $usage = null;
        };
        $object->usage = new class {
            public function toArray(): array
            {
                return ['input_tokens' => 1];
            }
        };
        $this->assertSame(['input_tokens' => 1], Octroi\Usage::of($object));
        $this->assertSame(self::USAGE, Octroi\Usage::of((object) ['usage' => (object) self::USAGE]));
        $this->assertSame(['promptTokenCount' => 1], Octroi\Usage::of(['usageMetadata' => ['promptTokenCount' => 1]]));
        foreach ([null, 'text', [], 7, ['usage' => null], ['usage' => []], new stdClass()] as $none) {
            $this->assertNull(Octroi\Usage::of($none));
        }
    }

    // ---- streams -------------------------------------------------------------------------------------------

    private const OPENAI = [['choices' => [['delta' => ['content' => 'a']]], 'usage' => null],
        ['choices' => [['delta' => ['content' => 'b']]], 'usage' => null], ['choices' => [], 'usage' => self::USAGE]];
    private const ANTHROPIC = [
        ['type' => 'message_start', 'message' => ['usage' => ['input_tokens' => 9, 'output_tokens' => 1]]],
        ['type' => 'content_block_delta'], ['type' => 'message_delta', 'usage' => ['output_tokens' => 40, 'input_tokens' => null]]];

    /** @dataProvider streams */
    public function testStreamSettlesAtItsEnd(array $chunks, array $usage): void
    {
        $hold = $this->octroi()->authorize(self::REQUEST);
        $this->assertSame($chunks, iterator_to_array($hold->stream($chunks)));
        $this->assertSame(['hold' => 'h1', 'usage' => $usage], $this->memory->last());
        $this->assertSame([], $this->logged);
    }

    public static function streams(): array
    {
        return [
            'OpenAI' => [self::OPENAI, self::USAGE],
            'Anthropic' => [self::ANTHROPIC, ['input_tokens' => 9, 'output_tokens' => 40]],
            'Responses' => [[['type' => 'response.completed', 'response' => ['usage' => ['input_tokens' => 3]]]], ['input_tokens' => 3]],
            'Gemini' => [[['usageMetadata' => ['promptTokenCount' => 1]], ['usageMetadata' => ['promptTokenCount' => 1, 'candidatesTokenCount' => 2]]],
                ['promptTokenCount' => 1, 'candidatesTokenCount' => 2]],
        ];
    }

    /** @dataProvider brokenStreams */
    public function testStreamSettlesAtBreak(array $chunks, ?callable $count, array $settled): void
    {
        $octroi = $this->octroi();
        foreach ($octroi->authorize(self::REQUEST)->stream($chunks, $count) as $i => $chunk) {
            if ($i === 1) {
                break;
            }
        }
        gc_collect_cycles();
        $this->assertSame($settled + ['outcome' => 'partial'], $this->memory->last());
        $this->assertCount(2, $this->memory->seen);
    }

    public static function brokenStreams(): array
    {
        return [
            'the reservation' => [self::OPENAI, null, ['hold' => 'h1']],
            'as counted' => [self::OPENAI, static fn ($chunk) => 3, ['hold' => 'h1', 'outputTokens' => 6]],
            "no first guess of Anthropic's" => [self::ANTHROPIC, null, ['hold' => 'h1']],
            'the usage so far' => [[1 => ['usageMetadata' => ['promptTokenCount' => 8]]], null,
                ['hold' => 'h1', 'usage' => ['promptTokenCount' => 8]]],
        ];
    }

    public function testStreamThatThrowsIsPartial(): void
    {
        $chunks = (function () {
            yield self::OPENAI[0];
            throw new DomainException('broke off');
        })();
        try {
            iterator_to_array($this->octroi()->authorize(self::REQUEST)->stream($chunks));
            $this->fail('no exception');
        } catch (DomainException $e) {
            $this->assertSame(['hold' => 'h1', 'outcome' => 'partial'], $this->memory->last());
        }
    }

    public function testGuardLeavesAStreamToItsEnd(): void
    {
        $octroi = $this->octroi();
        $stream = $octroi->guard(self::REQUEST, fn (Hold $hold) => $hold->stream(self::OPENAI));
        $this->assertCount(1, $this->memory->seen);
        iterator_to_array($stream);
        $this->assertSame(['hold' => 'h1', 'usage' => self::USAGE], $this->memory->last());
    }

    public function testStreamOfASettledHoldIsLeftAlone(): void
    {
        $hold = $this->octroi()->authorize(self::REQUEST);
        foreach ($hold->stream(self::OPENAI) as $chunk) {
            $hold->failed();
            break;
        }
        $this->assertSame(['hold' => 'h1', 'outcome' => 'failed'], $this->memory->last());
        $this->assertCount(2, $this->memory->seen);
    }

    public function testRepetitionsAlwaysHaveAnId(): void
    {
        $this->memory->statuses = [503];
        $this->octroi()->authorize(['requestId' => null] + self::REQUEST)->failed();
        [[, $first], [, $second]] = $this->memory->seen;
        $this->assertSame($first, $second);
        $this->assertSame(32, strlen($first['requestId']));
    }

    public function testStreamThatIsNeverReadIsSettled(): void
    {
        $octroi = $this->octroi();
        $octroi->authorize(self::REQUEST)->stream(self::OPENAI);
        gc_collect_cycles();
        $this->assertSame(['hold' => 'h1', 'outcome' => 'partial'], $this->memory->last());
    }

    // ---- other calls ---------------------------------------------------------------------------------------

    public function testChargeCreditsToken(): void
    {
        $charge = $this->octroi()->charge(['account' => 'user:1', 'action' => 'debrief']);
        $this->assertSame([1.0, 2.5, 3], [$charge->creditsConsumed, $charge->creditsRemaining, $charge->costMicros]);
        $this->assertSame(32, strlen($this->memory->last()['requestId']));
        $credits = $this->octroi()->credits('ws:a&b');
        $this->assertSame(['0.01€', 5, true], [$credits->balanceFormatted, $credits->balanceMicros, $credits->low]);
        $this->assertSame('/api/credits?account=ws%3Aa%26b', end($this->memory->seen)[0]);
        $this->assertSame('jwt', $this->octroi()->token(['account' => 'user:1']));
    }

    public function testActionOfAnEarlierRequestIsNotDoneAgain(): void
    {
        $this->memory->hold = ['replayed' => true];
        $this->expectException(Octroi\AlreadyAsked::class);
        $this->octroi()->charge(['account' => 'user:1', 'action' => 'debrief', 'requestId' => 'r']);
    }

    // ---- secrets, addresses --------------------------------------------------------------------------------

    public function testKeyIsShownNowhere(): void
    {
        $octroi = new Client('http://127.0.0.1:1', 'oct_guard_canary', ['connectSeconds' => 0.1]);
        ob_start();
        var_dump($octroi);
        $this->assertStringNotContainsString('canary', ob_get_clean() . print_r($octroi, true));
        $this->expectException(LogicException::class);
        serialize(new Octroi\Door('http://127.0.0.1:1', 'oct_guard_canary'));
    }

    /** @dataProvider addresses */
    public function testAddressesThatAreRefused(string $url, string $key): void
    {
        $this->expectException(InvalidArgumentException::class);
        new Client($url, $key);
    }

    public static function addresses(): array
    {
        return [['ftp://octroi', 'k'], ['http://user:pass@octroi', 'k'], ['http://octroi?x', 'k'], ['octroi', 'k'],
            ["http://octroi\r\nX: y", 'k'], ['http://octroi', "k\r\nX: y"], ['file:///etc/passwd', 'k'], ['http://', 'k']];
    }

    public function testRefusalHasItsFigures(): void
    {
        $refusal = new Octroi\InsufficientCredits(new Answer(402, ['content-type' => 'application/json', 'x-request-id' => 'r1'], json_encode([
            'error' => 'MEMBER_LIMIT_REACHED', 'message' => 'Plus de crédits', 'neededMicros' => 5, 'availableMicros' => 2,
            'shortfallMicros' => 3, 'topupUrl' => 'https://example.org/billing', 'limit' => ['kind' => 'member'],
        ])));
        $this->assertSame([5, 2, 3], [$refusal->neededMicros(), $refusal->availableMicros(), $refusal->shortfallMicros()]);
        $this->assertSame(['member', 'https://example.org/billing'], [$refusal->limitKind(), $refusal->topupUrl()]);
        $this->assertSame('octroi: 402 MEMBER_LIMIT_REACHED r1', $refusal->getMessage());
        $this->assertSame(['Plus de crédits', 'Not enough credits.'], [$refusal->sentence(), $refusal->sentence('en')]);
        $this->assertSame('<p>Plus de crédits <a href="https://example.org/billing">Recharger</a></p>', $refusal->html('fr'));
    }

    public function testHtmlIsEscaped(): void
    {
        $refusal = new Octroi\InsufficientCredits(new Answer(402, ['content-type' => 'application/json'], json_encode([
            'error' => 'INSUFFICIENT_CREDITS', 'message' => '<b>"no"</b>', 'topupUrl' => 'javascript:alert(1)',
        ])));
        $this->assertSame('<p>&lt;b&gt;&quot;no&quot;&lt;/b&gt;</p>', $refusal->html());
    }
}
