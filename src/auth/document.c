#include "auth/document.h"

#include <errno.h>

/* How deep brackets nest outside of strings.  Counts before the parser runs, because that one
 * recurses.  For text that is no JSON the answer is of no use, and the parser refuses it. */
static unsigned depth_of(struct slice text)
{
    unsigned depth = 0;
    unsigned deepest = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];

        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            deepest = ++depth > deepest ? depth : deepest;
        else if (!in_string && (c == '}' || c == ']') && depth)
            depth--;
    }
    return deepest;
}

int document_parse(struct slice text, json_t **out, int *line)
{
    json_error_t error = {.line = 0};
    json_t *root = NULL;

    if (text.len && depth_of(text) <= DOCUMENT_DEPTH)
        root = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(root)) {
        *out = root;
        return 0;
    }
    json_decref(root);
    if (line)
        *line = error.line > 0 ? error.line : 0;
    return -EINVAL;
}

int document_text(const json_t *object, const char *name, size_t max, const char **out)
{
    const json_t *member = json_object_get(object, name);

    if (!member || json_is_null(member)) {
        *out = NULL;
        return 0;
    }
    if (!json_is_string(member) || json_string_length(member) == 0 ||
        json_string_length(member) > max)
        return -EINVAL;
    *out = json_string_value(member);
    return 0;
}
