<?php
/* The bundle in Debian's components of Symfony: a kernel with its container and events.  Run by test_unit.py. */
declare(strict_types=1);

use Octroi\Answer;
use Octroi\Client;
use Octroi\InsufficientCredits;
use Octroi\Refusal;
use Octroi\Symfony\OctroiBundle;
use Octroi\Symfony\RefusalListener;
use Octroi\Unavailable;
use PHPUnit\Framework\TestCase;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\EventDispatcher\EventDispatcher;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\RequestStack;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\Controller\ArgumentResolver;
use Symfony\Component\HttpKernel\Controller\ControllerResolver;
use Symfony\Component\HttpKernel\HttpKernel;

foreach (['Config', 'DependencyInjection', 'EventDispatcher', 'HttpFoundation', 'HttpKernel'] as $component) {
    require_once "Symfony/Component/$component/autoload.php";
}
require_once getenv('OCTROI_AUTOLOAD');

final class SymfonyTest extends TestCase
{
    private function container(array $config): ContainerBuilder
    {
        $container = new ContainerBuilder();
        $extension = (new OctroiBundle())->getContainerExtension();
        $container->registerExtension($extension);
        $container->loadFromExtension('octroi', $config);
        $container->compile();
        return $container;
    }

    private function ask(\Throwable $thrown, string $accept): Response
    {
        $container = $this->container(['key' => 'k', 'locale' => 'fr']);
        $events = new EventDispatcher();
        foreach ($container->findTaggedServiceIds('kernel.event_listener') as $id => [$tag]) {
            $events->addListener($tag['event'], [$container->get($id), $tag['method']]);
        }
        $request = Request::create('/ask', 'POST', [], [], [], ['HTTP_ACCEPT' => $accept]);
        $request->attributes->set('_controller', static function () use ($thrown): Response {
            throw $thrown;
        });
        $kernel = new HttpKernel($events, new ControllerResolver(), new RequestStack(), new ArgumentResolver());
        return $kernel->handle($request);
    }

    private static function refusal(): Refusal
    {
        return new InsufficientCredits(new Answer(402, ['content-type' => 'application/json'], json_encode([
            'error' => 'INSUFFICIENT_CREDITS', 'message' => 'Crédits IA insuffisants', 'topupUrl' => 'https://example.org/billing',
        ])));
    }

    public function testTheClientIsAService(): void
    {
        $container = $this->container(['url' => 'https://octroi.example', 'key' => 'k', 'spool' => '/nonexistent/spool']);
        $this->assertInstanceOf(Client::class, $container->get(Client::class));
        $this->assertInstanceOf(RefusalListener::class, $container->get(RefusalListener::class));
    }

    public function testAWrongConfigurationIsFound(): void
    {
        $this->expectException(InvalidArgumentException::class);
        $this->container(['url' => 'octroi.example', 'key' => 'k'])->get(Client::class);
    }

    public function testRefusalOfAPage(): void
    {
        $response = $this->ask(self::refusal(), 'text/html');
        $this->assertSame(402, $response->getStatusCode());
        $this->assertSame('<p>Crédits IA insuffisants <a href="https://example.org/billing">Recharger</a></p>', $response->getContent());
    }

    public function testRefusalOfACall(): void
    {
        $response = $this->ask(self::refusal(), 'application/json');
        $this->assertSame(402, $response->getStatusCode());
        $document = json_decode($response->getContent(), true);
        $this->assertSame(['INSUFFICIENT_CREDITS', 'https://example.org/billing'], [$document['error'], $document['topupUrl']]);
        $response = $this->ask(new Unavailable(Answer::none('test')), 'application/json');
        $this->assertSame(503, $response->getStatusCode());
        $this->assertSame('Veuillez réessayer plus tard.', json_decode($response->getContent(), true)['message']);
    }

    public function testOtherExceptionsAreLeftAlone(): void
    {
        $this->expectException(DomainException::class);
        $this->ask(new DomainException('other'), 'text/html');
    }
}
