#include "clients/smtp.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/calendar.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/memory.h"
#include "clients/http.h"

#define HEAD_MAX ((size_t)8 * 1024)
#define WORD_BYTES 45 /* of an encoded word: 75 characters with its frame */
#define WORDS_MAX 400 /* bytes of a text in a head */
#define DAY_S 86400
#define CONNECT_MAX_MS 10000L
#define ANSWER_LOGIN_NEEDED 530
#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* ---- the head ------------------------------------------------------------------------------------- */

bool smtp_address_valid(const char *text)
{
	const size_t local = strspn(text, LETTERS_AND_DIGITS "!#$%&'*+-/=?^_`{|}~.");
	const char *domain = text + local + 1;

	return strlen(text) <= SMTP_ADDRESS_MAX && local > 0 && local <= 64 && text[0] != '-' && text[local] == '@' &&
	       *domain != '\0' && *domain != '.' && *domain != '-' &&
	       domain[strspn(domain, LETTERS_AND_DIGITS ".-")] == '\0';
}

/* Bytes of the next encoded word, cut between characters of UTF-8. */
static size_t word_length(const char *text, size_t left)
{
	size_t length = left < WORD_BYTES ? left : WORD_BYTES;

	while (length < left && length > 1 && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	return length;
}

static void put_encoded(struct buf *out, const char *text, size_t length)
{
	char word[WORD_BYTES * 2];

	for (size_t at = 0; at < length;) {
		const size_t part = word_length(text + at, length - at);

		(void)digest_base64(text + at, part, word);
		buf_printf(out, "%s=?UTF-8?B?%s?=", at > 0 ? " " : "", word);
		at += part;
	}
}

void smtp_put_words(struct buf *out, const char *text, bool phrase)
{
	char line[WORDS_MAX + 1];
	size_t length = strlen(text);
	bool plain = strstr(text, "=?") == NULL;

	length = length < WORDS_MAX ? length : WORDS_MAX;
	while (length > 0 && length < strlen(text) && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	for (size_t i = 0; i < length; i++) {
		const unsigned char c = (unsigned char)text[i];

		line[i] = c < ' ' || c == 0x7f ? ' ' : text[i];
		plain = plain && c >= ' ' && c < 0x7f && (!phrase || strchr("?=.\"\\()<>@,;:[]", text[i]) == NULL);
	}
	line[length] = '\0';
	if (plain)
		buf_add(out, line, length);
	else
		put_encoded(out, line, length);
}

static void put_date(struct buf *out, int64_t date_us)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
	                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	const int64_t seconds = date_us / CLOCK_US_PER_SECOND, day = seconds / DAY_S;
	const int of_day = (int)(seconds % DAY_S);
	const struct calendar_date date = calendar_date(day);

	/* 1970-01-01 was a Thursday. */
	buf_printf(out, "%s, %02d %s %04d %02d:%02d:%02d +0000", days[(day + 4) % 7], (int)date.day,
	           months[date.month - 1], (int)date.year, of_day / 3600, of_day / 60 % 60, of_day % 60);
}

/* Appends the line, and empties it; false when memory is short. */
static bool add_header(struct curl_slist **headers, struct buf *line)
{
	struct curl_slist *longer = buf_ok(line) ? curl_slist_append(*headers, buf_text(line)) : NULL;

	if (longer != NULL)
		*headers = longer;
	buf_reset(line);
	return longer != NULL;
}

static bool make_headers(const struct smtp_server *s, const struct smtp_mail *mail, struct curl_slist **headers)
{
	struct buf line;
	bool good;

	buf_init(&line, HEAD_MAX);
	buf_add_text(&line, "Date: ");
	put_date(&line, mail->date_us);
	good = add_header(headers, &line);
	buf_printf(&line, "From: <%s>", s->from);
	good = add_header(headers, &line) && good;
	buf_add_text(&line, "To: ");
	smtp_put_words(&line, mail->to_name, true);
	buf_printf(&line, "%s<%s>", mail->to_name[0] != '\0' ? " " : "", mail->to);
	good = add_header(headers, &line) && good;
	buf_add_text(&line, "Subject: ");
	smtp_put_words(&line, mail->subject, false);
	good = add_header(headers, &line) && good;
	buf_printf(&line, "Message-ID: <%s>", mail->message_id);
	good = add_header(headers, &line) && good;
	buf_printf(&line, "List-Unsubscribe: %s", mail->unsubscribe);
	good = add_header(headers, &line) && good;
	buf_add_text(&line, "Auto-Submitted: auto-generated");
	good = add_header(headers, &line) && good;
	buf_add_text(&line, "Content-Type: multipart/alternative");
	good = add_header(headers, &line) && good;
	buf_free(&line);
	return good;
}

/* ---- sending -------------------------------------------------------------------------------------- */

static bool add_part(curl_mime *mime, const char *content, const char *type)
{
	curl_mimepart *part = curl_mime_addpart(mime);

	return part != NULL && curl_mime_data(part, content, CURL_ZERO_TERMINATED) == CURLE_OK &&
	       curl_mime_type(part, type) == CURLE_OK && curl_mime_encoder(part, "quoted-printable") == CURLE_OK;
}

static bool set_server(CURL *curl, const struct smtp_server *s)
{
	const long tls = s->tls ? CURLUSESSL_ALL : CURLUSESSL_NONE;

	return curl_easy_setopt(curl, CURLOPT_URL, s->url) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_USE_SSL, tls) == CURLE_OK &&
	       (s->ca_file[0] == '\0' || curl_easy_setopt(curl, CURLOPT_CAINFO, s->ca_file) == CURLE_OK) &&
	       (s->user[0] == '\0' || (curl_easy_setopt(curl, CURLOPT_USERNAME, s->user) == CURLE_OK &&
	                               curl_easy_setopt(curl, CURLOPT_PASSWORD, s->password) == CURLE_OK)) &&
	       curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(SMTP_PATIENCE_US / CLOCK_US_PER_MS)) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MAX_MS) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
#if LIBCURL_VERSION_NUM >= 0x075500
	       curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps") == CURLE_OK;
#else
	       curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_SMTP | CURLPROTO_SMTPS)) == CURLE_OK;
#endif
}

static CURLcode perform_mail(CURL *curl, const struct smtp_server *s, struct curl_slist *headers, struct curl_slist *to,
                             curl_mime *mime)
{
	const bool before = memory_watch();
	CURLcode code = CURLE_UNKNOWN_OPTION;
	char from[SMTP_ADDRESS_MAX + 3];

	(void)snprintf(from, sizeof(from), "<%s>", s->from);
	if (set_server(curl, s) && curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from) == CURLE_OK &&
	    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, to) == CURLE_OK &&
	    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
	    curl_easy_setopt(curl, CURLOPT_MIMEPOST, mime) == CURLE_OK)
		code = curl_easy_perform(curl);
	if (memory_watched(before))
		code = CURLE_OUT_OF_MEMORY;
	return code;
}

/* True if the server's answer is about this mail: libcurl has a code for MAIL, RCPT and DATA that are refused.  A mail
 * that is refused at its end has been uploaded. */
static bool is_about_mail(CURLcode code, long answer, curl_off_t uploaded)
{
	if (answer < 400 || answer == 421 || answer == ANSWER_LOGIN_NEEDED)
		return false;
	return code == CURLE_SEND_ERROR || (code == CURLE_WEIRD_SERVER_REPLY && uploaded > 0);
}

static enum smtp_end judge_end(CURLcode code, long answer, curl_off_t uploaded)
{
	if (code == CURLE_OK)
		return SMTP_SENT;
	if (!is_about_mail(code, answer, uploaded))
		return SMTP_DOWN;
	return answer < 500 ? SMTP_LATER : SMTP_REFUSED;
}

static void read_smtp_end(CURL *curl, CURLcode code, struct smtp_result *result)
{
	curl_off_t uploaded = 0;
	long answer = 0;

	if (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer) != CURLE_OK ||
	    curl_easy_getinfo(curl, CURLINFO_SIZE_UPLOAD_T, &uploaded) != CURLE_OK)
		answer = 0;
	result->code = (int)answer;
	result->end = judge_end(code, answer, uploaded);
	if (result->end == SMTP_REFUSED || result->end == SMTP_LATER)
		(void)snprintf(result->error, sizeof(result->error), "the mail server answered %ld", answer);
	else if (code != CURLE_OK)
		(void)snprintf(result->error, sizeof(result->error), "%s", curl_easy_strerror(code));
}

void smtp_send(const struct smtp_server *s, const struct smtp_mail *mail, struct smtp_result *result)
{
	struct curl_slist *headers = NULL, *to;
	curl_mime *mime = NULL;
	CURL *curl;

	http_begin();
	*result = (struct smtp_result){.end = SMTP_DOWN, .error = "out of memory"};
	curl = curl_easy_init();
	to = curl_slist_append(NULL, mail->to);
	if (curl != NULL)
		mime = curl_mime_init(curl);
	if (mime != NULL && to != NULL && make_headers(s, mail, &headers) &&
	    add_part(mime, mail->text, "text/plain; charset=utf-8") &&
	    add_part(mime, mail->html, "text/html; charset=utf-8")) {
		result->error[0] = '\0';
		read_smtp_end(curl, perform_mail(curl, s, headers, to, mime), result);
	}
	curl_mime_free(mime);
	curl_slist_free_all(headers);
	curl_slist_free_all(to);
	if (curl != NULL)
		curl_easy_cleanup(curl);
}
