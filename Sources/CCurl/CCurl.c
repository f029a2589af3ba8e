#include "CCurl.h"

#include <dlfcn.h>
#include <pthread.h>

// curl.h checks the types of these two with macros of their names.
#undef curl_easy_setopt
#undef curl_easy_getinfo

static struct {
  CURLcode (*global_init)(long);
  CURL *(*init)(void);
  void (*cleanup)(CURL *);
  CURLcode (*perform)(CURL *);
  CURLcode (*setopt)(CURL *, CURLoption, ...);
  CURLcode (*getinfo)(CURL *, CURLINFO, ...);
  struct curl_slist *(*append)(struct curl_slist *, const char *);
  void (*free_all)(struct curl_slist *);
} curl;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool is_usable;

// ISO C has no conversion from an object's address to a function's; POSIX has (dlsym).
static bool find(void *library, const char *name, void *place) {
  void *found = dlsym(library, name);
  *(void **)place = found;
  return found != 0;
}

static void load(void) {
  void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (!library) return;
  is_usable = find(library, "curl_global_init", &curl.global_init) && find(library, "curl_easy_init", &curl.init) &&
              find(library, "curl_easy_cleanup", &curl.cleanup) && find(library, "curl_easy_perform", &curl.perform) &&
              find(library, "curl_easy_setopt", &curl.setopt) && find(library, "curl_easy_getinfo", &curl.getinfo) &&
              find(library, "curl_slist_append", &curl.append) && find(library, "curl_slist_free_all", &curl.free_all) &&
              curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

bool coffer_curl_load(void) {
  pthread_once(&once, load);
  return is_usable;
}

CURL *coffer_curl_init(void) { return curl.init(); }
void coffer_curl_cleanup(CURL *handle) { curl.cleanup(handle); }
CURLcode coffer_curl_perform(CURL *handle) { return curl.perform(handle); }

CURLcode coffer_curl_set_number(CURL *handle, CURLoption option, long value) { return curl.setopt(handle, option, value); }
CURLcode coffer_curl_set_size(CURL *handle, CURLoption option, curl_off_t value) { return curl.setopt(handle, option, value); }
CURLcode coffer_curl_set_text(CURL *handle, CURLoption option, const char *value) { return curl.setopt(handle, option, value); }
CURLcode coffer_curl_set_list(CURL *handle, CURLoption option, struct curl_slist *value) { return curl.setopt(handle, option, value); }
CURLcode coffer_curl_set_context(CURL *handle, CURLoption option, void *value) { return curl.setopt(handle, option, value); }
CURLcode coffer_curl_set_sink(CURL *handle, CURLoption option, curl_write_callback value) { return curl.setopt(handle, option, value); }

CURLcode coffer_curl_status(CURL *handle, long *status) { return curl.getinfo(handle, CURLINFO_RESPONSE_CODE, status); }

struct curl_slist *coffer_curl_append(struct curl_slist *list, const char *text) { return curl.append(list, text); }
void coffer_curl_free(struct curl_slist *list) { curl.free_all(list); }
