// Load, measured and verified: every answer must be whole, say 200 and carry the number of its own request.
//
//     load PORT -c connections -d seconds [-f] [-r rate] [-b bytes] [-e events -i microseconds -g ramp] [-n first] [-h file]
//
// Requests by default: each connection asks again when it is answered (-f: over a new connection; -r: so many a second,
// timed from when they were due). With -e each connection asks once for a stream, starting over `ramp` seconds. -n is
// the first request's number, -h a file of header lines, -l how many seconds may pass after -d. Prints one JSON object;
// times are milliseconds.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "clock.h"
#include "message.h"

struct times { float *ms; size_t count, room; };

struct connection {
    int fd, asking, reused, writing;
    size_t written, seen;  // of the request; events of the stream
    char tail[96];         // what may be the beginning of a mark
    int tail_length, right, wrong;
    unsigned long long number;
    nanoseconds due, sent;
    struct message answer;
};

static int port, connections = 1, fresh, padding = 400, events, interval;
static double seconds = 2, rate, ramp, grace = 20;
static unsigned long long first, asked, answered, bad, failed, received;
static char *request;
static size_t request_length, mark_at;
static int epoll, turn;
static nanoseconds began, ends, last_answer;
static struct times whole, to_first, late;
static nanoseconds *waiting;  // when the paced requests were due
static size_t waiting_first, waiting_last;
static char why[512];

static void note(struct times *t, nanoseconds from, nanoseconds to) {
    if (t->count == t->room) t->ms = realloc(t->ms, sizeof(float) * (t->room = 2 * t->room + 65536));
    t->ms[t->count++] = to > from ? (to - from) / 1e6f : 0;
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *name, struct times *t) {
    if (!t->count) return;
    qsort(t->ms, t->count, sizeof(float), by_size);
    printf(", \"%sp50_ms\": %.4f, \"%sp99_ms\": %.4f", name, t->ms[(t->count - 1) / 2], name, t->ms[(size_t)((t->count - 1) * 0.99)]);
}

static void hang_up(struct connection *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

static void listen_to(struct connection *c, int writing) {
    struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};
    if (writing != c->writing) epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
    c->writing = writing;
}

static void dial(struct connection *c) {
    // Source addresses in turn: one has ports for some 28,000 connections, each blocked for a minute after its end.
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + turn++ % 64)};
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    bind(c->fd, (void *)&from, sizeof from);
    connect(c->fd, (void *)&to, sizeof to);
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
    c->writing = 1, c->reused = 0;
}

static void send_rest(struct connection *c) {
    char mark[40];
    int length = snprintf(mark, sizeof mark, "~N%012lluC%06dI%08d~", c->number, events, interval);
    memcpy(request + mark_at, mark, length);  // one buffer for all: only the number differs
    while (c->written < request_length) {
        ssize_t n = send(c->fd, request + c->written, request_length - c->written, MSG_NOSIGNAL);
        if (n < 0) { listen_to(c, 1); return; }  // an error is met again when reading
        c->written += n;
    }
    listen_to(c, 0);
}

static void again(struct connection *c) {
    c->written = c->seen = 0;
    c->tail_length = c->right = c->wrong = 0;
    message_begin(&c->answer, 1);
    if (c->fd < 0) dial(c);
    else c->reused = 1, send_rest(c);
}

static void ask(struct connection *c, nanoseconds due) {
    c->asking = 1, c->number = first + asked++, c->due = due, c->sent = now();
    again(c);
}

static void next(struct connection *c) {
    nanoseconds at = now();
    c->asking = 0;
    if (events || at >= ends || failed > 500) return;
    if (!rate) ask(c, at);
    else if (waiting_first < waiting_last) ask(c, waiting[waiting_first++]);
}

static void finish(struct connection *c) {
    nanoseconds at = now();
    int good = c->answer.status == 200 && !c->wrong && (events ? c->seen == (size_t)events : c->right);
    if (good) answered++, last_answer = at, note(&whole, c->due, at);
    else {
        bad++;
        if (!*why) snprintf(why, sizeof why, "%d, %zu of %d events", c->answer.status, c->seen, events);
    }
    if (fresh || events || c->answer.closes) hang_up(c);
    next(c);
}

static void fail(struct connection *c, const char *reason) {
    hang_up(c);
    if (!c->asking) return;
    if (c->reused && c->answer.length == 0 && c->answer.part == HEAD) { again(c); return; }  // closed while idle
    failed++;
    if (!*why) snprintf(why, sizeof why, "%s", reason);
    next(c);
}

// Marks: ~N<12 digits>~, or ~N<12>E<6>T<19>~ in events.
static void look(void *whose, const char *bytes, size_t count) {
    struct connection *c = whose;
    nanoseconds at = now();
    static char text[1 << 19];
    size_t length = c->tail_length + count, full = events ? 42 : 15;
    memcpy(text, c->tail, c->tail_length);
    memcpy(text + c->tail_length, bytes, count);
    char *from = text, *end = text + length;
    while ((from = memmem(from, end - from, "~N", 2)) && (size_t)(end - from) >= full) {
        if (strtoull(from + 2, NULL, 10) != c->number) c->wrong = 1;
        c->right = 1;
        if (events) {
            if (strtoull(from + 15, NULL, 10) != c->seen) c->wrong = 1;
            if (c->seen++) note(&late, strtoull(from + 22, NULL, 10), at);
            else note(&to_first, c->sent, at);
            received++;
        }
        from += full;
    }
    if (!from) from = length && end[-1] == '~' ? end - 1 : end;
    c->tail_length = end - from;
    memcpy(c->tail, from, c->tail_length);
}

static void hear(struct connection *c) {
    static char bytes[1 << 18];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        if (n == 0 && c->asking && c->answer.part == UNTIL_CLOSE) c->answer.closes = 1, finish(c);
        else fail(c, n ? strerror(errno) : "closed before the answer was whole");
        return;
    }
    if (!c->asking) { hang_up(c); return; }
    message_feed(&c->answer, bytes, n, look, c);
    if (c->answer.part == BROKEN) fail(c, "not HTTP");
    else if (c->answer.part == WHOLE) finish(c);
}

static void make_request(const char *headers) {
    char *pad = malloc(padding + 1), *body = malloc(padding + 1024), more[8192] = "";
    FILE *file = headers ? fopen(headers, "r") : NULL;
    if (file) more[fread(more, 1, sizeof more - 1, file)] = 0, fclose(file);
    for (int i = 0; i < padding; i++) pad[i] = "the quick brown fox jumps over the lazy dog and "[i % 48];
    pad[padding] = 0;
    int length = sprintf(body, "{\"model\":\"gpt-4o\",%s\"messages\":[{\"role\":\"user\",\"content\":\"~N%012dC%06dI%08d~ %s\"}]}",
                         events ? "\"stream\":true," : "", 0, 0, 0, pad);
    request = malloc(length + 10240);
    request_length = sprintf(request, "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: application/json\r\n"
        "Content-Type: application/json\r\nUser-Agent: OpenAI/Python 2.9.0\r\n%sContent-Length: %d\r\n\r\n%s", port, more, length, body);
    mark_at = strstr(request, "~N") - request;
}

int main(int argc, char **argv) {
    const char *headers = NULL;
    struct rlimit files;
    struct rusage used;
    static struct epoll_event found[1024];
    int started = 0, option;
    nanoseconds next_due;
    while ((option = getopt(argc, argv, "c:d:fr:b:e:i:g:n:h:l:")) > 0) switch (option) {
        case 'c': connections = atoi(optarg); break;
        case 'd': seconds = atof(optarg); break;
        case 'f': fresh = 1; break;
        case 'r': rate = atof(optarg); break;
        case 'b': padding = atoi(optarg); break;
        case 'e': events = atoi(optarg); break;
        case 'i': interval = atoi(optarg); break;
        case 'g': ramp = atof(optarg); break;
        case 'n': first = strtoull(optarg, NULL, 10); break;
        case 'h': headers = optarg; break;
        case 'l': grace = atof(optarg); break;
        default: return 2;
    }
    if (optind >= argc) return 2;
    port = atoi(argv[optind]);
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    make_request(headers);
    struct connection *all = calloc(connections, sizeof *all);
    for (int i = 0; i < connections; i++) all[i].fd = -1;
    if (rate) waiting = malloc(sizeof *waiting * (size_t)(rate * seconds + 2));
    epoll = epoll_create1(0);
    began = last_answer = next_due = now();
    ends = began + (nanoseconds)(seconds * 1e9);
    for (;;) {
        nanoseconds at = now(), wake = at + 20000000;
        int busy = 0;
        for (; !rate && started < connections && at >= began + (nanoseconds)(ramp * 1e9 * started / connections); started++)
            ask(&all[started], at);
        for (; rate && next_due <= at && next_due < ends; next_due += (nanoseconds)(1e9 / rate)) waiting[waiting_last++] = next_due;
        for (int i = 0; i < connections; i++) {
            if (rate && !all[i].asking && waiting_first < waiting_last) ask(&all[i], waiting[waiting_first++]);
            busy |= all[i].asking;
        }
        if (!busy && (rate ? next_due >= ends : started == connections)) break;
        if (at > ends + (nanoseconds)(grace * 1e9)) break;
        if (rate && next_due < wake) wake = next_due;
        if (!rate && started < connections) wake = began + (nanoseconds)(ramp * 1e9 * started / connections);
        struct timespec wait = {0, wake > at ? wake - at : 0};
        int n = epoll_pwait2(epoll, found, 1024, &wait, NULL);
        for (int i = 0; i < n; i++) {
            struct connection *c = found[i].data.ptr;
            if (c->fd >= 0 && c->asking && found[i].events & EPOLLOUT && !(found[i].events & EPOLLERR)) send_rest(c);
            if (c->fd >= 0 && found[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) hear(c);
        }
    }
    for (int i = 0; i < connections; i++)
        if (all[i].asking) {
            failed++;
            if (!*why) snprintf(why, sizeof why, "no whole answer in time: %zu of %d events", all[i].seen, events);
        }
    for (char *at = why; *at; at++)
        if (*at == '"' || *at == '\\' || (unsigned char)*at < ' ') *at = ' ';
    double took = ((last_answer > began ? last_answer : now()) - began) / 1e9;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"answered\": %llu, \"bad\": %llu, \"failed\": %llu, \"asked\": %llu, \"seconds\": %.4f, \"events\": %llu, \"why\": \"%s\"",
           answered, bad, failed, asked, took, received, why);
    print_times("", &whole);
    print_times("ttfb_", &to_first);
    print_times("event_", &late);
    printf(", \"load_cpu_s\": %.3f}\n", used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
}
