#include "core/model/repository.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>

#include "core/base/check.h"
#include "core/base/mutex.h"
#include "core/base/status_macros.h"
#include "core/model/composition_cache.h"
#include "core/model/composition_family.h"
#include "core/model/model_folders.h"
#include "core/model/model_loader.h"

namespace basin {
namespace {

namespace fs = std::filesystem;

using internal::Folders;
using internal::HighestVersion;
using internal::IsPlainName;
using internal::kMaxNameLength;
using internal::ToString;

// Equal for equal compositions of the same versions only.
std::string KeyOf(const Composition& composition) {
  std::string key = absl::StrFormat("%d %a", static_cast<int>(composition.kind),
                                    composition.temperature);
  for (const Composition::Term& term : composition.terms) {
    absl::StrAppendFormat(&key, " %s/%d %a", term.name, term.version,
                          term.weight);
  }
  return key;
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
      : backend_(backend),
        options_(std::move(options)),
        compositions_(options_.compositions) {}

  void LoadAll() override;
  absl::Status Load(const std::string& name, int64_t version) override;
  absl::Status Unload(const std::string& name, int64_t version) override;
  absl::StatusOr<std::shared_ptr<const EnergyModel>> Find(
      const std::string& name, int64_t version) const override;
  absl::StatusOr<std::shared_ptr<const EnergyModel>> FindComposed(
      const Composition& composition) override;
  absl::StatusOr<std::shared_ptr<const EnergyModel>> Compose(
      const Composition& composition) override;
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
  // The files of a loaded model, if they are still what was loaded.
  absl::StatusOr<internal::OpenedModel> OpenAgain(
      const ModelInfo& loaded) const;
  // The terms; their versions in `composition` become those that are meant.
  absl::StatusOr<internal::CompositionCache::Terms> Resolve(
      Composition* composition) const;
  absl::StatusOr<std::shared_ptr<const EnergyModel>> CompileTerms(
      const Composition& composition,
      const internal::CompositionCache::Terms& models) const;

  const Backend& backend_;
  const Options options_;

  // Held while models are loaded and unloaded: one at a time.
  Mutex work_mu_ ABSL_ACQUIRED_BEFORE(mu_);

  // Held while a composition is compiled: one at a time.
  Mutex compose_mu_;
  internal::CompositionCache compositions_;

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
  if (model != nullptr) compositions_.DropThoseOf(model.get());
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

absl::StatusOr<internal::OpenedModel> RepositoryImpl::OpenAgain(
    const ModelInfo& loaded) const {
  BASIN_ASSIGN_OR_RETURN(internal::OpenedModel model,
                         internal::OpenModel({.folder = FolderOf(loaded.name),
                                              .version = loaded.version,
                                              .limits = options_.load},
                                             loaded.name));
  BASIN_RETURN_IF_ERROR(internal::CheckUnchanged(model, loaded));
  model.settings.info = loaded;
  return model;
}

absl::StatusOr<std::shared_ptr<const EnergyModel>> RepositoryImpl::CompileTerms(
    const Composition& composition,
    const internal::CompositionCache::Terms& models) const {
  size_t bytes = 0;
  for (const auto& model : models) bytes += model->memory_bytes();
  if (bytes > options_.load.max_memory_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("composition: its terms hold ", bytes >> 20,
                     " MiB, the limit of a model is ",
                     options_.load.max_memory_bytes >> 20, " MiB"));
  }
  std::vector<internal::OpenedModel> terms;
  internal::OpenedModel composed;
  ModelInfo& info = composed.settings.info;
  info.name = ToString(composition);
  info.family = "composition";
  info.precision = models[0]->info().precision;
  for (size_t i = 0; i < models.size(); ++i) {
    const ModelInfo& term = models[i]->info();
    // The finest that a term asks for.
    if (term.precision != info.precision) {
      const bool wide = term.precision == Precision::kFloat64 ||
                        info.precision == Precision::kFloat64;
      info.precision = wide ? Precision::kFloat64 : Precision::kFloat32;
    }
    if (term.max_chains != 0 &&
        (info.max_chains == 0 || term.max_chains < info.max_chains)) {
      info.max_chains = term.max_chains;
    }
    const auto same = std::find(models.begin(), models.end(), models[i]);
    const auto place = static_cast<size_t>(same - models.begin());
    if (place < i) {
      terms.push_back(terms[place]);
      continue;
    }
    BASIN_ASSIGN_OR_RETURN(internal::OpenedModel opened, OpenAgain(term));
    terms.push_back(std::move(opened));
  }
  info.default_steps = models[0]->info().default_steps;
  BASIN_ASSIGN_OR_RETURN(
      composed.source,
      internal::ComposeSources(composition, terms, &composed.settings));
  BASIN_RETURN_IF_ERROR(internal::CompleteInitial(&composed.settings));
  terms.clear();
  return internal::CompileModel(backend_, std::move(composed), options_.load);
}

absl::StatusOr<internal::CompositionCache::Terms> RepositoryImpl::Resolve(
    Composition* composition) const {
  BASIN_RETURN_IF_ERROR(CheckComposition(*composition));
  internal::CompositionCache::Terms terms;
  for (Composition::Term& term : composition->terms) {
    BASIN_ASSIGN_OR_RETURN(auto model, Find(term.name, term.version));
    term.version = model->info().version;
    terms.push_back(std::move(model));
  }
  return terms;
}

absl::StatusOr<std::shared_ptr<const EnergyModel>> RepositoryImpl::FindComposed(
    const Composition& composition) {
  Composition resolved = composition;
  BASIN_ASSIGN_OR_RETURN(const auto terms, Resolve(&resolved));
  return compositions_.Find(KeyOf(resolved), terms);
}

absl::StatusOr<std::shared_ptr<const EnergyModel>> RepositoryImpl::Compose(
    const Composition& composition) {
  Composition resolved = composition;
  BASIN_ASSIGN_OR_RETURN(const auto terms, Resolve(&resolved));
  const std::string key = KeyOf(resolved);
  MutexLock one_at_a_time(compose_mu_);
  // Who waited finds what the one before made.
  if (auto known = compositions_.Find(key, terms)) return known;
  BASIN_ASSIGN_OR_RETURN(auto model, CompileTerms(resolved, terms));
  compositions_.Add(key, terms, model);
  // One that was unloaded meanwhile was not there to be dropped.
  for (const auto& term : terms) {
    const auto now = Find(term->info().name, term->info().version);
    if (!now.ok() || *now != term) compositions_.DropThoseOf(term.get());
  }
  return model;
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
