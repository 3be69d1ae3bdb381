#include "core/scheduler/sample_job.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/base/check.h"
#include "core/scheduler/run_queue.h"

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

bool CarriesGradient(const Transition& transition) {
  return transition.carried() == Carried::kEnergyAndGradient;
}

double Ratio(int64_t part, int64_t whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN()
                    : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

int64_t SampleJobImpl::HeldBytes(const SampleSpec& spec, int64_t dimension) {
  const int64_t row_bytes = dimension * int64_t{sizeof(float)};
  int64_t rows = spec.chains * (row_bytes + int64_t{sizeof(double)});
  if (CarriesGradient(GetTransition(spec.transition.kind))) {
    rows += spec.chains * row_bytes;
  }
  const FrameRing::Options ring = RingOptions(spec, dimension);
  return rows + FrameRing::Capacity(ring) * FrameRing::FrameBytes(ring) +
         TraceRecorder::Bytes(spec.chains, FrameCount(spec), dimension) +
         static_cast<int64_t>(spec.context.size() * sizeof(float)) +
         int64_t{sizeof(SampleJobImpl)};
}

SampleJobImpl::SampleJobImpl(SampleSpec spec,
                             const ChainCoefficients& coefficients,
                             std::shared_ptr<RunQueue> run_queue)
    : RowJob(spec.options, spec.chains, spec.warmup + spec.steps,
             std::move(spec.context)),
      spec_(std::move(spec)),
      dimension_(spec_.model->info().dimension),
      transition_(GetTransition(spec_.transition.kind)),
      coefficients_(coefficients),
      run_queue_(std::move(run_queue)),
      held_bytes_(HeldBytes(spec_, dimension_)),
      states_(std::move(spec_.initial)),
      energies_(spec_.chains, kNaN),
      grad_energies_(CarriesGradient(transition_) ? states_.size() : 0),
      traces_(spec_.chains, FrameCount(spec_), dimension_),
      frames_(RingOptions(spec_, dimension_)) {
  // The run queue holds the model while the job runs; a result that nobody
  // fetches must not keep it loaded.
  spec_.model.reset();
}

SampleJobImpl::~SampleJobImpl() { run_queue_->ReleaseBytes(held_bytes_); }

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
          ? std::numeric_limits<double>::quiet_NaN()
          : total_.energy_sum / static_cast<double>(total_.energies);
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
}

int64_t SampleJobImpl::StepsAllowed(int64_t done) const {
  const int64_t open = frames_.open();
  if (open == frames_.frames()) return steps_per_row() - done;
  // Up to just before the state of the first frame that is not open.
  const int64_t first_closed = spec_.warmup + (open + 1) * spec_.keep_every;
  return first_closed - 1 - done;
}

FrameRing::Rows SampleJobImpl::RowsFrom(int64_t chain) {
  FrameRing::Rows rows;
  rows.states = states_.data() + chain * dimension_;
  rows.energies = energies_.data() + chain;
  if (!grad_energies_.empty()) {
    rows.grad_energies = grad_energies_.data() + chain * dimension_;
  }
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

void SampleJobImpl::Keep(int64_t frame, int64_t chain, double energy,
                         const float* state, const float* grad_energy) {
  const FrameRing::Rows to = frames_.rows(frame, chain);
  *to.energies = energy;
  if (to.states != nullptr) std::copy_n(state, dimension_, to.states);
  if (to.grad_energies != nullptr) {
    std::copy_n(grad_energy, dimension_, to.grad_energies);
  }
  traces_.Record(chain, frame, energy, state);
}

void SampleJobImpl::SetEnergy(int64_t chain, double energy, ChainTally* tally) {
  double& known = energies_[chain];
  if (std::isfinite(known)) {
    --tally->energies;
    tally->energy_sum -= known;
  }
  known = energy;
  if (std::isfinite(known)) {
    ++tally->energies;
    tally->energy_sum += known;
  }
}

void SampleJobImpl::Invalidate(int64_t chain, ChainTally* tally) {
  SetEnergy(chain, kNaN, tally);
  std::fill_n(states_.data() + chain * dimension_, dimension_, kNaN);
}

void SampleJobImpl::PostTally(const ChainTally& tally) {
  MutexLock lock(mu_);
  total_.chain_steps += tally.chain_steps;
  total_.proposals += tally.proposals;
  total_.accepts += tally.accepts;
  total_.kept_proposals += tally.kept_proposals;
  total_.kept_accepts += tally.kept_accepts;
  total_.energies += tally.energies;
  total_.energy_sum += tally.energy_sum;
}

void SampleJobImpl::PostFrames(int64_t chains, int64_t from, int64_t to) {
  const int64_t first = FramesUpTo(from);
  const int64_t last = FramesUpTo(to);
  if (first < last) frames_.Post(chains, first, last);
}

void SampleJobImpl::PostDivergence(int64_t chain, int64_t from, int64_t to) {
  PostFrames(1, from, to);
  frames_.Drop(FramesUpTo(to));
  MutexLock lock(mu_);
  diverged_.push_back(chain);
}

int64_t SampleJobImpl::UnseenSteps() const {
  const int64_t taken_step = frames_.last_taken_step();
  MutexLock lock(mu_);
  const int64_t seen =
      taken_step == 0 ? 0 : rows() * (spec_.warmup + taken_step);
  return std::max<int64_t>(0, total_.chain_steps - seen);
}

void SampleJobImpl::Finish(const JobEnd& end) {
  const bool early = !end.status.ok() || end.truncated;
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
  result.target =
      transition_.Target(spec_.transition, spec_.inverse_temperature);
  result.chain_steps = total_.chain_steps;
  result.acceptance = Ratio(total_.kept_accepts, total_.kept_proposals);
  result.mean_energy = MeanEnergy();
  result.num_diverged = static_cast<int64_t>(diverged_.size());
  result.diverged_chains = diverged_;
  if (diverged_.size() > kMaxNamedDivergences) {
    result.diverged_chains.resize(kMaxNamedDivergences);
  }
  result.traces = traces_.Take(frames_.completed(), diverged_);
  result.last_states = std::move(states_);
  result.queued = end.queued;
  result.running = end.running;
  return result;
}

double SampleJobImpl::MeanEnergy() const {
  // Summed anew in the order of the chains: the running sum's last bits
  // depend on how the workers took turns.
  double sum = 0;
  int64_t known = 0;
  for (const double energy : energies_) {
    if (!std::isfinite(energy)) continue;
    sum += energy;
    ++known;
  }
  return known == 0 ? std::numeric_limits<double>::quiet_NaN()
                    : sum / static_cast<double>(known);
}

}  // namespace basin::internal
