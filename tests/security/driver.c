/*
 * driver: puts what comes on stdin before the code that judges other people's bytes, one line each, for
 * tests that know the verdict from elsewhere (test_vectors.py) or time it (test_timing.py).  Bytes are in hex.
 *
 *   json                       BYTES                     -> accepted, or refused
 *   hmac                       KEY MESSAGE               -> the digest, or refused
 *   jws                        HS256 SECRET TOKEN, or RS256|ES256 JWK TOKEN
 *                                                        -> verified when the signature was found good
 *   timing WHAT SAMPLES SEED   (nothing)                 -> the largest |t| of Welch's test
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjose/cjose.h>

#include "base/check.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/signature.h"

/* Claims are read after the signature; the vectors have none that octroi takes.  So it is noted here what
 * was verified, before they are. */
static bool verified;

static bool note_verified(cjose_jws_t *jws, const cjose_jwk_t *key, cjose_err *error)
{
	verified = cjose_jws_verify(jws, key, error);
	return verified;
}

#define cjose_jws_verify note_verified
#include "routes/auth/token.c"
#undef cjose_jws_verify
#include "routes/auth/jwks.c"

#define LINE_MAX_BYTES ((size_t)2 * 1024 * 1024)
#define NOW_S INT64_C(1795000000)

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next word of the line, decoded in its place; "-" is empty. */
static size_t next_bytes(char **line, char **bytes)
{
	char *word = *line;
	size_t length = strcspn(word, " \n");

	*line = word + length + (word[length] == ' ' ? 1 : 0);
	*bytes = word;
	if (length == 1 && word[0] == '-')
		length = 0;
	CHECK(length % 2 == 0);
	for (size_t i = 0; i < length / 2; i++) {
		CHECK(digit(word[2 * i]) >= 0 && digit(word[2 * i + 1]) >= 0);
		word[i] = (char)(digit(word[2 * i]) * 16 + digit(word[2 * i + 1]));
	}
	word[length / 2] = '\0';
	return length / 2;
}

static void judge_json(char *line)
{
	char error[JSON_ERROR_MAX];
	char *bytes;
	const size_t length = next_bytes(&line, &bytes);
	struct json *document = json_parse(bytes, length, false, error);

	puts(document != NULL ? "accepted" : "refused");
	json_free(document);
}

static void judge_hmac(char *line)
{
	unsigned char digest[DIGEST_BYTES];
	char *key, *message;
	/* The second word is decoded first: decoding ends a word where the blank was. */
	char *second = line + strcspn(line, " ") + 1;
	const size_t message_length = next_bytes(&second, &message);
	const size_t key_length = next_bytes(&line, &key);

	if (digest_hmac_sha256(key, key_length, message, message_length, digest) != 0) {
		puts("refused");
		return;
	}
	for (size_t i = 0; i < sizeof(digest); i++)
		printf("%02x", digest[i]);
	putchar('\n');
}

/* As the route does: the key set's reader takes the key or leaves it out, and the token names it. */
static void verify_issued(struct arena *a, const char *algorithm, const char *jwk, const char *token, size_t length)
{
	const struct token_issuer issuer = {algorithm, algorithm, "", "", "sub", "", ""};
	const struct jwks set = {.rsa = strcmp(algorithm, "RS256") == 0};
	const char *kid = token_key_id(a, algorithm, token, length);
	char error[JSON_ERROR_MAX];
	struct json *key = json_parse(jwk, strlen(jwk), false, error);
	struct token_claims claims;
	struct key taken = {0};

	if (kid != NULL && key != NULL && is_wanted(&set, key) && take_jwk(key, &taken) && strcmp(taken.kid, kid) == 0)
		(void)token_accept_issued(a, &issuer, taken.jwk, token, length, NOW_S * CLOCK_US_PER_SECOND, &claims);
	drop_keys(&taken, 1);
	json_free(key);
}

static void judge_jws(char *line)
{
	struct arena *a = arena_new((size_t)1 << 22);
	char *algorithm = line, *key, *token;
	char *second;
	size_t length;

	line += strcspn(line, " ");
	*line++ = '\0';
	second = line + strcspn(line, " ") + 1;
	length = next_bytes(&second, &token);
	(void)next_bytes(&line, &key);
	verified = false;
	if (strcmp(algorithm, "HS256") == 0) {
		const char *account, *member;

		(void)token_accept(a, key, token, length, NOW_S * CLOCK_US_PER_SECOND, &account, &member);
	} else {
		verify_issued(a, algorithm, key, token, length);
	}
	puts(verified ? "verified" : "refused");
	arena_free(a);
}

/* ---- timing: dudect's way (Reparaz, Balasch, Verbauwhede 2016) ----------------------------------------- */

/* Two classes of inputs, in random order: wrong in the last character only, and wrong in all, with what would
 * be right elsewhere; otherwise of the same texts, since reading may take as long as the caller's own text makes
 * it.  What ends at the first difference takes another time for one class than for the other. */
#define VARIANTS 64
#define INPUT_MAX 512
#define BESIDE 256 /* where an input has what goes with it */
#define CROPS 20
#define WARM_UP 2000
#define HEX_LENGTH ((size_t)64)

static char good[VARIANTS][INPUT_MAX];
static char inputs[2][VARIANTS][INPUT_MAX];
static char input[INPUT_MAX];
static struct arena *timing_arena;
static const char secret[] = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
static const char key_in_secret[] = "01234567890123456789012345678901";
static const char body[] = "{\"id\":\"evt_1\",\"object\":\"event\"}";
static volatile int sink;

static uint64_t state;

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint64_t ticks(void)
{
#if defined(__x86_64__)
	unsigned low, high;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
#else
	struct timespec now;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
#endif
}

/* ---- what is timed; 0: taken, and each shows how a good input is made ---- */

/* A comparison that must not be used: it stops at the first difference. */
static int run_careless(void)
{
	int same = 1;

	for (size_t i = 0; i < HEX_LENGTH && same; i++) {
		same = input[i] == input[BESIDE + i];
		__asm__ volatile("" : "+r"(same));
	}
	return !same;
}

static int run_equal(void)
{
	return !digest_equal(input, input + BESIDE, HEX_LENGTH);
}

static void add_hex(char *text, const unsigned char digest[DIGEST_BYTES])
{
	for (size_t i = 0; i < DIGEST_BYTES; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

static size_t make_hex(char *text, int variant, size_t *to)
{
	unsigned char digest[DIGEST_BYTES];

	digest_sha256(&variant, sizeof(variant), digest);
	add_hex(text, digest);
	add_hex(text + BESIDE, digest);
	*to = HEX_LENGTH;
	return 0;
}

static int run_stripe(void)
{
	return (int)signature_stripe(secret, input, body, sizeof(body) - 1, NOW_S);
}

static size_t make_stripe(char *text, int variant, size_t *to)
{
	unsigned char digest[DIGEST_BYTES];
	const size_t from = (size_t)snprintf(text, BESIDE, "t=%lld,v1=", (long long)NOW_S + variant);
	const struct digest_piece pieces[] = {{text + 2, 10}, {".", 1}, {body, sizeof(body) - 1}};

	CHECK(digest_hmac_sha256_pieces(secret, sizeof(secret) - 1, pieces, 3, digest) == 0);
	add_hex(text + from, digest);
	*to = from + HEX_LENGTH;
	return from;
}

static int run_svix(void)
{
	const struct signature_svix headers = {"msg_1", input + BESIDE, input};

	return (int)signature_svix(secret, &headers, body, sizeof(body) - 1, NOW_S);
}

static size_t make_svix(char *text, int variant, size_t *to)
{
	unsigned char digest[DIGEST_BYTES];
	const struct digest_piece pieces[] = {{"msg_1.", 6}, {text + BESIDE, 10}, {".", 1}, {body, sizeof(body) - 1}};

	(void)snprintf(text + BESIDE, INPUT_MAX - BESIDE, "%lld", (long long)NOW_S + variant);
	CHECK(digest_hmac_sha256_pieces(key_in_secret, sizeof(key_in_secret) - 1, pieces, 4, digest) == 0);
	(void)snprintf(text, BESIDE, "v1,");
	CHECK(digest_base64url(digest, sizeof(digest), text + 3) == 43);
	for (size_t i = 3; i < 46; i++)
		text[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
	text[46] = '=';
	*to = 46;
	return 3;
}

static int run_token(void)
{
	const char *account, *member;

	arena_reset(timing_arena);
	return token_accept(timing_arena, secret, input, strlen(input), NOW_S * CLOCK_US_PER_SECOND, &account, &member);
}

static size_t make_token(char *text, int variant, size_t *to)
{
	char account[16];
	const char *token;

	(void)snprintf(account, sizeof(account), "a%03d", variant);
	token = token_issue(timing_arena, secret, account, "", NOW_S * CLOCK_US_PER_SECOND, 600);
	CHECK(token != NULL && strlen(token) < BESIDE);
	*to = (size_t)snprintf(text, BESIDE, "%s", token);
	return (size_t)(strrchr(text, '.') - text) + 1;
}

struct subject {
	const char *name;
	int (*run)(void);
	size_t (*make)(char *text, int variant, size_t *to); /* a good one; from where to where it proves that */
	const char *last;                                    /* what the last character may be */
};

static const struct subject subjects[] = {
	{"careless", run_careless, make_hex, "0123456789abcdef"},
	{"equal", run_equal, make_hex, "0123456789abcdef"},
	{"stripe", run_stripe, make_stripe, "0123456789abcdef"},
	/* The last character of 32 bytes in base64 has two bits that are not used: only some may stand there. */
	{"svix", run_svix, make_svix, "AEIMQUYcgkosw048"},
	{"token", run_token, make_token, "AEIMQUYcgkosw048"},
};

static void make_inputs(const struct subject *s)
{
	size_t from = 0, to = 0;

	for (int v = 0; v < VARIANTS; v++) {
		from = s->make(good[v], v, &to);
		memcpy(input, good[v], sizeof(input));
		CHECK(s->run() == 0); /* so that the others fail by this alone */
	}
	for (int v = 0; v < VARIANTS; v++) {
		for (int c = 0; c < 2; c++) {
			char *text = inputs[c][v];

			memcpy(text, good[v], INPUT_MAX);
			if (c == 1)
				memcpy(text + from, good[(v + 1) % VARIANTS] + from, to - from);
			while (text[to - 1] == good[v][to - 1] || text[to - 1] == good[(v + 1) % VARIANTS][to - 1])
				text[to - 1] = s->last[next_random() % strlen(s->last)];
			memcpy(input, text, sizeof(input));
			CHECK(s->run() != 0);
		}
	}
}

struct moments {
	double count, mean, squares;
};

static void moments_add(struct moments *m, double x)
{
	const double before = x - m->mean;

	m->count += 1;
	m->mean += before / m->count;
	m->squares += before * (x - m->mean);
}

/* t squared: no square root, and so no libm. */
static double welch(const struct moments m[2])
{
	const double difference = m[0].mean - m[1].mean;
	double spread = 0;

	for (int c = 0; c < 2; c++) {
		if (m[c].count < 100)
			return 0;
		spread += m[c].squares / (m[c].count - 1) / m[c].count;
	}
	return spread > 0 ? difference * difference / spread : 0;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t measure(const struct subject *s, int class)
{
	const size_t variant = (size_t)(next_random() >> 20) % VARIANTS;
	uint64_t begun;

	memcpy(input, inputs[class][variant], sizeof(input)); /* always at the same place */
	begun = ticks();
	sink = s->run();
	return ticks() - begun;
}

/* The largest t squared over all samples and over those below each of several bounds, which leave out ever more
 * of what interruptions made long. */
static double largest(const struct subject *s, long samples)
{
	static uint64_t warm[WARM_UP];
	struct moments all[CROPS + 1][2] = {0};
	double found = 0;

	for (size_t i = 0; i < WARM_UP; i++)
		warm[i] = measure(s, (int)(next_random() >> 33 & 1));
	qsort(warm, WARM_UP, sizeof(warm[0]), by_size);
	for (long i = 0; i < samples; i++) {
		const int class = (int)(next_random() >> 33 & 1);
		const uint64_t took = measure(s, class);

		moments_add(&all[CROPS][class], (double)took);
		for (size_t crop = 0; crop < CROPS; crop++)
			if (took <= warm[(crop + 1) * WARM_UP / (CROPS + 1)])
				moments_add(&all[crop][class], (double)took);
	}
	for (size_t crop = 0; crop <= CROPS; crop++)
		found = welch(all[crop]) > found ? welch(all[crop]) : found;
	return found;
}

static int time_it(char **arguments)
{
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		if (strcmp(subjects[i].name, arguments[0]) != 0)
			continue;
		state = strtoull(arguments[2], NULL, 10) * 2 + 1;
		timing_arena = arena_new((size_t)1 << 20);
		make_inputs(&subjects[i]);
		printf("t squared %.3f\n", largest(&subjects[i], strtol(arguments[1], NULL, 10)));
		arena_free(timing_arena);
		return 0;
	}
	return 2;
}

int main(int argc, char **argv)
{
	char *line = malloc(LINE_MAX_BYTES);
	void (*judge)(char *line) = NULL;

	CHECK(line != NULL);
	if (argc == 5 && strcmp(argv[1], "timing") == 0)
		return time_it(argv + 2);
	if (argc == 2)
		judge = strcmp(argv[1], "json") == 0   ? judge_json
		        : strcmp(argv[1], "hmac") == 0 ? judge_hmac
		        : strcmp(argv[1], "jws") == 0  ? judge_jws
		                                       : NULL;
	if (judge == NULL)
		return 2;
	while (fgets(line, (int)LINE_MAX_BYTES, stdin) != NULL)
		judge(line);
	free(line);
	return 0;
}
