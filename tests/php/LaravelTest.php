<?php
/* The service provider and the middleware in Debian's components of Laravel: router, container, requests.  Run by test_unit.py. */
declare(strict_types=1);

use Illuminate\Config\Repository;
use Illuminate\Container\Container;
use Illuminate\Events\Dispatcher;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Illuminate\Routing\CallableDispatcher;
use Illuminate\Routing\Contracts\CallableDispatcher as CallableDispatcherContract;
use Illuminate\Routing\Router;
use Octroi\Client;
use Octroi\Hold;
use Octroi\Laravel\OctroiServiceProvider;
use PHPUnit\Framework\TestCase;
use Psr\Log\NullLogger;

require_once 'PhpOption/autoload.php'; // of env()
require_once 'Dotenv/autoload.php';
foreach (['Config', 'Container', 'Events', 'Http', 'Log', 'Routing', 'Support'] as $component) {
    require_once "Illuminate/$component/autoload.php";
}
require_once getenv('OCTROI_AUTOLOAD');
require_once __DIR__ . '/Memory.php';

/* A container with the two members of Laravel's application that a service provider asks for. */
final class App extends Container
{
    public function basePath(string $path = ''): string
    {
        return "/nonexistent/$path";
    }
}

final class LaravelTest extends TestCase
{
    private Memory $memory;
    private App $app;
    private Router $router;
    private int $asked = 0;

    protected function setUp(): void
    {
        $this->memory = new Memory();
        $this->app = new App();
        Container::setInstance($this->app);
        $this->app->instance('config', new Repository(['app' => ['locale' => 'fr']]));
        $this->app->instance('log', new NullLogger());
        $this->app->instance(Illuminate\Contracts\Container\Container::class, $this->app);
        $this->app->instance(Container::class, $this->app);
        $this->router = new Router(new Dispatcher($this->app), $this->app);
        $this->app->instance('router', $this->router);
        if (interface_exists(CallableDispatcherContract::class)) { // since Laravel 9; its application binds it
            $this->app->bind(CallableDispatcherContract::class, CallableDispatcher::class);
        }
        $provider = new OctroiServiceProvider($this->app);
        $provider->register();
        $provider->boot();
        $this->app->instance(Client::class, new Client('http://octroi.invalid', 'k', [
            'transport' => $this->memory,
            'logger' => new NullLogger(),
        ]));
        $this->router->post('/ask', function (Hold $hold) {
            $this->asked++;
            $hold->settle(['prompt_tokens' => $hold->maxOutputTokens]);
            return 'answer';
        })->middleware('octroi:gpt-4o,500');
        $this->router->post('/forget', function (Hold $hold) {
            $this->asked++;
            return 'answer';
        })->middleware('octroi:gpt-4o');
    }

    /** @return Symfony\Component\HttpFoundation\Response */
    private function post(string $path, ?int $user = 7, string $accept = 'text/html')
    {
        $request = Request::create($path, 'POST', [], [], [], ['HTTP_ACCEPT' => $accept], 'question');
        $request->setUserResolver(static fn () => $user === null ? null : new class ($user) {
            private int $id;

            public function __construct(int $id)
            {
                $this->id = $id;
            }

            public function getAuthIdentifier(): int
            {
                return $this->id;
            }
        });
        return $this->router->dispatch($request);
    }

    public function testTheClientIsMadeOfTheConfiguration(): void
    {
        $app = new App();
        $app->instance('config', new Repository(['app' => ['locale' => 'en']]));
        $app->instance('log', new NullLogger());
        (new OctroiServiceProvider($app))->register();
        $this->assertSame('http://127.0.0.1:8081', $app->make('config')->get('octroi.url'));
        $this->assertInstanceOf(Client::class, $app->make(Client::class));
        $this->assertSame($app->make(Client::class), $app->make(Client::class));
    }

    public function testTheControllerGetsTheHold(): void
    {
        $this->assertSame('answer', $this->post('/ask')->getContent());
        [[, $asked], [, $settled]] = $this->memory->seen;
        $this->assertSame(['user:7', 'gpt-4o', 8, 500], [$asked['account'], $asked['model'], $asked['inputBytes'], $asked['maxOutputTokens']]);
        $this->assertSame(['hold' => 'h1', 'usage' => ['prompt_tokens' => 500]], $settled);
        $this->assertFalse($this->app->bound(Hold::class));
    }

    public function testForgottenHoldEnds(): void
    {
        $this->assertSame('answer', $this->post('/forget')->getContent());
        gc_collect_cycles();
        $this->assertSame(['hold' => 'h1', 'outcome' => 'partial'], $this->memory->last());
    }

    public function testRefusalOfAPage(): void
    {
        $this->memory->statuses = [402];
        $response = $this->post('/ask');
        $this->assertSame([402, 0], [$response->getStatusCode(), $this->asked]);
        $this->assertStringContainsString('<p>', $response->getContent());
    }

    public function testRefusalOfACall(): void
    {
        foreach ([402 => 402, 401 => 503, 422 => 503, 500 => 503] as $answered => $status) {
            $this->memory->statuses = [$answered];
            $response = $this->post('/ask', 7, 'application/json');
            $this->assertInstanceOf(JsonResponse::class, $response);
            $this->assertSame([$status, 0], [$response->getStatusCode(), $this->asked]);
            $this->assertSame('TEST_STATUS', $response->getData(true)['error']);
        }
    }

    public function testVisitorsAreNotServed(): void
    {
        $this->assertSame([401, 0, []], [$this->post('/ask', null)->getStatusCode(), $this->asked, $this->memory->seen]);
    }
}
