// The tools of the package NAME. A fresh instance runs each call: nothing is left over from the one before.
// What build/host.h declares is made by `ossicle tool build`. The host frees what is returned to it: hand it copies.

#include "host.h"
#include "json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char TOOLS[] = {
#embed "tools.json"
};

static bool count(struct json arguments, exports_tools_output_t *output, exports_tools_tool_error_t *error) {
    size_t length, n_words = 0, n_characters = 0;
    bool is_between = true;
    char *text = json_string(json_member(arguments, "text"), &length);
    if (!text) {
        // Told to the model, which then makes a better call.
        error->tag = TYPES_TOOL_ERROR_INVALID_ARGUMENTS;
        host_string_dup(&error->val.invalid_arguments, "text must be a string");
        return false;
    }
    for (size_t idx = 0; idx < length; idx++) {
        bool is_space = isspace((unsigned char)text[idx]);
        n_words += is_between && !is_space;
        is_between = is_space;
        // In UTF-8 every byte but these begins a character.
        n_characters += (text[idx] & 0xC0) != 0x80;
    }
    free(text);
    char line[64];
    snprintf(line, sizeof line, "%zu words, %zu characters", n_words, n_characters);
    host_string_dup(&output->text, line);
    return true;
}

bool exports_tools_call(host_string_t *name, host_string_t *arguments, exports_tools_output_t *output,
                        exports_tools_tool_error_t *error) {
    struct json object = {(const char *)arguments->ptr, arguments->len};
    *output = (exports_tools_output_t){0};
    if (name->len == 5 && !memcmp(name->ptr, "count", 5)) return count(object, output, error);
    error->tag = TYPES_TOOL_ERROR_UNKNOWN_TOOL;
    host_string_dup_n(&error->val.unknown_tool, (const char *)name->ptr, name->len);
    return false;
}

static void copy(struct json text, host_string_t *to) {
    to->ptr = (uint8_t *)json_string(text, &to->len);
}

// What the model reads stands in tools.json.
void exports_tools_describe(exports_tools_list_tool_spec_t *specs) {
    struct json all = {TOOLS, sizeof TOOLS}, tool = {0};
    *specs = (exports_tools_list_tool_spec_t){0};
    while (json_next(all, &tool)) {
        specs->ptr = realloc(specs->ptr, (specs->len + 1) * sizeof *specs->ptr);
        exports_tools_tool_spec_t *spec = &specs->ptr[specs->len++];
        copy(json_member(tool, "name"), &spec->name);
        copy(json_member(tool, "description"), &spec->description);
        struct json schema = json_member(tool, "parameters");
        host_string_dup_n(&spec->parameters, schema.at, schema.length);
    }
}
