<?php

declare(strict_types=1);

namespace Octroi\Symfony;

use Octroi\Client;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\ContainerInterface;
use Symfony\Component\DependencyInjection\Extension\Extension;
use Symfony\Component\DependencyInjection\Reference;

/** Reads the bundle's configuration. */
final class OctroiExtension extends Extension
{
    private const OPTIONS = ['abandoned', 'ca', 'locale', 'onOutage', 'spool'];

    /** @param array<int, array<string, mixed>> $configs */
    public function load(array $configs, ContainerBuilder $container): void
    {
        $config = array_merge(['url' => 'http://127.0.0.1:8081', 'key' => '', 'locale' => 'en'], ...array_values($configs));
        $options = array_intersect_key($config, array_flip(self::OPTIONS));
        $options['logger'] = new Reference('logger', ContainerInterface::NULL_ON_INVALID_REFERENCE);
        $container->register(Client::class, Client::class)
            ->setArguments([$config['url'], $config['key'], $options])
            ->setPublic(true);
        $container->register(RefusalListener::class, RefusalListener::class)
            ->setArguments([$config['locale']])
            ->addTag('kernel.event_listener', ['event' => 'kernel.exception', 'method' => 'onKernelException'])
            ->setPublic(true);
    }

    public function getAlias(): string
    {
        return 'octroi';
    }
}
