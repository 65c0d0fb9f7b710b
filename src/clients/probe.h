/*
 * probe: asks a provider whether the platform's own key works.  The first call costs nothing; the second is a
 * completion of five tokens.  The result is a state of probe_states.def.  Never logs.  No result holds the key,
 * or a sentence of the provider's, which may quote keys.  Thread-safe; waits on the calling thread.
 */
#ifndef OCTROI_CLIENTS_PROBE_H
#define OCTROI_CLIENTS_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROBE_DETAIL_MAX 128

enum probe_provider { PROBE_OPENAI, PROBE_ANTHROPIC, PROBE_PROVIDERS };

enum probe_state {
#define STATE(NAME, name, up, ours, english, action, french, action_french) PROBE_##NAME,
#include "clients/probe_states.def"
#undef STATE
	PROBE_STATES
};

struct probe_target {
	enum probe_provider provider;
	const char *api_base; /* "https://api.openai.com" */
	const char *key;
	const char *model;
};

struct probe_result {
	enum probe_state state;
	int http_status;               /* of the answer that decided; 0: none came */
	int64_t latency_ms;            /* of that request */
	char detail[PROBE_DETAIL_MAX]; /* the provider's own code, or the reason for no answer, or "" */
};

/* Makes at most three requests, and ends by the monotonic deadline. */
void probe_run(const struct probe_target *target, int64_t deadline_us, struct probe_result *result);

/* The call that was made; it decides the form of a success. */
enum probe_call { PROBE_LIST_MODELS, PROBE_COMPLETE, PROBE_COUNT_TOKENS, PROBE_MESSAGE };

struct probe_answer {
	enum probe_call call;
	int status;
	const char *body;
	size_t length;
	bool retry_after; /* the header came */
};

/* Judges by the error's code, its type, its sentence, and only then the status.  detail: as in the result.  Pure. */
enum probe_state probe_verdict(const struct probe_answer *answer, char detail[PROBE_DETAIL_MAX]);

const char *probe_provider_name(enum probe_provider provider);
/* PROBE_PROVIDERS when there is none of that name. */
enum probe_provider probe_provider_find(const char *name);

struct probe_text {
	const char *name; /* "healthy" */
	bool up, ours;    /* see probe_states.def */
	const char *message;
	const char *action;
	const char *message_french, *action_french;
};
const struct probe_text *probe_text(enum probe_state state);
/* PROBE_UNCHECKED for an unknown name. */
enum probe_state probe_state_find(const char *name);

#endif
