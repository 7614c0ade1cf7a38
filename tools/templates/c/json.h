// Reads JSON: the arguments of a call, tools.json, what a host answered. It writes none. What is not well formed gives some
// value or none, and is never read past its end.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// A value as it is written, with no space around it. A value that is not there is empty.
struct json {
    const char *at;
    size_t length;
};

// The member of an object by a name without escapes.
struct json json_member(struct json object, const char *name);

// The items of an array, one after the other; `item` begins empty. False after the last.
bool json_next(struct json array, struct json *item);

// What a string says, in UTF-8, to be freed; NULL when the value is no string. U+0000 in it is one more byte of `length`.
char *json_string(struct json value, size_t *length);
