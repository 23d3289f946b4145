#include "tests/settings_builder.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- the text as a tree
 * -------------------------------------------------------------------------------- */

typedef enum node_type {
    NODE_NULL,
    NODE_BOOLEAN,
    NODE_NUMBER,
    NODE_STRING,
    NODE_LIST,
    NODE_OBJECT
} node_type;

typedef struct node {
    node_type type;
    char *key;  /* the member's name, within an object */
    char *text; /* of a string or a number */
    bool boolean;
    size_t count; /* of a list or an object */
    struct node *items;
} node;

typedef struct parser {
    const char *text, *at;
} parser;

_Noreturn static void give_up(const char *where, const char *what) {
    fprintf(stderr, "settings_builder: %s: %s\n", where, what);
    abort();
}

static void *checked(void *pointer) {
    if (!pointer) give_up("memory", "none left");
    return pointer;
}

static void node_clear(node *tree) {
    for (size_t i = 0; i < tree->count; i++) node_clear(&tree->items[i]);
    free(tree->items);
    free(tree->key);
    free(tree->text);
}

static void skip_space(parser *input) {
    while (isspace((unsigned char)*input->at)) input->at++;
}

static bool take(parser *input, char character) {
    skip_space(input);
    if (*input->at != character) return false;
    input->at++;
    return true;
}

/* A quoted string without escapes, or a plain word; *quoted says which. Owned by the caller. */
static char *parse_word(parser *input, bool *quoted) {
    skip_space(input);
    char quote = *input->at;
    *quoted = quote == '"' || quote == '\'';
    if (*quoted) {
        const char *begin = input->at + 1, *end = strchr(begin, quote);
        if (!end) give_up(input->text, "a string has no end");
        input->at = end + 1;
        return checked(strndup(begin, (size_t)(end - begin)));
    }
    size_t length = strcspn(input->at, " \t\r\n,:=[]{}\"'");
    if (length == 0) give_up(input->text, "a word was expected");
    char *word = checked(strndup(input->at, length));
    input->at += length;
    return word;
}

static node parse_value(parser *input);

static void parse_items(parser *input, node *tree, char end) {
    if (end && take(input, end)) return;
    skip_space(input);
    if (!end && !*input->at) return;
    for (;;) {
        node item = {0};
        char *key = NULL;
        if (tree->type == NODE_OBJECT) {
            bool quoted;
            key = parse_word(input, &quoted);
            if (!take(input, ':') && !take(input, '=')) give_up(input->text, "':' was expected");
        }
        item = parse_value(input);
        item.key = key;
        tree->items = checked(realloc(tree->items, (tree->count + 1) * sizeof *tree->items));
        tree->items[tree->count++] = item;
        if (take(input, ',')) continue;
        skip_space(input);
        if (end ? take(input, end) : !*input->at) return;
        give_up(input->text, "',' or the end was expected");
    }
}

static node parse_value(parser *input) {
    node tree = {0};
    if (take(input, '{')) {
        tree.type = NODE_OBJECT;
        parse_items(input, &tree, '}');
    } else if (take(input, '[')) {
        tree.type = NODE_LIST;
        parse_items(input, &tree, ']');
    } else {
        bool quoted;
        tree.text = parse_word(input, &quoted);
        tree.type = NODE_STRING;
        if (quoted) return tree;
        char *end;
        strtod(tree.text, &end);
        if (!*end) tree.type = NODE_NUMBER;
        if (strcmp(tree.text, "null") == 0) tree.type = NODE_NULL;
        tree.boolean = strcmp(tree.text, "true") == 0;
        if (tree.boolean || strcmp(tree.text, "false") == 0) tree.type = NODE_BOOLEAN;
    }
    return tree;
}

/* The whole text; an object may lack its braces. */
static node parse_text(const char *text) {
    parser input = {text, text};
    skip_space(&input);
    node tree = {.type = NODE_OBJECT};
    if (*input.at == '{' || *input.at == '[')
        tree = parse_value(&input);
    else
        parse_items(&input, &tree, 0);
    skip_space(&input);
    if (*input.at) give_up(text, "there is text after the end");
    return tree;
}

/* -- the tree as settings
 * ------------------------------------------------------------------------------ */

static gr_settings object_settings(const gr_family *family, const node *tree);

static bool accepts(const gr_option *option, gr_value_type type) {
    return option->accepts & GR_ACCEPT(type);
}

static bool list_of_numbers(const node *tree) {
    for (size_t i = 0; i < tree->count; i++)
        if (tree->items[i].type != NODE_NUMBER) return false;
    return true;
}

/* Whether *tree fits the option; then *value holds it. */
static bool convert(const gr_option *option, const node *tree, gr_value *value) {
    *value = (gr_value){0};
    switch (tree->type) {
    case NODE_NULL:
        return accepts(option, GR_NULL);
    case NODE_BOOLEAN:
        value->type = GR_BOOLEAN;
        value->boolean = tree->boolean;
        return accepts(option, GR_BOOLEAN);
    case NODE_NUMBER:
        if (accepts(option, GR_INTEGER) && !strpbrk(tree->text, ".eE")) {
            value->type = GR_INTEGER;
            value->integer = strtoll(tree->text, NULL, 10);
            return true;
        }
        value->type = GR_NUMBER;
        value->number = strtod(tree->text, NULL);
        return accepts(option, GR_NUMBER);
    case NODE_STRING:
        for (int i = 0; accepts(option, GR_CHOICE) && option->choices[i]; i++)
            if (strcmp(option->choices[i], tree->text) == 0) {
                value->type = GR_CHOICE;
                value->choice = i;
                return true;
            }
        if (!accepts(option, GR_STRING)) return false;
        value->type = GR_STRING;
        value->string = checked(strdup(tree->text));
        return true;
    case NODE_LIST:
        if (accepts(option, GR_NUMBERS) && list_of_numbers(tree)) {
            value->type = GR_NUMBERS;
            value->numbers.count = tree->count;
            value->numbers.items = checked(calloc(tree->count + 1, sizeof(double)));
            for (size_t i = 0; i < tree->count; i++)
                value->numbers.items[i] = strtod(tree->items[i].text, NULL);
            return true;
        }
        if (!accepts(option, GR_LIST)) return false;
        value->type = GR_LIST;
        value->settings.count = tree->count;
        value->settings.items = checked(calloc(tree->count + 1, sizeof(gr_settings)));
        for (size_t i = 0; i < tree->count; i++)
            value->settings.items[i] = object_settings(option->family, &tree->items[i]);
        return true;
    case NODE_OBJECT:
        if (!accepts(option, GR_SETTINGS)) return false;
        value->type = GR_SETTINGS;
        value->settings.count = 1;
        value->settings.items = checked(calloc(1, sizeof(gr_settings)));
        value->settings.items[0] = object_settings(option->family, tree);
        return true;
    }
    return false;
}

static void convert_text(const gr_option *option, const char *json, gr_value *value) {
    parser input = {json, json};
    node tree = parse_value(&input);
    if (!convert(option, &tree, value)) give_up(option->name, "the default does not fit");
    node_clear(&tree);
}

static const node *member(const node *tree, const char *name) {
    for (size_t i = 0; i < tree->count; i++)
        if (strcmp(tree->items[i].key, name) == 0) return &tree->items[i];
    return NULL;
}

/* The member called `discriminator` (NULL: none) is not an option. */
static gr_settings kind_settings(const gr_kind *named, const char *discriminator,
                                 const node *tree) {
    const gr_kind *kind = named->alias_of ? named->alias_of : named;
    if (tree->type != NODE_OBJECT) give_up(named->name, "an object was expected");
    for (size_t i = 0; i < tree->count; i++) {
        const char *key = tree->items[i].key;
        if (gr_kind_option(kind, key) < 0 && !(discriminator && strcmp(key, discriminator) == 0))
            give_up(key, "no such option");
    }
    gr_settings settings = {.kind = kind};
    settings.values = checked(calloc(kind->option_count + 1, sizeof(gr_value)));
    for (size_t i = 0; i < kind->option_count; i++) {
        const gr_option *option = &kind->options[i];
        const char *json = option->default_json;
        bool fixed = false;
        for (size_t j = 0; j < named->alias_value_count; j++)
            if (strcmp(named->alias_values[j].option, option->name) == 0) {
                json = named->alias_values[j].json;
                fixed = true;
            }
        const node *given = member(tree, option->name);
        if (given && fixed) give_up(option->name, "the alias fixes this option");
        if (given) {
            if (!convert(option, given, &settings.values[i]))
                give_up(option->name, "the option does not accept this type or word");
        } else {
            if (option->required && !fixed) give_up(option->name, "the option is required");
            convert_text(option, json, &settings.values[i]);
        }
    }
    return settings;
}

static gr_settings object_settings(const gr_family *family, const node *tree) {
    const gr_kind *kind = family->unnamed ? family->unnamed : family->kinds[0];
    if (family->discriminator) {
        const node *name = tree->type == NODE_OBJECT ? member(tree, family->discriminator) : NULL;
        if (name && name->text)
            kind = gr_family_kind(family, name->text);
        else if (!family->unnamed)
            give_up(family->name, "the object does not name its kind");
        if (!kind) give_up(name->text, "no such kind");
    }
    return kind_settings(kind, family->discriminator, tree);
}

gr_settings settings_build(const gr_family *family, const char *text) {
    node tree = parse_text(text);
    gr_settings settings = object_settings(family, &tree);
    node_clear(&tree);
    return settings;
}

gr_settings settings_build_kind(const gr_kind *kind, const char *text) {
    node tree = parse_text(text ? text : "");
    gr_settings settings = kind_settings(kind, NULL, &tree);
    node_clear(&tree);
    return settings;
}

gr_settings *settings_build_list(const gr_family *family, const char *text, size_t *count) {
    node tree = parse_text(text);
    if (tree.type != NODE_LIST) give_up(text, "a list was expected");
    gr_settings *items = checked(calloc(tree.count + 1, sizeof *items));
    for (size_t i = 0; i < tree.count; i++) items[i] = object_settings(family, &tree.items[i]);
    *count = tree.count;
    node_clear(&tree);
    return items;
}
