#ifndef BASIN_CORE_REPLAY_REPLAY_FORMAT_H_
#define BASIN_CORE_REPLAY_REPLAY_FORMAT_H_

// The bytes of a replay store's files, little-endian. Internal to core/replay
// and its tests.

#include <zlib.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace basin::internal {

static_assert(std::endian::native == std::endian::little,
              "the store's files are little-endian");

// A snapshot file is one SnapshotHeader, then `count` times a SlotRecord
// followed by D floats.
struct SnapshotHeader {
  static constexpr uint64_t kMagic = 0x314C50524E495342;  // "BSINRPL1"
  uint64_t magic = kMagic;
  int64_t dimension = 0;         // D
  int64_t count = 0;             // slots
  uint64_t sequence = 0;         // of the last journal record it holds
  uint64_t next_generation = 0;  // above that of every slot
  int64_t written_ns = 0;        // since the Unix epoch
  uint32_t reserved = 0;
  uint32_t header_crc = 0;  // of the bytes before
};

struct SlotRecord {
  uint64_t generation = 0;
  int64_t written_ns = 0;
  uint32_t partition = 0;  // 0 = of no label, else the label + 1
  uint32_t crc = 0;        // of the bytes before, then of the state
};

// Labels are below this, so that a partition fits into 24 bits.
inline constexpr int32_t kMaxLabels = (1 << 24) - 1;

// A journal is a row of JournalRecords, each followed by rows * D floats.
struct JournalRecord {
  static constexpr uint32_t kMagic = 0x314A5242;  // "BRJ1"
  enum Kind : uint32_t { kInsert = 1, kClear = 2 };
  uint32_t magic = kMagic;
  // A Kind in the lowest 8 bits; above, of kInsert, the partition as in
  // SlotRecord. Journals from before there were partitions read as of no label.
  uint32_t kind = kInsert;
  uint64_t sequence = 0;  // ascending through the file
  int64_t dimension = 0;  // D
  int64_t rows = 0;
  int64_t written_ns = 0;
  uint32_t payload_crc = 0;
  uint32_t header_crc = 0;  // of the bytes before
};

// Rows of one journal record hold at most this many bytes, unless one row
// alone is larger.
inline constexpr int64_t kMaxRecordBytes = int64_t{1} << 20;

// The CRC-32 of zlib, continued from `crc` (0 to begin).
inline uint32_t Crc32(uint32_t crc, const void* bytes, size_t size) {
  return static_cast<uint32_t>(
      crc32_z(crc, static_cast<const Bytef*>(bytes), size));
}

// Of all bytes of a header but its last member, the checksum itself.
template <typename Header>
uint32_t HeaderCrc(const Header& header) {
  static_assert(std::has_unique_object_representations_v<Header>);
  return Crc32(0, &header, sizeof(Header) - sizeof(uint32_t));
}

}  // namespace basin::internal

#endif  // BASIN_CORE_REPLAY_REPLAY_FORMAT_H_
