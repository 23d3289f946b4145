#include "core/data/text.h"

#include <stdint.h>

bool gr_text_printable(const char *text, size_t length) {
    const unsigned char *at = (const unsigned char *)text, *end = at + length;
    while (at < end) {
        const unsigned char first = *at++;
        if (first < 0x20 || first == 0x7F) return false;
        if (first < 0x80) continue;
        const int following = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
        if (first < 0xC2 || first > 0xF4 || end - at < following) return false;
        uint32_t point = first & (0x3Fu >> following);
        for (int i = 0; i < following; i++) {
            if ((at[i] & 0xC0) != 0x80) return false;
            point = point << 6 | (at[i] & 0x3Fu);
        }
        at += following;
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (point < least[following] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000) ||
            point < 0xA0)
            return false;
    }
    return true;
}
