<?php

declare(strict_types=1);

namespace Octroi\Laravel;

use Illuminate\Contracts\Container\Container;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use Octroi\Client;
use Octroi\Hold;
use Octroi\Refusal;

/**
 * A route with this middleware runs with a hold for one AI request of the signed-in user.
 *
 *     Route::post('/ask', [AskController::class, 'ask'])->middleware(['auth', 'octroi:gpt-4o,500']);
 *
 * The controller takes the hold as an argument of the type Octroi\Hold, and settles it.
 */
final class Guard
{
    private Container $app;
    private Client $octroi;

    public function __construct(Container $app, Client $octroi)
    {
        $this->app = $app;
        $this->octroi = $octroi;
    }

    /** @return mixed the response */
    public function handle(Request $request, \Closure $next, string $model, ?string $maxOutputTokens = null)
    {
        $user = $request->user();
        if ($user === null) {
            return new Response('', 401);
        }
        $wanted = ['account' => "user:{$user->getAuthIdentifier()}", 'model' => $model];
        $wanted += ['inputBytes' => strlen((string) $request->getContent())];
        $wanted += $maxOutputTokens !== null ? ['maxOutputTokens' => (int) $maxOutputTokens] : [];
        try {
            $this->app->instance(Hold::class, $this->octroi->authorize($wanted));
        } catch (Refusal $refusal) {
            $this->app->make('log')->warning($refusal->getMessage());
            return $this->refused($request, $refusal);
        }
        try {
            return $next($request);
        } finally {
            $this->app->forgetInstance(Hold::class); // a hold that nobody settled ends here
        }
    }

    /** @return JsonResponse|Response */
    private function refused(Request $request, Refusal $refusal)
    {
        $locale = (string) $this->app->make('config')->get('app.locale');
        if (!$request->expectsJson()) {
            return new Response($refusal->html($locale), $refusal->httpStatus());
        }
        return new JsonResponse($refusal->document($locale), $refusal->httpStatus());
    }
}
