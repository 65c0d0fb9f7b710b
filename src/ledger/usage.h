/*
 * usage: a provider's usage object, verbatim, to four disjoint token classes (cache writes of an
 * hour apart).  Which field includes which is the provider's business and is undone here:
 *   OpenAI chat       prompt_tokens includes cached_tokens and cache_write_tokens OpenAI responses
 *   input_tokens includes them, in input_tokens_details Anthropic         input_tokens,
 *   cache_read_input_tokens, cache_creation_input_tokens are disjoint Gemini
 *   promptTokenCount includes cachedContentTokenCount; thoughts beside candidates
 * Sources: openai-openapi CompletionUsage and ResponseUsage, anthropic-sdk-typescript messages.ts,
 * js-genai types.ts.  Pure.
 */
#ifndef OCTROI_LEDGER_USAGE_H
#define OCTROI_LEDGER_USAGE_H

#include "base/json.h"
#include "ledger/price.h"

/* 0, or -1 with *field the name of what is wrong: negative, fractional or overflowing counts, parts
 * larger than their whole, or a shape that is none of the four. */
int usage_read(const struct json *usage, struct tokens *tokens, const char **field);

#endif
