/* A function that never reads its messages: the node must answer for it. */
#include <promisegrid.h>

PG_EXPORT("pg_activate") void pg_activate(void) {}
