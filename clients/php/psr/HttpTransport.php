<?php

declare(strict_types=1);

namespace Octroi\Psr;

use Octroi\Answer;
use Octroi\Door;
use Octroi\Transport;
use Psr\Http\Client\ClientInterface;
use Psr\Http\Message\RequestFactoryInterface;
use Psr\Http\Message\StreamFactoryInterface;

/**
 * octroi through an HTTP client of the application's own (PSR-18, PSR-17).
 *
 *     $door = new Octroi\Door($url, $key);
 *     $octroi = new Octroi\Client($url, $key, ['transport' => new HttpTransport($door, $http, $factory, $factory)]);
 *
 * The limits of time and the certificates are those of that client: 1 s to connect, 10 s in all.
 */
final class HttpTransport implements Transport
{
    private Door $door;
    private ClientInterface $client;
    private RequestFactoryInterface $requests;
    private StreamFactoryInterface $streams;

    public function __construct(
        Door $door,
        ClientInterface $client,
        RequestFactoryInterface $requests,
        StreamFactoryInterface $streams
    ) {
        $this->door = $door;
        $this->client = $client;
        $this->requests = $requests;
        $this->streams = $streams;
    }

    public function send(string $method, string $path, string $body, float $seconds): Answer
    {
        $request = $this->requests->createRequest($method, $this->door->url . $path);
        foreach ($this->door->headers() as $line) {
            [$name, $value] = explode(': ', $line, 2);
            $request = $request->withHeader($name, $value);
        }
        if ($method !== 'GET') {
            $request = $request->withBody($this->streams->createStream($body));
        }
        try {
            $response = $this->client->sendRequest($request);
            $text = (string) $response->getBody();
        } catch (\Throwable $e) {
            return Answer::none(get_class($e)); // its message may quote the request
        }
        $promised = $response->getHeaderLine('Content-Length');
        if ($promised !== '' && !$response->hasHeader('Content-Encoding') && (int) $promised !== strlen($text)) {
            return Answer::none('half an answer');
        }
        $lines = [];
        foreach (array_keys($response->getHeaders()) as $name) {
            $lines[] = "$name: " . $response->getHeaderLine((string) $name);
        }
        return new Answer($response->getStatusCode(), Answer::headers($lines), $text);
    }
}
