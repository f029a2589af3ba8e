#pragma once
#include <sqlite3.h>

/// sqlite3_db_config is variadic, which Swift cannot call.
static inline int coffer_sqlite_config(sqlite3 *db, int option, int value, int *now) {
  return sqlite3_db_config(db, option, value, now);
}

/// sqlite3_config is variadic, too. Only before the library's first use.
static inline int coffer_sqlite_count_memory(int counts) { return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, counts); }
