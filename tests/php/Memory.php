<?php
declare(strict_types=1);

use Octroi\Answer;
use Octroi\Transport;

/* octroi as it answers when all is well, with a memory; $statuses overrides the next answers. */
final class Memory implements Transport
{
    public array $seen = [];
    public array $statuses = [];
    public array $hold = [];
    public int $holds = 0;

    public function send(string $method, string $path, string $body, float $seconds): Answer
    {
        $asked = json_decode($body, true);
        $this->seen[] = [$path, $asked];
        $status = array_shift($this->statuses) ?? 200;
        if ($status !== 200) {
            return $status === 0 ? Answer::none('test') : $this->say($status, ['error' => 'TEST_' . 'STATUS', 'field' => 'usage']);
        }
        if ($path === '/api/guard/authorize' || $path === '/api/guard/extend') {
            return $this->say(200, $this->hold + [
                'decision' => 'allow', 'source' => 'platform', 'hold' => $asked['hold'] ?? 'h' . ++$this->holds, 'model' => 'gpt-4o',
                'reservedMicros' => 9, 'balanceMicros' => 10, 'availableMicros' => 1, 'replayed' => false,
                'maxOutputTokens' => $asked['maxOutputTokens'] ?? 77, 'expiresAt' => '2030-01-01T00:00:00.000Z',
            ]);
        }
        if ($path === '/api/guard/charge') {
            return $this->say(200, $this->hold + ['success' => true, 'creditsConsumed' => 1, 'creditsRemaining' => 2.5,
                'costMicros' => 3, 'balanceMicros' => 4, 'message' => 'ok', 'replayed' => false]);
        }
        if ($path === '/api/tokens') {
            return $this->say(201, ['token' => 'jwt', 'expiresAt' => '']);
        }
        if (strncmp($path, '/api/credits', 12) === 0) {
            return $this->say(200, ['balanceMicros' => 5, 'availableMicros' => 4, 'balanceFormatted' => '0.01€', 'low' => true]);
        }
        if (isset($asked['settlements'])) {
            return $this->say(200, ['results' => array_map(fn () => ['status' => 200], $asked['settlements'])]);
        }
        return $this->say(200, ['settlement' => 'exact', 'costMicros' => 1, 'balanceMicros' => 2, 'availableMicros' => 2]);
    }

    public function last(): array
    {
        return end($this->seen)[1];
    }

    private function say(int $status, array $document): Answer
    {
        return new Answer($status, ['content-type' => 'application/json; charset=utf-8'], json_encode($document));
    }
}
