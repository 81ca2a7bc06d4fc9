// A provider of chat completions that costs next to nothing, so that what is measured is what stands before it.
//
//     provider PORT
//
// What a request wants stands in its text, because nothing else passes through every proxy:
//     ~N<number, 12 digits>C<events, 6>I<microseconds between them, 8>~
// C is 0 for one JSON object whose text is ~N<number>~, so that nobody can be given another's answer unnoticed. Else an
// event stream follows, each event with ~N<number>E<its number, 6>T<nanoseconds when it was written, 19>~.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "clock.h"
#include "message.h"

#define CREATED "\"created\":1760000000,\"model\":\"gpt-4o-2024-08-06\""
#define HEADERS "date: Tue, 24 Nov 2026 08:00:00 GMT\r\nopenai-processing-ms: 12\r\nx-request-id: req_0123456789abcdef\r\n"

struct caller {
    int fd, writing, place;  // place: in the queue of streams, or -1
    struct message asked;
    char *body, *out;
    size_t body_length, body_room, out_length, out_at, out_room;
    unsigned long long number;
    int events, sent;
    nanoseconds interval, due;
    struct caller *next_gone;
};

static int epoll;
static struct caller **queue, *gone;  // a heap by `due`; those whose memory goes after this turn
static int queued, queue_room;

static void swap(int a, int b) {
    struct caller *c = queue[a];
    queue[a] = queue[b], queue[b] = c;
    queue[a]->place = a, queue[b]->place = b;
}

static void sift(int i) {
    for (; i && queue[(i - 1) / 2]->due > queue[i]->due; i = (i - 1) / 2) swap(i, (i - 1) / 2);
    for (;;) {
        int least = i, left = 2 * i + 1;
        if (left < queued && queue[left]->due < queue[least]->due) least = left;
        if (left + 1 < queued && queue[left + 1]->due < queue[least]->due) least = left + 1;
        if (least == i) return;
        swap(i, least), i = least;
    }
}

static void enqueue(struct caller *c) {
    if (queued == queue_room) queue = realloc(queue, sizeof *queue * (queue_room = 2 * queue_room + 1024));
    c->place = queued;
    queue[queued++] = c;
    sift(c->place);
}

static void dequeue(struct caller *c) {
    int i = c->place;
    if (i < 0) return;
    swap(i, --queued);
    c->place = -1;
    if (i < queued) sift(i);
}

static void leave(struct caller *c) {
    if (c->fd < 0) return;
    dequeue(c);
    close(c->fd);
    c->fd = -1;
    c->next_gone = gone, gone = c;
}

static void flush(struct caller *c) {
    while (c->out_at < c->out_length) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_length - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) { leave(c); return; }
        if (n < 0) break;
        c->out_at += n;
    }
    int waits = c->out_at < c->out_length;
    if (!waits) c->out_at = c->out_length = 0;
    if (waits != c->writing) {
        struct epoll_event e = {.events = EPOLLIN | (waits ? EPOLLOUT : 0), .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
        c->writing = waits;
    }
}

static void put(struct caller *c, const char *bytes, size_t n) {
    if (c->out_length + n > c->out_room) c->out = realloc(c->out, c->out_room = 2 * (c->out_length + n) + 4096);
    memcpy(c->out + c->out_length, bytes, n);
    c->out_length += n;
}

static void put_event(struct caller *c, const char *data) {
    char framed[1024];
    put(c, framed, snprintf(framed, sizeof framed, "%zx\r\ndata: %s\n\n\r\n", strlen(data) + 8, data));
}

static void next_event(struct caller *c) {
    char data[512], delta[128];
    int last = c->sent == c->events;
    snprintf(delta, sizeof delta, "\"content\":\"~N%012lluE%06dT%019llu~\"", c->number, c->sent, now());
    snprintf(data, sizeof data, "{\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk\"," CREATED
             ",\"choices\":[{\"index\":0,\"delta\":{%s%s},\"finish_reason\":%s}]}",
             c->sent ? "" : "\"role\":\"assistant\",", last ? "" : delta, last ? "\"stop\"" : "null");
    put_event(c, data);
    if (last) {
        put_event(c, "[DONE]");
        put(c, "0\r\n\r\n", 5);
        dequeue(c);
    }
    c->sent++;
}

static void answer(struct caller *c) {
    unsigned long long interval;
    char *at = c->body_length ? memmem(c->body, c->body_length, "~N", 2) : NULL;
    char wanted[64] = "", out[2048], body[1024];
    if (at) memcpy(wanted, at, c->body + c->body_length - at < 40 ? c->body + c->body_length - at : 40);
    c->body_length = 0;
    if (sscanf(wanted, "~N%12lluC%6dI%8llu~", &c->number, &c->events, &interval) != 3) {
        put(c, "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", 47);
    } else if (!c->events) {
        int n = snprintf(body, sizeof body, "{\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion\"," CREATED
            ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"~N%012llu~ %0200d\",\"refusal\":null},"
            "\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":120,\"completion_tokens\":42,"
            "\"total_tokens\":162},\"service_tier\":\"default\",\"system_fingerprint\":\"fp_0123456789\"}", c->number, 0);
        put(c, out, snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" HEADERS
                             "content-length: %d\r\n\r\n%s", n, body));
    } else {
        put(c, out, snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n" HEADERS
                             "cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"));
        c->interval = interval * 1000, c->sent = 0, c->due = now();
        enqueue(c);
    }
}

static void keep(void *whose, const char *bytes, size_t n) {
    struct caller *c = whose;
    if (c->body_length + n > c->body_room) c->body = realloc(c->body, c->body_room = 2 * (c->body_length + n) + 4096);
    memcpy(c->body + c->body_length, bytes, n);
    c->body_length += n;
}

static void hear(struct caller *c) {
    static char bytes[1 << 18];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) { leave(c); return; }
    for (ssize_t at = 0; at < n;) {
        at += message_feed(&c->asked, bytes + at, n - at, keep, c);
        if (c->asked.part == BROKEN) { leave(c); return; }
        if (c->asked.part == WHOLE) {
            answer(c);
            message_begin(&c->asked, 0);
        }
    }
    flush(c);
}

static void welcome(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        struct caller *c = calloc(1, sizeof *c);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        int on = 1;
        c->fd = fd, c->place = -1;
        message_begin(&c->asked, 0);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
    }
}

int main(int argc, char **argv) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 0),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event events[512], first = {.events = EPOLLIN};
    signal(SIGPIPE, SIG_IGN);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (void *)&here, sizeof here) || listen(listener, 4096)) { perror("provider"); return 1; }
    epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &first);
    for (;;) {
        struct timespec wait = {0, 0};
        nanoseconds at = now();
        if (queued && queue[0]->due > at)
            wait.tv_sec = (queue[0]->due - at) / 1000000000, wait.tv_nsec = (queue[0]->due - at) % 1000000000;
        int n = epoll_pwait2(epoll, events, 512, queued ? &wait : NULL, NULL);
        for (int i = 0; i < n; i++) {
            struct caller *c = events[i].data.ptr;
            if (!c) welcome(listener);
            else if (c->fd >= 0 && events[i].events & EPOLLOUT) flush(c);
            if (c && c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) hear(c);
        }
        for (at = now(); queued && queue[0]->due <= at;) {
            struct caller *c = queue[0];
            c->due += c->interval;
            if (c->interval) sift(0);
            next_event(c);
            flush(c);
        }
        for (struct caller *c; (c = gone);) {
            gone = c->next_gone;
            free(c->body), free(c->out), free(c);
        }
    }
}
