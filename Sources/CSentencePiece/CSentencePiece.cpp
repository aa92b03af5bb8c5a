#include "CSentencePiece.h"

#include <sentencepiece_processor.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

struct gloss_sp {
    sentencepiece::SentencePieceProcessor processor;
};

// No exception may reach Swift. An allocation failure becomes the failure value of the C interface.
extern "C" gloss_sp *gloss_sp_load(const void *bytes, size_t size, char *error, size_t error_size) try {
    auto sp = new gloss_sp;
    auto status = sp->processor.LoadFromSerializedProto(std::string(static_cast<const char *>(bytes), size));
    if (status.ok()) return sp;
    std::snprintf(error, error_size, "%s", status.ToString().c_str());
    delete sp;
    return nullptr;
} catch (const std::exception &e) {
    std::snprintf(error, error_size, "%s", e.what());
    return nullptr;
}

extern "C" void gloss_sp_free(gloss_sp *sp) { delete sp; }

extern "C" int32_t gloss_sp_piece_count(const gloss_sp *sp) { return sp->processor.GetPieceSize(); }

extern "C" int32_t gloss_sp_id(const gloss_sp *sp, const char *piece) try {
    // Of a piece that is not there, the id is <unk>'s.
    int id = sp->processor.PieceToId(piece);
    return sp->processor.IdToPiece(id) == piece ? id : -1;
} catch (const std::exception &) {
    return -1;
}

extern "C" int64_t gloss_sp_encode(const gloss_sp *sp, const char *text, size_t size, int32_t **ids) try {
    std::vector<int> found;
    if (!sp->processor.Encode({text, size}, &found).ok()) return -1;
    *ids = static_cast<int32_t *>(std::malloc(found.size() * sizeof(int32_t) + 1));
    if (!*ids) return -1;
    if (!found.empty()) std::memcpy(*ids, found.data(), found.size() * sizeof(int32_t));
    return static_cast<int64_t>(found.size());
} catch (const std::exception &) {
    return -1;
}

extern "C" void gloss_sp_free_ids(int32_t *ids) { std::free(ids); }

extern "C" char *gloss_sp_decode(const gloss_sp *sp, const int32_t *ids, size_t count, size_t *size) try {
    std::string text;
    if (!sp->processor.Decode(std::vector<int>(ids, ids + count), &text).ok()) return nullptr;
    auto copy = static_cast<char *>(std::malloc(text.size() + 1));
    if (!copy) return nullptr;
    std::memcpy(copy, text.data(), text.size());
    *size = text.size();
    return copy;
} catch (const std::exception &) {
    return nullptr;
}

extern "C" void gloss_sp_free_text(char *text) { std::free(text); }

extern "C" int32_t gloss_sp_byte(const gloss_sp *sp, int32_t id) {
    if (sp->processor.IsControl(id) || sp->processor.IsUnknown(id)) return GLOSS_SP_NO_TEXT;
    if (!sp->processor.IsByte(id)) return GLOSS_SP_TEXT;
    return static_cast<int32_t>(std::strtol(sp->processor.IdToPiece(id).c_str() + 3, nullptr, 16));  // "<0x41>"
}
