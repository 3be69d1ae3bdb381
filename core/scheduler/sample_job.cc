#include "core/scheduler/sample_job.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/base/check.h"
#include "core/scheduler/convergence_check.h"
#include "core/scheduler/run_queue.h"
#include "core/scheduler/warmup_adaptation.h"

namespace basin::internal {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kMaxNamedDivergences = 100;

int64_t FrameCount(const SampleSpec& spec) {
  return spec.keep_every == 0 ? 1 : spec.steps / spec.keep_every;
}

FrameRing::Options RingOptions(const SampleSpec& spec, int64_t dimension) {
  FrameRing::Options options;
  options.chains = spec.chains;
  options.dimension = dimension;
  options.keep = spec.keep;
  options.frames = FrameCount(spec);
  options.step_stride = spec.keep_every;
  options.first_step = spec.keep_every == 0 ? spec.steps : spec.keep_every;
  options.max_bytes = spec.max_pending_bytes;
  return options;
}

int64_t MaxTraceBytes(const SampleSpec& spec) {
  return spec.stop_when.any() ? kMaxLookBytes : int64_t{16} << 20;
}

double Ratio(int64_t part, int64_t whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN()
                    : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

int64_t SampleJobImpl::HeldBytes(const SampleSpec& spec, int64_t dimension) {
  const Transition& transition = GetTransition(spec.transition.kind);
  const int64_t row_bytes = dimension * int64_t{sizeof(float)};
  const int64_t arrays =
      1 + ((transition.carried() == Carried::kEnergyAndGradient) ? 1 : 0) +
      (transition.carries_momentum() ? 1 : 0);
  constexpr int64_t kCountBytes = 8 * int64_t{sizeof(double)};
  const FrameRing::Options ring = RingOptions(spec, dimension);
  const auto levels = static_cast<int64_t>(spec.annealing.schedule.size());
  constexpr int64_t kLevelBytes =
      int64_t{sizeof(ChainCoefficients)} + 3 * int64_t{sizeof(double)};
  const auto vectors = static_cast<int64_t>(
      spec.context.size() + 2 * spec.scale.size() + spec.box_lower.size() +
      spec.box_upper.size() + 2 * spec.covariance_factor.size());
  return spec.rows() * (arrays * row_bytes + kCountBytes) +
         FrameRing::Capacity(ring) * FrameRing::FrameBytes(ring) +
         TraceRecorder::Bytes(spec.chains, FrameCount(spec), dimension,
                              MaxTraceBytes(spec)) +
         vectors * int64_t{sizeof(float)} + levels * kLevelBytes +
         int64_t{sizeof(SampleJobImpl)};
}

SampleJobImpl::SampleJobImpl(SampleSpec spec, DeviceMemory covariance_factor,
                             std::shared_ptr<RunQueue> run_queue)
    : RowJob(spec.options, spec.rows(), spec.warmup + spec.steps,
             std::move(spec.context), spec.replicas()),
      spec_(std::move(spec)),
      transition_(GetTransition(spec_.transition.kind)),
      path_(spec_),
      tunes_(spec_.adaptation.step_size && spec_.warmup > 0),
      run_queue_(std::move(run_queue)),
      held_bytes_(HeldBytes(spec_, spec_.model->info().dimension)),
      covariance_factor_(std::move(covariance_factor)),
      rows_(MakeRows(spec_, transition_)),
      traces_(spec_.chains, FrameCount(spec_), rows_.dimension,
              MaxTraceBytes(spec_)),
      frames_(RingOptions(spec_, rows_.dimension)),
      settings_(MakeSettings(spec_, transition_)) {
  for (int64_t level = 0; level < path_.levels(); ++level) {
    const double t = path_.t(level);
    ChainCoefficients coefficients =
        transition_
            .Configure(spec_.transition,
                       spec_.inverse_temperature * (has_base() ? 1 : t))
            .value();
    if (has_base()) coefficients.path = t;
    level_coefficients_.push_back(coefficients);
  }
  AddMeetings();
  PlanMeetings(0);
  // The run queue holds the models while the job runs; a result that nobody
  // fetches must not keep them loaded.
  spec_.model.reset();
  spec_.surrogate.reset();
  spec_.base.reset();
}

SampleJobImpl::~SampleJobImpl() { run_queue_->ReleaseBytes(held_bytes_); }

void SampleJobImpl::AddMeetings() {
  const AdaptationOptions& adaptation = spec_.adaptation;
  if (spec_.warmup > 0 && (adaptation.step_size || adaptation.metric)) {
    meetings_.push_back(std::make_unique<WarmupAdaptation>(spec_, transition_));
  }
  if (!spec_.tempering.ladder.empty()) {
    auto swaps = std::make_unique<TemperingSwaps>(spec_, transition_);
    swaps_ = swaps.get();
    meetings_.push_back(std::move(swaps));
  }
  if (Anneals(spec_, AnnealingOptions::Weights::kPopulation)) {
    auto population = std::make_unique<Population>(spec_, path_);
    population_ = population.get();
    meetings_.push_back(std::move(population));
  }
  if (spec_.stop_when.any()) {
    meetings_.push_back(std::make_unique<ConvergenceCheck>(spec_, traces_));
  }
  next_.resize(meetings_.size());
}

void SampleJobImpl::PlanMeetings(int64_t done) {
  int64_t first = Meeting::kNever;
  bool needs_energies = false;
  for (size_t i = 0; i < meetings_.size(); ++i) {
    next_[i] = meetings_[i]->NextAfter(done);
    first = std::min(first, next_[i]);
  }
  for (size_t i = 0; i < meetings_.size(); ++i) {
    if (next_[i] == first && meetings_[i]->needs_energies()) {
      needs_energies = true;
    }
  }
  meeting_needs_energies_.store(needs_energies, std::memory_order_relaxed);
  meeting_at_.store(first, std::memory_order_release);
}

void SampleJobImpl::PostArrivals(int64_t going, int64_t ended, int64_t done) {
  const int64_t meeting = meeting_at_.load(std::memory_order_relaxed);
  bool all_seen_have_ended = false;
  {
    MutexLock lock(mu_);
    ended_rows_ += ended;
    if (done == meeting) arrived_ += going;
    all_seen_have_ended =
        static_cast<int64_t>(diverged_.size()) == rows_.chains;
    if (!all_seen_have_ended) {
      if (arrived_ == 0 || arrived_ + ended_rows_ < rows()) return;
      arrived_ = 0;
    }
  }
  // Replicas that are left would wait for ever for room in frames that nobody
  // fills.
  if (all_seen_have_ended) return run_queue_->Complete(*this);
  HoldMeeting(meeting);
}

void SampleJobImpl::HoldMeeting(int64_t done) {
  for (size_t i = 0; i < meetings_.size(); ++i) {
    if (next_[i] == done) meetings_[i]->Hold(done, rows_, settings_);
  }
  UpdateProgress();
  if (settings_.stop) {
    stopped_at_ = done;
    run_queue_->Complete(*this);
    return;
  }
  PlanMeetings(done);
  run_queue_->Resume(*this);
}

// Meetings move energies between rows, and look at the kept states.
void SampleJobImpl::UpdateProgress() {
  MutexLock lock(mu_);
  max_rhat_ = settings_.max_rhat;
  min_ess_ = settings_.min_ess;
  total_.energies = 0;
  total_.energy_sum = 0;
  for (int64_t row = 0; row < rows(); row += rows_.replicas) {
    if (!std::isfinite(rows_.energies[row])) continue;
    ++total_.energies;
    total_.energy_sum += rows_.energies[row];
  }
}

std::optional<Frame> SampleJobImpl::TakeFrame() {
  bool opened = false;
  std::optional<Frame> frame = frames_.Take(&opened);
  if (opened) run_queue_->Resume(*this);
  return frame;
}

SampleProgress SampleJobImpl::Progress() const {
  MutexLock lock(mu_);
  SampleProgress progress;
  progress.chain_steps_done = total_.chain_steps;
  progress.chain_steps_total = rows() * steps_per_row();
  progress.acceptance = Ratio(total_.accepts, total_.proposals);
  progress.mean_energy =
      total_.energies == 0
          ? kNaN
          : total_.energy_sum / static_cast<double>(total_.energies);
  progress.max_rhat = max_rhat_;
  progress.min_ess = min_ess_;
  return progress;
}

bool SampleJobImpl::Done() const {
  MutexLock lock(mu_);
  return done_;
}

SampleResult SampleJobImpl::TakeResult() {
  MutexLock lock(mu_);
  BASIN_CHECK(done_);
  return std::move(result_);
}

void SampleJobImpl::Cancel(absl::Status why) {
  run_queue_->Cancel(*this, std::move(why));
  Abandon();  // after it, which keeps `why`
}

int64_t SampleJobImpl::StepsAllowed(int64_t done) const {
  int64_t to_meeting = meeting_at_.load(std::memory_order_acquire) - done;
  if (path_.has_base() && path_.LevelAt(done) + 1 < path_.levels()) {
    // A quantum ends where a level does: see NeedsValues().
    to_meeting =
        std::min(to_meeting, path_.StartOf(path_.LevelAt(done) + 1) - done);
  }
  const int64_t open = frames_.open();
  if (open == frames_.frames()) {
    return std::min(to_meeting, steps_per_row() - done);
  }
  // Up to just before the state of the first frame that is not open.
  const int64_t first_closed = spec_.warmup + (open + 1) * spec_.keep_every;
  return std::min(to_meeting, first_closed - 1 - done);
}

const ChainCoefficients& SampleJobImpl::CoefficientsOf(int64_t row,
                                                       int64_t done) const {
  if (path_.levels() > 1) return level_coefficients_[path_.LevelAt(done)];
  return settings_.replicas[row % rows_.replicas].coefficients;
}

bool SampleJobImpl::NeedsEnergy(int64_t done) const {
  return GainsWeight(done) ||
         (meeting_needs_energies_.load(std::memory_order_relaxed) &&
          done == meeting_at_.load(std::memory_order_relaxed));
}

bool SampleJobImpl::GainsWeight(int64_t done) const {
  // Later ones of a population come with its meetings.
  return path_.GainsWeight(done) &&
         (done == 0 || population_ == nullptr || path_.has_base());
}

SampleJobImpl::Rows SampleJobImpl::RowsFrom(int64_t row) {
  Rows rows;
  const int64_t at = row * rows_.dimension;
  rows.states = rows_.states.data() + at;
  rows.energies = rows_.energies.data() + row;
  if (!rows_.grad_energies.empty()) {
    rows.grad_energies = rows_.grad_energies.data() + at;
  }
  if (!rows_.momenta.empty()) rows.momenta = rows_.momenta.data() + at;
  return rows;
}

int64_t SampleJobImpl::FrameAt(int64_t done) const {
  const int64_t step = done - spec_.warmup;
  if (step <= 0) return -1;
  if (spec_.keep_every == 0) return step == spec_.steps ? 0 : -1;
  return step % spec_.keep_every == 0 ? step / spec_.keep_every - 1 : -1;
}

int64_t SampleJobImpl::FramesUpTo(int64_t done) const {
  const int64_t step = done - spec_.warmup;
  if (step <= 0) return 0;
  if (spec_.keep_every == 0) return step == spec_.steps ? 1 : 0;
  return step / spec_.keep_every;
}

void SampleJobImpl::Keep(int64_t frame, int64_t row, double energy,
                         const float* state, const float* grad_energy) {
  if (!IsSeen(row)) return;
  const int64_t chain = ChainOf(row);
  const FrameRing::Rows to = frames_.rows(frame, chain);
  *to.energies = energy;
  if (to.states != nullptr) std::copy_n(state, rows_.dimension, to.states);
  if (to.grad_energies != nullptr) {
    std::copy_n(grad_energy, rows_.dimension, to.grad_energies);
  }
  traces_.Record(chain, frame, energy, state);
}

void SampleJobImpl::SetEnergy(int64_t row, double energy, ChainTally* tally) {
  double& known = rows_.energies[row];
  if (IsSeen(row) && std::isfinite(known)) {
    --tally->energies;
    tally->energy_sum -= known;
  }
  known = energy;
  if (IsSeen(row) && std::isfinite(known)) {
    ++tally->energies;
    tally->energy_sum += known;
  }
}

void SampleJobImpl::AddLogWeight(int64_t row, int64_t done, double energy) {
  rows_.log_weights[row] += path_.LogWeightGain(done, energy);
}

void SampleJobImpl::CountProposal(int64_t row, int64_t done, uint8_t accepted) {
  if (done <= spec_.warmup) return;
  ++rows_.kept_proposals[row];
  rows_.kept_accepts[row] += accepted;
}

void SampleJobImpl::AddAcceptance(int64_t row, double log_ratio) {
  ++rows_.proposals[row];
  // False for NaN, which is no acceptance.
  if (log_ratio >= 0) {
    rows_.acceptance_sum[row] += 1;
  } else if (log_ratio < 0) {
    rows_.acceptance_sum[row] += std::exp(log_ratio);
  }
}

void SampleJobImpl::Invalidate(int64_t row, ChainTally* tally) {
  SetEnergy(row, kNaN, tally);
  rows_.ended[row] = 1;
  if (!rows_.log_weights.empty()) {
    rows_.log_weights[row] = -std::numeric_limits<double>::infinity();
  }
  std::fill_n(rows_.states.data() + row * rows_.dimension, rows_.dimension,
              kNaN);
}

void SampleJobImpl::PostTally(const ChainTally& tally) {
  MutexLock lock(mu_);
  total_.chain_steps += tally.chain_steps;
  total_.proposals += tally.proposals;
  total_.accepts += tally.accepts;
  total_.energies += tally.energies;
  total_.energy_sum += tally.energy_sum;
}

void SampleJobImpl::PostFrames(int64_t chains, int64_t from, int64_t to) {
  const int64_t first = FramesUpTo(from);
  const int64_t last = FramesUpTo(to);
  if (first < last && chains > 0) frames_.Post(chains, first, last);
}

void SampleJobImpl::PostDivergence(int64_t row, int64_t from, int64_t to) {
  if (!IsSeen(row)) return;
  PostFrames(1, from, to);
  frames_.Drop(FramesUpTo(to));
  MutexLock lock(mu_);
  diverged_.push_back(ChainOf(row));
}

int64_t SampleJobImpl::UnseenSteps() const {
  const int64_t taken_step = frames_.last_taken_step();
  MutexLock lock(mu_);
  const int64_t seen =
      taken_step == 0 ? 0 : rows() * (spec_.warmup + taken_step);
  return std::max<int64_t>(0, total_.chain_steps - seen);
}

void SampleJobImpl::Finish(const JobEnd& end) {
  const bool early = !end.status.ok() || end.truncated || stopped_at_ >= 0;
  if (early) frames_.Close();
  MutexLock lock(mu_);
  std::sort(diverged_.begin(), diverged_.end());
  result_ = MakeResult(end);
  done_ = true;
}

SampleResult SampleJobImpl::MakeResult(const JobEnd& end) {
  SampleResult result;
  result.status = end.status;
  result.truncated = end.truncated;
  result.converged = stopped_at_ >= 0;
  result.steps = result.converged ? stopped_at_ - spec_.warmup : spec_.steps;
  result.target = transition_.Target(settings_.replicas[0].params,
                                     settings_.replicas[0].inverse_temperature);
  result.chain_steps = total_.chain_steps;
  result.num_diverged = static_cast<int64_t>(diverged_.size());
  result.diverged_chains = diverged_;
  if (diverged_.size() > kMaxNamedDivergences) {
    result.diverged_chains.resize(kMaxNamedDivergences);
  }
  result.traces = traces_.Take(frames_.completed(), diverged_);
  DescribeEnsemble(&result);
  result.acceptance = result.replicas[0].acceptance;
  result.path_acceptance = Ratio(total_.accepts, total_.proposals);
  result.mean_energy = result.replicas[0].mean_energy;
  DescribeResume(end, &result);
  result.last_states = std::move(rows_.states);
  result.queued = end.queued;
  result.running = end.running;
  return result;
}

void SampleJobImpl::DescribeEnsemble(SampleResult* result) const {
  result->transition = settings_.replicas[0].params;
  result->scale = settings_.scale;
  result->tuned = tunes_;
  const std::vector<double> swap_rates =
      swaps_ == nullptr ? std::vector<double>() : swaps_->SwapRates();
  for (int64_t k = 0; k < rows_.replicas; ++k) {
    SampleResult::Replica replica;
    replica.inverse_temperature = settings_.replicas[k].inverse_temperature;
    replica.step_size = settings_.replicas[k].params.step_size;
    int64_t accepts = 0;
    int64_t proposals = 0;
    for (int64_t row = k; row < rows(); row += rows_.replicas) {
      accepts += rows_.kept_accepts[row];
      proposals += rows_.kept_proposals[row];
    }
    replica.acceptance = Ratio(accepts, proposals);
    replica.mean_energy = MeanEnergy(k);
    const auto pair = static_cast<size_t>(k);
    replica.swap_rate = pair < swap_rates.size() ? swap_rates[pair] : kNaN;
    result->replicas.push_back(replica);
  }
  if (swaps_ != nullptr) result->round_trips = swaps_->round_trips();
}

void SampleJobImpl::DescribeResume(const JobEnd& end, SampleResult* result) {
  const bool whole = end.status.ok() && !end.truncated;
  if (whole && population_ != nullptr) {
    result->log_weights = population_->LogWeights(rows_);
    result->island_log_z = population_->LogZ(rows_);
  } else if (whole) {
    result->log_weights = rows_.log_weights;
  }
  const bool unharmed = std::none_of(rows_.ended.begin(), rows_.ended.end(),
                                     [](uint8_t ended) { return ended != 0; });
  if (!whole || !unharmed) return;
  ResumePoint& resume = result->resume;
  resume.steps = spec_.resume.steps + spec_.warmup + result->steps;
  resume.momenta = std::move(rows_.momenta);
  for (const ReplicaSettings& replica : settings_.replicas) {
    resume.step_sizes.push_back(replica.params.step_size);
    resume.inverse_temperatures.push_back(replica.inverse_temperature);
  }
  resume.log_weights = result->log_weights;
}

double SampleJobImpl::MeanEnergy(int64_t replica) const {
  // Summed anew in the order of the chains: the running sum's last bits
  // depend on how the workers took turns.
  double sum = 0;
  int64_t known = 0;
  for (int64_t row = replica; row < rows(); row += rows_.replicas) {
    if (!std::isfinite(rows_.energies[row])) continue;
    sum += rows_.energies[row];
    ++known;
  }
  return known == 0 ? kNaN : sum / static_cast<double>(known);
}

}  // namespace basin::internal
