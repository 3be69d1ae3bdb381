#include "core/model/repository.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "core/base/check.h"
#include "core/base/mutex.h"
#include "core/base/status_macros.h"

namespace basin {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxNameLength = 128;

// Letters, digits, '_', '.', '-', not beginning with a dot: never a path.
bool IsPlainName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxNameLength && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
         });
}

// The version that a folder's name stands for, "1", "2", ...; nothing if none.
std::optional<int64_t> VersionOf(const std::string& folder_name) {
  int64_t version = 0;
  if (!absl::SimpleAtoi(folder_name, &version) || version < 1 ||
      absl::StrCat(version) != folder_name) {
    return std::nullopt;
  }
  return version;
}

// Names of the folders in `path`, sorted.
std::vector<std::string> Folders(const fs::path& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;  // a broken link is not a folder
    if (it->is_directory(ignored)) names.push_back(it->path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The highest version in a model's folder; nothing if there is none.
std::optional<int64_t> HighestVersion(const fs::path& path) {
  std::optional<int64_t> highest;
  for (const std::string& name : Folders(path)) {
    highest = std::max(highest, VersionOf(name));
  }
  return highest;
}

bool MayFollow(ModelState from, ModelState to) {
  switch (to) {
    case ModelState::kLoading:
      return from == ModelState::kUnloaded || from == ModelState::kFailed;
    case ModelState::kReady:  // from itself: loaded again
      return from == ModelState::kLoading || from == ModelState::kReady;
    case ModelState::kFailed:
      return from == ModelState::kLoading;
    case ModelState::kUnloaded:
      return from == ModelState::kReady;
  }
  return false;
}

class RepositoryImpl : public ModelRepository {
 public:
  RepositoryImpl(const Backend& backend, Options options)
      : backend_(backend), options_(std::move(options)) {}

  void LoadAll() override;
  absl::Status Load(const std::string& name, int64_t version) override;
  absl::Status Unload(const std::string& name, int64_t version) override;
  absl::StatusOr<std::shared_ptr<const EnergyModel>> Find(
      const std::string& name, int64_t version) const override;
  std::vector<ModelStatus> List() const override;

 private:
  using Versions = std::map<int64_t, ModelStatus>;

  std::string FolderOf(const std::string& name) const {
    return absl::StrCat(options_.folder, "/", name);
  }
  absl::StatusOr<int64_t> ResolveVersion(const std::string& name,
                                         int64_t version) const;
  absl::Status LoadVersion(const std::string& name, int64_t version)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  void SetState(const std::string& name, int64_t version, ModelState state,
                std::shared_ptr<const EnergyModel> model,
                const std::string& reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_) ABSL_LOCKS_EXCLUDED(mu_);
  bool IsReady(const std::string& name, int64_t version) const
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status UnknownModel(const std::string& name) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Backend& backend_;
  const Options options_;

  // Held while models are loaded and unloaded: one at a time.
  Mutex work_mu_ ABSL_ACQUIRED_BEFORE(mu_);

  mutable Mutex mu_;
  std::map<std::string, Versions> models_ ABSL_GUARDED_BY(mu_);
};

// The version that answers for version 0; null if none is ready.
const ModelStatus* Serving(const std::map<int64_t, ModelStatus>& versions) {
  for (auto it = versions.rbegin(); it != versions.rend(); ++it) {
    if (it->second.state == ModelState::kReady) return &it->second;
  }
  return nullptr;
}

// Why `status` cannot be used.
absl::Status NotReady(const ModelStatus& status) {
  const std::string which =
      absl::StrCat("model '", status.name, "' version ", status.version);
  switch (status.state) {
    case ModelState::kLoading:
      return absl::UnavailableError(absl::StrCat(which, " is loading"));
    case ModelState::kFailed:
      return absl::FailedPreconditionError(
          absl::StrCat(which, " could not be loaded: ", status.reason));
    default:
      return absl::NotFoundError(absl::StrCat(which, " is not loaded"));
  }
}

// The only place where states change. A version that is new begins where
// loading may begin.
void RepositoryImpl::SetState(const std::string& name, int64_t version,
                              ModelState state,
                              std::shared_ptr<const EnergyModel> model,
                              const std::string& reason) {
  ModelStatus changed;
  {
    MutexLock lock(mu_);
    Versions& versions = models_[name];
    const auto [it, is_new] = versions.try_emplace(version);
    ModelStatus& status = it->second;
    if (is_new) {
      status.name = name;
      status.version = version;
      status.state = ModelState::kUnloaded;
    }
    BASIN_CHECK(MayFollow(status.state, state));
    status.state = state;
    status.reason = reason;
    // The last reference may free a model, which takes a while: not in here.
    std::swap(status.model, model);
    changed = status;
    changed.serving = Serving(versions) == &status;
  }
  if (options_.on_change) options_.on_change(changed);
}

bool RepositoryImpl::IsReady(const std::string& name, int64_t version) const {
  MutexLock lock(mu_);
  const auto model = models_.find(name);
  if (model == models_.end()) return false;
  const auto it = model->second.find(version);
  return it != model->second.end() && it->second.state == ModelState::kReady;
}

absl::StatusOr<int64_t> RepositoryImpl::ResolveVersion(const std::string& name,
                                                       int64_t version) const {
  if (!IsPlainName(name)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model name: expected 1 to ", kMaxNameLength,
        " letters, digits, '_', '.' or '-', the first no '.', got '",
        absl::CHexEscape(name.substr(0, kMaxNameLength)), "'"));
  }
  std::error_code error;
  const fs::path folder = FolderOf(name);
  if (!fs::is_directory(folder, error)) {
    return absl::NotFoundError(
        absl::StrCat("there is no model folder ", folder.string()));
  }
  if (version < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("model version: expected at least 0, got ", version));
  }
  if (version == 0) {
    const std::optional<int64_t> highest = HighestVersion(folder);
    if (highest.has_value()) return *highest;
  } else if (fs::is_directory(folder / absl::StrCat(version), error)) {
    return version;
  }
  return absl::NotFoundError(absl::StrCat(
      folder.string(), " has no folder for ",
      version == 0 ? "any version, such as 1" : absl::StrCat(version)));
}

absl::Status RepositoryImpl::LoadVersion(const std::string& name,
                                         int64_t version) {
  // One that is loaded serves on until the new instance is there.
  const bool reload = IsReady(name, version);
  if (!reload) SetState(name, version, ModelState::kLoading, nullptr, "");
  auto model =
      EnergyModel::Load(backend_, FolderOf(name), name, version, options_.load);
  if (model.ok()) {
    SetState(name, version, ModelState::kReady, *std::move(model), "");
    return absl::OkStatus();
  }
  if (!reload) {
    SetState(name, version, ModelState::kFailed, nullptr,
             std::string(model.status().message()));
  }
  return absl::Status(model.status().code(),
                      absl::StrCat("model '", name, "' version ", version, ": ",
                                   model.status().message()));
}

absl::Status RepositoryImpl::Load(const std::string& name, int64_t version) {
  MutexLock work(work_mu_);
  BASIN_ASSIGN_OR_RETURN(version, ResolveVersion(name, version));
  return LoadVersion(name, version);
}

void RepositoryImpl::LoadAll() {
  MutexLock work(work_mu_);
  for (const std::string& name : Folders(options_.folder)) {
    if (!IsPlainName(name)) continue;
    const std::optional<int64_t> version = HighestVersion(FolderOf(name));
    // A folder without versions is not a model. A failure is in the status.
    if (version.has_value()) LoadVersion(name, *version).IgnoreError();
  }
}

absl::Status RepositoryImpl::Unload(const std::string& name, int64_t version) {
  MutexLock work(work_mu_);
  std::vector<int64_t> ready;
  {
    MutexLock lock(mu_);
    const auto model = models_.find(name);
    if (model == models_.end()) return UnknownModel(name);
    for (const auto& [number, status] : model->second) {
      const bool wanted = version == 0 || version == number;
      if (wanted && status.state == ModelState::kReady) ready.push_back(number);
    }
  }
  if (ready.empty()) {
    return absl::NotFoundError(absl::StrCat(
        "model '", name, "' has no ",
        version == 0 ? "loaded version"
                     : absl::StrCat("version ", version, " that is loaded")));
  }
  for (const int64_t number : ready) {
    SetState(name, number, ModelState::kUnloaded, nullptr, "");
  }
  return absl::OkStatus();
}

absl::Status RepositoryImpl::UnknownModel(const std::string& name) const {
  const std::string known =
      absl::StrJoin(models_, "', '", [](std::string* out, const auto& model) {
        absl::StrAppend(out, model.first);
      });
  return absl::NotFoundError(absl::StrCat(
      "there is no model '", absl::CHexEscape(name.substr(0, kMaxNameLength)),
      "'; there ",
      known.empty() ? "are none" : absl::StrCat("are '", known, "'")));
}

absl::StatusOr<std::shared_ptr<const EnergyModel>> RepositoryImpl::Find(
    const std::string& name, int64_t version) const {
  MutexLock lock(mu_);
  const auto model = models_.find(name);
  if (model == models_.end()) return UnknownModel(name);
  const Versions& versions = model->second;
  if (version != 0) {
    const auto it = versions.find(version);
    if (it == versions.end()) {
      return absl::NotFoundError(absl::StrCat(
          "model '", name, "' has no version ", version, " that is loaded"));
    }
    if (it->second.state != ModelState::kReady) return NotReady(it->second);
    return it->second.model;
  }
  const ModelStatus* serving = Serving(versions);
  if (serving != nullptr) return serving->model;
  // None is ready: one that is loading says more than one that failed, and
  // that more than one that was unloaded.
  for (const ModelState state : {ModelState::kLoading, ModelState::kFailed}) {
    for (const auto& [number, status] : versions) {
      if (status.state == state) return NotReady(status);
    }
  }
  return absl::NotFoundError(absl::StrCat("model '", name, "' is not loaded"));
}

std::vector<ModelStatus> RepositoryImpl::List() const {
  std::vector<ModelStatus> all;
  MutexLock lock(mu_);
  for (const auto& [name, versions] : models_) {
    const ModelStatus* serving = Serving(versions);
    for (const auto& [number, status] : versions) {
      all.push_back(status);
      all.back().serving = &status == serving;
    }
  }
  return all;
}

}  // namespace

std::string_view Name(ModelState state) {
  switch (state) {
    case ModelState::kLoading:
      return "LOADING";
    case ModelState::kReady:
      return "READY";
    case ModelState::kFailed:
      return "FAILED";
    case ModelState::kUnloaded:
      return "UNLOADED";
  }
  return "?";
}

absl::StatusOr<std::unique_ptr<ModelRepository>> ModelRepository::Create(
    const Backend& backend, Options options) {
  std::error_code error;
  if (!fs::is_directory(options.folder, error)) {
    return absl::NotFoundError(
        absl::StrCat("there is no model folder ", options.folder));
  }
  return std::make_unique<RepositoryImpl>(backend, std::move(options));
}

}  // namespace basin
