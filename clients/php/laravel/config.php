<?php

return [
    'url' => env('OCTROI_INTERNAL_URL', 'http://127.0.0.1:8081'),
    'key' => env('OCTROI_GUARD_KEY', ''),
    'spool' => env('OCTROI_SPOOL'),
    'abandoned' => 'partial',
    'on_outage' => env('OCTROI_ON_OUTAGE', 'refuse'),
];
