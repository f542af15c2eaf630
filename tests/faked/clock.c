/* Preloaded into a process: shifts its wall clock by TESTS_CLOCK_SHIFT seconds, and no other clock.
 *
 * Deadlines by the wall clock are shifted back on their way to the kernel. What a process hands over may be one by
 * another clock, as a condition variable knows only itself: seconds since the machine's start are few.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>

#define FIRST_OF_THE_WALL_CLOCK 1000000000 /* in 2001 */
#define REAL(name) ({ static __typeof__(&name) real; real ? real : (real = (__typeof__(&name))find(#name)); })

static time_t shift;

__attribute__((constructor)) static void begin(void) {
    const char *asked = getenv("TESTS_CLOCK_SHIFT");
    shift = asked ? atoll(asked) : 0;
}

static void *find(const char *name) {
    /* x86-64 keeps older condition variables beside today's. */
    void *found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
    return found ? found : dlsym(RTLD_NEXT, name);
}

static int is_wall(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

static struct timespec back(const struct timespec *at) {
    struct timespec real = *at;
    if (real.tv_sec > FIRST_OF_THE_WALL_CLOCK) real.tv_sec -= shift;
    return real;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int failed = REAL(clock_gettime)(clock, at);
    if (!failed && is_wall(clock)) at->tv_sec += shift;
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    int failed = REAL(gettimeofday)(at, zone);
    if (!failed) at->tv_sec += shift;
    return failed;
}

time_t time(time_t *at) {
    time_t now = REAL(time)(NULL) + shift;
    if (at) *at = now;
    return now;
}

int timespec_get(struct timespec *at, int base) {
    int done = REAL(timespec_get)(at, base);
    if (done == TIME_UTC) at->tv_sec += shift;
    return done;
}

int pthread_cond_timedwait(pthread_cond_t *restrict on, pthread_mutex_t *restrict lock,
                           const struct timespec *restrict until) {
    struct timespec real = back(until);
    return REAL(pthread_cond_timedwait)(on, lock, &real);
}

int pthread_cond_clockwait(pthread_cond_t *restrict on, pthread_mutex_t *restrict lock, clockid_t clock,
                           const struct timespec *restrict until) {
    struct timespec real = back(until);
    return REAL(pthread_cond_clockwait)(on, lock, clock, &real);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict lock, const struct timespec *restrict until) {
    struct timespec real = back(until);
    return REAL(pthread_mutex_timedlock)(lock, &real);
}

int sem_timedwait(sem_t *restrict on, const struct timespec *restrict until) {
    struct timespec real = back(until);
    return REAL(sem_timedwait)(on, &real);
}

int sem_clockwait(sem_t *restrict on, clockid_t clock, const struct timespec *restrict until) {
    struct timespec real = back(until);
    return REAL(sem_clockwait)(on, clock, &real);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left) {
    struct timespec real = flags & TIMER_ABSTIME ? back(until) : *until;
    return REAL(clock_nanosleep)(clock, flags, &real, left);
}

int timerfd_settime(int timer, int flags, const struct itimerspec *until, struct itimerspec *before) {
    struct itimerspec real = *until;
    if (flags & TFD_TIMER_ABSTIME) real.it_value = back(&until->it_value);
    return REAL(timerfd_settime)(timer, flags, &real, before);
}

int timer_settime(timer_t timer, int flags, const struct itimerspec *restrict until, struct itimerspec *restrict before) {
    struct itimerspec real = *until;
    if (flags & TIMER_ABSTIME) real.it_value = back(&until->it_value);
    return REAL(timer_settime)(timer, flags, &real, before);
}
