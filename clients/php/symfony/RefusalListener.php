<?php

declare(strict_types=1);

namespace Octroi\Symfony;

use Octroi\Refusal;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\Event\ExceptionEvent;

/** Answers a refusal that no controller caught: 402 with the top-up, or 503. */
final class RefusalListener
{
    private string $locale;

    public function __construct(string $locale)
    {
        $this->locale = $locale;
    }

    public function onKernelException(ExceptionEvent $event): void
    {
        $refusal = $event->getThrowable();
        if (!$refusal instanceof Refusal) {
            return;
        }
        if (!in_array('application/json', $event->getRequest()->getAcceptableContentTypes(), true)) {
            $event->setResponse(new Response($refusal->html($this->locale), $refusal->httpStatus()));
            return;
        }
        $event->setResponse(new JsonResponse($refusal->document($this->locale), $refusal->httpStatus()));
    }
}
