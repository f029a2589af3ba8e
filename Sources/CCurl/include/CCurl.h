#pragma once

// libcurl, loaded when it is first needed: with what it needs in turn it is a fifth of a process's memory, and most never send a request.
//
// curl_easy_setopt and curl_easy_getinfo are variadic, which Swift cannot call: one function for each type of value.

#include <curl/curl.h>
#include <stdbool.h>

/// Loads libcurl (`libcurl.so.4`, as the loader finds it) and calls curl_global_init, once. False when either failed; nothing below may
/// be called then.
bool coffer_curl_load(void);

CURL *coffer_curl_init(void);
void coffer_curl_cleanup(CURL *handle);
CURLcode coffer_curl_perform(CURL *handle);
CURLcode coffer_curl_set_number(CURL *handle, CURLoption option, long value);
CURLcode coffer_curl_set_size(CURL *handle, CURLoption option, curl_off_t value);
CURLcode coffer_curl_set_text(CURL *handle, CURLoption option, const char *value);
CURLcode coffer_curl_set_list(CURL *handle, CURLoption option, struct curl_slist *value);
CURLcode coffer_curl_set_context(CURL *handle, CURLoption option, void *value);
CURLcode coffer_curl_set_sink(CURL *handle, CURLoption option, curl_write_callback value);
CURLcode coffer_curl_status(CURL *handle, long *status);
struct curl_slist *coffer_curl_append(struct curl_slist *list, const char *text);
void coffer_curl_free(struct curl_slist *list);
