// Nanoseconds that both ends of the benchmark agree on: they run on one machine.
#pragma once
#include <time.h>

typedef unsigned long long nanoseconds;

static nanoseconds now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}
