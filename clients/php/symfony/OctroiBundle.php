<?php

declare(strict_types=1);

namespace Octroi\Symfony;

use Symfony\Component\DependencyInjection\Extension\ExtensionInterface;
use Symfony\Component\HttpKernel\Bundle\Bundle;

/** Octroi\Client as a service, and refusals as responses.  config/packages/octroi.yaml has url, key, locale and spool. */
final class OctroiBundle extends Bundle
{
    public function getContainerExtension(): ?ExtensionInterface
    {
        return new OctroiExtension();
    }
}
