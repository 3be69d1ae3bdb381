#include "server/replay_registry.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "server/log.h"

namespace basin {
namespace {

absl::Status CreateFolder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("cannot create the folder ", folder, ": ", error.message()));
}

bool SamePolicy(const ReplayOptions& a, const ReplayOptions& b) {
  return a.capacity == b.capacity &&
         a.restart_probability == b.restart_probability &&
         a.write_policy == b.write_policy && a.read_policy == b.read_policy;
}

int64_t Writes(const ReplayStats& stats) {
  return stats.inserts + stats.write_backs;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReplayRegistry>> ReplayRegistry::Create(
    Options options) {
  if (!options.folder.empty()) {
    BASIN_RETURN_IF_ERROR(CreateFolder(options.folder));
  }
  return std::unique_ptr<ReplayRegistry>(
      new ReplayRegistry(std::move(options)));
}

ReplayRegistry::ReplayRegistry(Options options)
    : options_(std::move(options)), thread_([this] { SnapshotLoop(); }) {}

ReplayRegistry::~ReplayRegistry() {
  {
    MutexLock lock(mu_);
    stop_ = true;
  }
  stop_signal_.SignalAll();
  thread_.join();
}

absl::StatusOr<std::shared_ptr<ReplayBuffer>> ReplayRegistry::Get(
    const ModelInfo& model) {
  if (model.replay.capacity <= 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("model: ", model.name,
                     " has no replay buffer; its config.pbtxt can "
                     "give it one with replay { capacity: ... }"));
  }
  MutexLock lock(mu_);
  Slot& slot = slots_[Key(model.name, model.version)];
  if (slot.buffer != nullptr && slot.dimension == model.dimension &&
      SamePolicy(slot.policy, model.replay)) {
    return slot.buffer;
  }
  return Open(model, slot);
}

absl::StatusOr<std::shared_ptr<ReplayBuffer>> ReplayRegistry::Open(
    const ModelInfo& model, Slot& slot) {
  if (slot.buffer != nullptr) {  // loaded again with another configuration
    BASIN_RETURN_IF_ERROR(slot.buffer->Snapshot());
    slot.closed = slot.buffer;
    slot.buffer = nullptr;
  }
  // Two owners of one store would destroy it.
  if (slot.closed.lock() != nullptr) {
    return absl::UnavailableError(
        absl::StrCat("model: requests of the unloaded instance of ", model.name,
                     " still use its replay buffer; try again in 1s"));
  }
  ReplayBuffer::Options options;
  options.policy = model.replay;
  options.dimension = model.dimension;
  options.initial = model.initial;
  if (!options_.folder.empty()) {
    const std::string folder = absl::StrCat(options_.folder, "/", model.name);
    BASIN_RETURN_IF_ERROR(CreateFolder(folder));
    options.path = absl::StrCat(folder, "/", model.version);
  }
  BASIN_ASSIGN_OR_RETURN(std::unique_ptr<ReplayBuffer> buffer,
                         ReplayBuffer::Open(std::move(options)));
  slot.buffer = std::move(buffer);
  slot.dimension = model.dimension;
  slot.policy = model.replay;
  const ReplayStats stats = slot.buffer->Stats();
  slot.writes_at_snapshot = Writes(stats);
  Log(LogLevel::kInfo, "replay buffer open",
      {{"model", model.name},
       {"version", model.version},
       {"states", stats.size},
       {"torn", stats.torn_slots}});
  return slot.buffer;
}

void ReplayRegistry::Close(const std::string& model, int64_t version) {
  const Key key(model, version);
  SnapshotIfChanged(key);
  MutexLock lock(mu_);
  const auto found = slots_.find(key);
  // Closed before: who holds it may hold it still.
  if (found == slots_.end() || found->second.buffer == nullptr) return;
  found->second.closed = std::exchange(found->second.buffer, nullptr);
}

void ReplayRegistry::SnapshotChanged() {
  for (const Entry& entry : List()) {
    SnapshotIfChanged(Key(entry.model, entry.version));
  }
}

std::vector<ReplayRegistry::Entry> ReplayRegistry::List() const {
  std::vector<Entry> entries;
  MutexLock lock(mu_);
  for (const auto& [key, slot] : slots_) {
    if (slot.buffer == nullptr) continue;
    entries.push_back({key.first, key.second, slot.buffer});
  }
  return entries;
}

void ReplayRegistry::SnapshotLoop() {
  while (true) {
    {
      MutexLock lock(mu_);
      const absl::Time next = Clock::Real().Now() + options_.snapshot_interval;
      while (!stop_ && Clock::Real().Now() < next) {
        stop_signal_.WaitFor(mu_, next - Clock::Real().Now());
      }
      if (stop_) return;
    }
    SnapshotChanged();
  }
}

void ReplayRegistry::SnapshotIfChanged(const Key& key) {
  std::shared_ptr<ReplayBuffer> buffer;
  int64_t before = 0;
  {
    MutexLock lock(mu_);
    const auto found = slots_.find(key);
    if (found == slots_.end() || found->second.buffer == nullptr) return;
    buffer = found->second.buffer;
    before = found->second.writes_at_snapshot;
  }
  const int64_t writes = Writes(buffer->Stats());
  if (writes == before) return;
  if (absl::Status status = buffer->Snapshot(); !status.ok()) {
    Log(LogLevel::kError, "replay snapshot failed",
        {{"model", key.first}, {"error", status.ToString()}});
    return;
  }
  MutexLock lock(mu_);
  const auto found = slots_.find(key);
  if (found != slots_.end()) found->second.writes_at_snapshot = writes;
}

}  // namespace basin
