/*
 * smtp: sends one mail to one address by a mail server: text and HTML (multipart/alternative), over TLS.  No text of a
 * mail can add a line to its head.  Never logs; no result holds a part of the mail or the password.  Thread-safe; waits
 * on the calling thread.
 */
#ifndef OCTROI_CLIENTS_SMTP_H
#define OCTROI_CLIENTS_SMTP_H

#include <stdbool.h>
#include <stdint.h>

#define SMTP_ERROR_MAX 256
#define SMTP_ADDRESS_MAX 254
#define SMTP_PATIENCE_US INT64_C(60000000)

struct smtp_server {
	const char *url;             /* smtp://host:port, with STARTTLS, or smtps://host:port; "": there is none */
	const char *user, *password; /* "": none */
	const char *from;            /* the sender's address */
	const char *ca_file;         /* "": the system's certificates */
	bool tls;                    /* false: none, only with a server on this machine */
};

struct smtp_mail {
	const char *to, *to_name; /* to_name "": none */
	const char *subject, *text, *html;
	const char *message_id;  /* without <>; the same at each attempt */
	const char *unsubscribe; /* the value of List-Unsubscribe */
	int64_t date_us;
};

enum smtp_end {
	SMTP_SENT,
	SMTP_REFUSED, /* this mail to this address, for good */
	SMTP_LATER,   /* this mail, for now: greylisting, a full mailbox */
	SMTP_DOWN     /* no mail can be sent now: no connection, no TLS, no login */
};
struct smtp_result {
	enum smtp_end end;
	int code; /* the server's last; 0: none */
	char error[SMTP_ERROR_MAX];
};

/* Ends after SMTP_PATIENCE_US. */
void smtp_send(const struct smtp_server *s, const struct smtp_mail *mail, struct smtp_result *result);

/* True for an address that can stand in a mail's head and in an SMTP command: ASCII, no blanks, quotes or brackets. */
bool smtp_address_valid(const char *text);

/* Appends to a head's line a text of any characters: as it is, or as encoded words (RFC 2047).  phrase: it stands
 * before an address, where punctuation is encoded, too.  Bytes that would end the line are blanks. */
struct buf;
void smtp_put_words(struct buf *out, const char *text, bool phrase);

#endif
