#include "json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char *after_space(const char *at, const char *end) {
    while (at < end && memchr(" \t\r\n", *at, 4)) at++;
    return at;
}

static const char *after_string(const char *at, const char *end) {
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\') at++;
    }
    return at < end ? at + 1 : end;
}

static const char *after_value(const char *at, const char *end) {
    int depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = after_string(at, end);
        } else if (memchr("{}[],: \t\r\n", *at, 10)) {
            if (depth == 0 && !memchr("{[", *at, 2)) return at;
            depth += memchr("{[", *at, 2) ? 1 : memchr("}]", *at, 2) ? -1 : 0;
            at++;
        } else {
            at++;
            continue;
        }
        if (depth == 0) return at;
    }
    return end;
}

static struct json value(const char *at, const char *end) {
    at = at < end ? after_space(at, end) : end;
    return (struct json){at, after_value(at, end) - at};
}

struct json json_member(struct json object, const char *name) {
    const char *end = object.at + object.length, *at = object.at;
    if (object.length == 0 || *at != '{') return (struct json){0};
    while ((at = after_space(at + 1, end)) < end && *at == '"') {
        struct json key = value(at, end);
        // Past the colon.
        struct json found = value(after_space(key.at + key.length, end) + 1, end);
        if (key.length == strlen(name) + 2 && !memcmp(key.at + 1, name, strlen(name))) return found;
        at = after_space(found.at + found.length, end);
    }
    return (struct json){0};
}

bool json_next(struct json array, struct json *item) {
    const char *end = array.at + array.length;
    if (array.length == 0 || *array.at != '[') return false;
    const char *at = item->length ? after_space(item->at + item->length, end) : array.at;
    // Past the bracket or the comma.
    *item = at < end ? value(at + 1, end) : (struct json){0};
    return item->length > 0;
}

static uint32_t hexadecimal(const char *at, const char *end) {
    char digits[5] = {0};
    for (int n = 0; n < 4 && at < end; n++) digits[n] = *at++;
    return strtoul(digits, NULL, 16);
}

// Writes a character as UTF-8.
static char *put(char *to, uint32_t c) {
    int n_more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    *to++ = n_more ? (0xF0 << (3 - n_more) & 0xFF) | c >> 6 * n_more : c;
    while (n_more--) *to++ = 0x80 | (c >> 6 * n_more & 0x3F);
    return to;
}

char *json_string(struct json value, size_t *length) {
    if (value.length < 2 || *value.at != '"') return NULL;
    // No escape is shorter than what it stands for.
    char *text = malloc(value.length), *to = text;
    for (const char *at = value.at + 1, *end = value.at + value.length - 1; at < end; at++) {
        if (*at != '\\') {
            *to++ = *at;
            continue;
        }
        const char *names = "bfnrt", *name = strchr(names, *++at);
        if (*at != 'u') {
            *to++ = name ? "\b\f\n\r\t"[name - names] : *at;
            continue;
        }
        uint32_t c = hexadecimal(at + 1, end);
        at += 4;
        if (c >> 10 == 0xD800 >> 10 && at + 6 < end && at[1] == '\\') {
            c = 0x10000 + ((c & 0x3FF) << 10) + (hexadecimal(at + 3, end) & 0x3FF);
            at += 6;
        }
        to = put(to, c);
    }
    *to = 0;
    *length = to - text;
    return text;
}
