// One HTTP/1.1 message as it comes (RFC 9112): its head, then its body without its framing. For both ends of the
// benchmark; strict enough to notice a broken answer, and no more.
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum part { HEAD, SIZED, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, UNTIL_CLOSE, WHOLE, BROKEN };

struct message {
    enum part part;
    int answer;        // set by its reader: is this an answer, which may end with its connection?
    int status;        // of an answer
    int closes;        // the connection ends with this message
    long left;         // bytes of the body or the chunk still to come
    int length;        // of `head`, or of the line being read
    char head[16384];
    char line[64];
};

typedef void (*sink)(void *whose, const char *bytes, size_t count);

static void message_begin(struct message *m, int answer) {
    m->part = HEAD;
    m->answer = answer;
    m->status = m->closes = m->length = 0;
    m->left = 0;
}

static const char *message_field(const struct message *m, const char *name) {
    size_t n = strlen(name);
    for (const char *at = strstr(m->head, "\r\n"); at && at[2]; at = strstr(at + 2, "\r\n"))
        if (!strncasecmp(at + 2, name, n) && at[2 + n] == ':') {
            at += 3 + n;
            while (*at == ' ') at++;
            return at;
        }
    return NULL;
}

static void message_head_read(struct message *m) {
    const char *field;
    m->status = m->answer ? atoi(m->head + 9) : 0;
    field = message_field(m, "connection");
    m->closes = field && !strncasecmp(field, "close", 5);
    if (m->answer && m->status >= 100 && m->status < 200) {  // an interim answer: the real one follows
        m->part = HEAD;
        m->length = 0;
    } else if ((field = message_field(m, "transfer-encoding")) && !strncasecmp(field, "chunked", 7)) {
        m->part = CHUNK_SIZE;
        m->length = 0;
    } else if ((field = message_field(m, "content-length"))) {
        m->left = atol(field);
        m->part = m->left ? SIZED : WHOLE;
    } else
        m->part = m->answer && m->status != 204 ? UNTIL_CLOSE : WHOLE;
}

// Reads up to the end of the message and returns how many bytes that took.
static size_t message_feed(struct message *m, const char *bytes, size_t count, sink body, void *whose) {
    size_t at = 0;
    while (at < count && m->part < WHOLE) {
        if (m->part == HEAD) {
            if (m->length == (int)sizeof m->head - 1) { m->part = BROKEN; break; }
            m->head[m->length++] = bytes[at++];
            if (m->length >= 4 && !memcmp(m->head + m->length - 4, "\r\n\r\n", 4)) {
                m->head[m->length] = 0;
                message_head_read(m);
            }
        } else if (m->part == SIZED || m->part == CHUNK || m->part == UNTIL_CLOSE) {
            size_t n = count - at;
            if (m->part != UNTIL_CLOSE && (size_t)m->left < n) n = m->left;
            body(whose, bytes + at, n);
            at += n;
            if (m->part != UNTIL_CLOSE && !(m->left -= n)) m->part = m->part == SIZED ? WHOLE : CHUNK_END;
            m->length = 0;
        } else {  // a line: a chunk's size, the end of a chunk, a trailer
            if (m->length == (int)sizeof m->line - 1) { m->part = BROKEN; break; }
            m->line[m->length++] = bytes[at++];
            if (m->length < 2 || memcmp(m->line + m->length - 2, "\r\n", 2)) continue;
            m->line[m->length] = 0;
            int empty = m->length == 2;
            m->length = 0;
            if (m->part == CHUNK_END) m->part = empty ? CHUNK_SIZE : BROKEN;
            else if (m->part == TRAILER) m->part = empty ? WHOLE : TRAILER;
            else {
                char *end;
                m->left = strtol(m->line, &end, 16);
                m->part = end == m->line ? BROKEN : m->left ? CHUNK : TRAILER;
            }
        }
    }
    return at;
}
