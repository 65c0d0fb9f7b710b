<?php

declare(strict_types=1);

namespace Octroi\Laravel;

use Illuminate\Contracts\Container\Container;
use Illuminate\Support\ServiceProvider;
use Octroi\Client;

/** Binds Octroi\Client, and names the middleware `octroi`. */
final class OctroiServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        $this->mergeConfigFrom(__DIR__ . '/config.php', 'octroi');
        $this->app->singleton(Client::class, static function (Container $app): Client {
            $config = $app->make('config');
            return new Client((string) $config->get('octroi.url'), (string) $config->get('octroi.key'), [
                'abandoned' => $config->get('octroi.abandoned'),
                'locale' => $config->get('app.locale'),
                'logger' => $app->make('log'),
                'spool' => $config->get('octroi.spool'),
                'onOutage' => $config->get('octroi.on_outage'),
            ]);
        });
    }

    public function boot(): void
    {
        $this->publishes([__DIR__ . '/config.php' => $this->app->basePath('config/octroi.php')], 'octroi');
        $this->app->make('router')->aliasMiddleware('octroi', Guard::class);
    }
}
