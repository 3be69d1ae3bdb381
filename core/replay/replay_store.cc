#include "core/replay/replay_store.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "core/base/check.h"
#include "core/base/status_macros.h"
#include "core/replay/replay_format.h"

namespace basin::internal {
namespace {

constexpr int64_t kBufferBytes = int64_t{1} << 20;
constexpr int64_t kMinJournalLimitBytes = int64_t{1} << 16;
constexpr uint32_t kKindBits = 8;
constexpr uint32_t kKindMask = (1U << kKindBits) - 1;

uint32_t PartitionOf(int32_t label) { return static_cast<uint32_t>(label + 1); }

int32_t LabelOf(uint32_t partition) {
  return static_cast<int32_t>(partition) - 1;
}

template <typename T>
absl::Span<char> MutableBytesOf(T& value) {
  return {reinterpret_cast<char*>(&value), sizeof(value)};
}

template <typename T>
std::string_view BytesOf(const T& value) {
  static_assert(std::has_unique_object_representations_v<T>);
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

std::string_view FloatBytes(absl::Span<const float> values) {
  return {reinterpret_cast<const char*>(values.data()),
          values.size() * sizeof(float)};
}

int64_t StateBytes(int64_t dimension) {
  return dimension * static_cast<int64_t>(sizeof(float));
}

int64_t RowsPerRecord(int64_t dimension) {
  return std::max<int64_t>(1, kMaxRecordBytes / StateBytes(dimension));
}

uint32_t SlotCrc(const SlotRecord& record, absl::Span<const float> state) {
  const uint32_t crc = Crc32(0, &record, sizeof(record) - sizeof(record.crc));
  return Crc32(crc, state.data(), state.size() * sizeof(float));
}

bool AllFinite(absl::Span<const float> values) {
  return std::all_of(values.begin(), values.end(),
                     [](float value) { return std::isfinite(value); });
}

absl::Status DimensionError(const std::string& path, int64_t got,
                            int64_t expected) {
  return absl::FailedPreconditionError(
      absl::StrCat(path, " holds states of ", got,
                   " floats, but the model's have ", expected));
}

// Walks the records of a journal file.
class JournalReader {
 public:
  // Rows up to the record `held_sequence` are in the snapshot too.
  JournalReader(std::unique_ptr<ReadableFile> file, std::string path,
                int64_t dimension, uint64_t held_sequence)
      : file_(std::move(file)),
        path_(std::move(path)),
        dimension_(dimension),
        held_sequence_(held_sequence) {}

  int64_t offset() const { return offset_; }
  int64_t torn_rows() const { return torn_rows_; }
  bool damaged() const { return damaged_; }

  // The next whole record; false at the end, or where the file is cut off or
  // a header is damaged. A damaged payload loses its own rows only.
  absl::StatusOr<bool> Next(JournalRecord* record, std::vector<float>* rows) {
    while (offset_ < file_->size()) {
      BASIN_ASSIGN_OR_RETURN(const bool whole, ReadHeader(record));
      if (!whole) return false;
      rows->resize(static_cast<size_t>(record->rows * dimension_));
      const absl::Span<char> payload(reinterpret_cast<char*>(rows->data()),
                                     rows->size() * sizeof(float));
      const auto at = offset_ + static_cast<int64_t>(sizeof(*record));
      BASIN_RETURN_IF_ERROR(file_->Read(at, payload));
      offset_ = at + static_cast<int64_t>(payload.size());
      last_sequence_ = record->sequence;
      if (Crc32(0, payload.data(), payload.size()) == record->payload_crc &&
          AllFinite(*rows)) {
        return true;
      }
      if (record->sequence > held_sequence_) Torn(record->rows);
    }
    return false;
  }

 private:
  // False if there is no record at offset_ that fits into the file.
  absl::StatusOr<bool> ReadHeader(JournalRecord* record) {
    const int64_t room =
        file_->size() - offset_ - static_cast<int64_t>(sizeof(*record));
    if (room < 0) return Torn(1);
    BASIN_RETURN_IF_ERROR(file_->Read(offset_, MutableBytesOf(*record)));
    const int64_t state_bytes = StateBytes(dimension_);
    if (record->magic != JournalRecord::kMagic ||
        record->header_crc != HeaderCrc(*record)) {
      return Torn(std::max<int64_t>(1, room / state_bytes));
    }
    if (record->dimension != dimension_) {
      return DimensionError(path_, record->dimension, dimension_);
    }
    const bool clear = record->kind == JournalRecord::kClear;
    const bool insert = (record->kind & kKindMask) == JournalRecord::kInsert;
    const bool plausible =
        record->sequence > last_sequence_ &&
        (clear ? record->rows == 0
               : insert && record->rows > 0 &&
                     record->rows <= RowsPerRecord(dimension_));
    if (!plausible) return Torn(1);
    if (room < record->rows * state_bytes) return Torn(record->rows);
    return true;
  }

  bool Torn(int64_t rows) {
    damaged_ = true;
    torn_rows_ += rows;
    return false;
  }

  const std::unique_ptr<ReadableFile> file_;
  const std::string path_;
  const int64_t dimension_;
  const uint64_t held_sequence_;
  int64_t offset_ = 0;  // bytes
  uint64_t last_sequence_ = 0;
  int64_t torn_rows_ = 0;
  bool damaged_ = false;
};

// The file, or null if there is none.
absl::StatusOr<std::unique_ptr<ReadableFile>> OpenIfThere(
    FileLayer& files, const std::string& path) {
  auto file = files.OpenForRead(path);
  if (absl::IsNotFound(file.status())) return nullptr;
  return file;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReplayStore>> ReplayStore::Open(Options options,
                                                               SlotPool& pool,
                                                               Found* found) {
  std::unique_ptr<ReplayStore> store(new ReplayStore(std::move(options)));
  BASIN_ASSIGN_OR_RETURN(store->lock_, store->options_.files->Lock(
                                           store->options_.path + ".lock"));
  BASIN_RETURN_IF_ERROR(store->ReadSnapshot(pool, found));
  BASIN_RETURN_IF_ERROR(store->ReadJournal(pool, found));
  return store;
}

absl::Status ReplayStore::ReadSnapshot(SlotPool& pool, Found* found) {
  BASIN_ASSIGN_OR_RETURN(const auto file,
                         OpenIfThere(*options_.files, SnapshotPath()));
  SnapshotHeader header;
  header.next_generation = pool.next_generation();
  if (file != nullptr) {
    const absl::Status read = file->Read(0, MutableBytesOf(header));
    if (absl::IsOutOfRange(read) ||
        (read.ok() &&
         (header.magic != SnapshotHeader::kMagic ||
          header.header_crc != HeaderCrc(header) || header.count < 0 ||
          header.count > SlotPool::kMaxCapacity))) {
      return absl::DataLossError(
          absl::StrCat(SnapshotPath(),
                       " is not a replay snapshot, or its header is "
                       "damaged; remove it to start with an empty buffer"));
    }
    BASIN_RETURN_IF_ERROR(read);
    if (header.dimension != options_.dimension) {
      return DimensionError(SnapshotPath(), header.dimension,
                            options_.dimension);
    }
    BASIN_RETURN_IF_ERROR(ReadSlots(*file, header.count, pool, found));
  }
  sequence_ = header.sequence;
  found->last_snapshot_ns = header.written_ns;
  pool.FinishRestore(header.next_generation);
  return absl::OkStatus();
}

absl::Status ReplayStore::ReadSlots(ReadableFile& file, int64_t count,
                                    SlotPool& pool, Found* found) {
  const auto slot_bytes =
      static_cast<int64_t>(sizeof(SlotRecord)) + StateBytes(options_.dimension);
  const int64_t whole =
      (file.size() - static_cast<int64_t>(sizeof(SnapshotHeader))) / slot_bytes;
  found->torn_slots += count - std::min(count, whole);
  count = std::min(count, whole);
  const int64_t per_read = std::max<int64_t>(1, kBufferBytes / slot_bytes);
  std::vector<char> bytes;
  std::vector<float> state(static_cast<size_t>(options_.dimension));
  for (int64_t first = 0; first < count; first += per_read) {
    const int64_t slots = std::min(per_read, count - first);
    bytes.resize(static_cast<size_t>(slots * slot_bytes));
    const auto offset =
        static_cast<int64_t>(sizeof(SnapshotHeader)) + first * slot_bytes;
    BASIN_RETURN_IF_ERROR(file.Read(offset, absl::MakeSpan(bytes)));
    for (const char* at = bytes.data(); at != bytes.data() + bytes.size();
         at += slot_bytes) {
      SlotRecord record;
      std::memcpy(&record, at, sizeof(record));
      std::memcpy(state.data(), at + sizeof(record),
                  state.size() * sizeof(float));
      if (record.crc == SlotCrc(record, state) && AllFinite(state) &&
          record.partition <= PartitionOf(kMaxLabels - 1)) {
        pool.Restore(state, LabelOf(record.partition), record.generation,
                     record.written_ns);
      } else {
        ++found->torn_slots;
      }
    }
  }
  if (found->torn_slots > 0) found->needs_snapshot = true;
  return absl::OkStatus();
}

absl::Status ReplayStore::ReadJournal(SlotPool& pool, Found* found) {
  BASIN_ASSIGN_OR_RETURN(auto file,
                         OpenIfThere(*options_.files, JournalPath()));
  if (file == nullptr) {
    found->needs_snapshot = true;
    return absl::OkStatus();
  }
  JournalReader reader(std::move(file), JournalPath(), options_.dimension,
                       sequence_);
  JournalRecord record;
  std::vector<float> rows;
  while (true) {
    BASIN_ASSIGN_OR_RETURN(const bool more, reader.Next(&record, &rows));
    if (!more) break;
    if (record.sequence <= sequence_) continue;  // the snapshot holds it
    sequence_ = record.sequence;
    if (record.kind == JournalRecord::kClear) pool.Clear();
    for (size_t at = 0; at < rows.size(); at += options_.dimension) {
      pool.Add(absl::MakeConstSpan(rows).subspan(at, options_.dimension),
               LabelOf(record.kind >> kKindBits), record.written_ns);
    }
  }
  found->torn_slots += reader.torn_rows();
  if (reader.damaged()) found->needs_snapshot = true;
  if (found->needs_snapshot) return absl::OkStatus();
  // A process that was killed between a rename and its sync leaves names that
  // a crash of the machine takes back, with what is appended from now on.
  BASIN_RETURN_IF_ERROR(options_.files->SyncFolderOf(JournalPath()));
  journal_bytes_ = reader.offset();
  BASIN_ASSIGN_OR_RETURN(journal_,
                         options_.files->OpenForAppend(JournalPath()));
  return absl::OkStatus();
}

bool ReplayStore::NeedsSnapshot() const {
  const int64_t slots_bytes =
      options_.capacity * StateBytes(options_.dimension);
  return journal_ == nullptr ||
         journal_bytes_ > std::max(2 * slots_bytes, kMinJournalLimitBytes);
}

absl::Status ReplayStore::AppendInsert(absl::Span<const float> states,
                                       int32_t label, int64_t written_ns) {
  BASIN_CHECK(SlotPool::kNoLabel <= label && label < kMaxLabels);
  BASIN_CHECK(states.size() % static_cast<size_t>(options_.dimension) == 0);
  if (states.empty()) return absl::OkStatus();
  return AppendRecords(states,
                       JournalRecord::kInsert | PartitionOf(label) << kKindBits,
                       written_ns);
}

absl::Status ReplayStore::AppendClear(int64_t written_ns) {
  return AppendRecords({}, JournalRecord::kClear, written_ns);
}

absl::Status ReplayStore::AppendRecords(absl::Span<const float> states,
                                        uint32_t kind, int64_t written_ns) {
  BASIN_CHECK(journal_ != nullptr);
  absl::Status status;
  do {
    const int64_t rows =
        std::min(static_cast<int64_t>(states.size()) / options_.dimension,
                 RowsPerRecord(options_.dimension));
    const std::string_view payload = FloatBytes(
        states.subspan(0, static_cast<size_t>(rows * options_.dimension)));
    states.remove_prefix(payload.size() / sizeof(float));
    JournalRecord record;
    record.kind = kind;
    record.sequence = ++sequence_;
    record.dimension = options_.dimension;
    record.rows = rows;
    record.written_ns = written_ns;
    record.payload_crc = Crc32(0, payload.data(), payload.size());
    record.header_crc = HeaderCrc(record);
    status.Update(journal_->Append(BytesOf(record)));
    if (status.ok()) status = journal_->Append(payload);
    journal_bytes_ += static_cast<int64_t>(sizeof(record) + payload.size());
  } while (status.ok() && !states.empty());
  if (status.ok()) status = journal_->Sync();
  // What is on the disk is now unknown; the next snapshot's sequence number
  // makes sure that none of it is applied.
  if (!status.ok()) journal_ = nullptr;
  return status;
}

absl::Status ReplayStore::WriteSlots(WritableFile& file, const Source& source) {
  std::string buffer;
  std::vector<float> state(static_cast<size_t>(options_.dimension));
  for (int64_t slot = 0; slot < source.count; ++slot) {
    const SlotHeader header = source.read(slot, absl::MakeSpan(state));
    SlotRecord record;
    record.generation = header.generation;
    record.partition = PartitionOf(header.label);
    record.written_ns = header.written_ns;
    record.crc = SlotCrc(record, state);
    buffer.append(BytesOf(record)).append(FloatBytes(state));
    if (static_cast<int64_t>(buffer.size()) >= kBufferBytes) {
      BASIN_RETURN_IF_ERROR(file.Append(buffer));
      buffer.clear();
    }
  }
  return file.Append(buffer);
}

absl::Status ReplayStore::Publish(WritableFile& file, const std::string& path) {
  BASIN_RETURN_IF_ERROR(file.Sync());
  BASIN_RETURN_IF_ERROR(options_.files->Rename(path + ".tmp", path));
  return options_.files->SyncFolderOf(path);
}

absl::Status ReplayStore::WriteSnapshot(const Source& source) {
  SnapshotHeader header;
  header.dimension = options_.dimension;
  header.count = source.count;
  header.sequence = sequence_;
  header.next_generation = source.next_generation;
  header.written_ns = source.now_ns;
  header.header_crc = HeaderCrc(header);
  BASIN_ASSIGN_OR_RETURN(const auto snapshot,
                         options_.files->Create(SnapshotPath() + ".tmp"));
  BASIN_RETURN_IF_ERROR(snapshot->Append(BytesOf(header)));
  BASIN_RETURN_IF_ERROR(WriteSlots(*snapshot, source));
  BASIN_RETURN_IF_ERROR(Publish(*snapshot, SnapshotPath()));
  // From here on the old journal's records are skipped when it is read.
  BASIN_ASSIGN_OR_RETURN(auto journal,
                         options_.files->Create(JournalPath() + ".tmp"));
  // An append after a failed replacement must not go to a file that the name
  // may or may not lead to.
  journal_ = nullptr;
  BASIN_RETURN_IF_ERROR(Publish(*journal, JournalPath()));
  journal_ = std::move(journal);
  journal_bytes_ = 0;
  return absl::OkStatus();
}

}  // namespace basin::internal
