#include "core/scheduler/sample_quantum.h"

#include <algorithm>
#include <cmath>

#include "core/base/status_macros.h"
#include "core/scheduler/counted_energy.h"

namespace basin::internal {

absl::Status SampleQuantum::Run(const Functions& functions, TileMemory& memory,
                                Work* work,
                                SchedulerObserver::Quantum* quantum) {
  Prepare(memory, work);
  quantum->transition = transition_->name();
  CountedEnergy counted(*functions.energy, functions.surrogate,
                        functions.interrupt);
  EnergyFunction* energy = &counted;
  if (work->key.has_base) {
    BASIN_RETURN_IF_ERROR(
        path_.Bind(memory.backend(), memory.tile(), memory.capacity(), counted,
                   functions.base,
                   SeparableLawOf(work->models.model->info().initial)
                       .value_or(TileOps::SeparableLaw{})));
    energy = &path_;
  }
  Gather();
  SetCoefficients(0);
  BASIN_RETURN_IF_ERROR(FirstValues(*energy));
  UploadCarried();
  for (int64_t step = 0; step < steps_; ++step) {
    Weigh(step);
    if (step > 0) SetCoefficients(step);
    BASIN_RETURN_IF_ERROR(Advance(*energy, step));
    BASIN_RETURN_IF_ERROR(KeepStates(*energy, step));
  }
  Scatter(work);
  quantum->row_evaluations += counted.row_evaluations();
  for (const Group& group : groups_) {
    quantum->chain_steps += group.tally.chain_steps;
    quantum->proposals += group.tally.proposals;
    quantum->accepts += group.tally.accepts;
  }
  quantum->divergences +=
      work->rows - std::count(ended_at_.begin(), ended_at_.end(), kAlive);
  return absl::OkStatus();
}

void SampleQuantum::Prepare(TileMemory& memory, Work* work) {
  memory_ = &memory;
  transition_ = work->key.transition;
  dimension_ = work->models.model->info().dimension;
  steps_ = work->steps;
  groups_.clear();
  for (const Segment& segment : work->segments) {
    groups_.push_back({static_cast<SampleJobImpl*>(segment.job), segment.range,
                       segment.row, ChainTally{}});
  }
  ended_at_.assign(work->rows, kAlive);
}

ChainTileBuffer::Parts SampleQuantum::PartsOf(const Work& work) {
  ChainTileBuffer::Parts parts;
  parts.momentum = work.key.transition->uses_momentum();
  for (const Segment& segment : work.segments) {
    const auto& job = *static_cast<const SampleJobImpl*>(segment.job);
    parts.scale |= !job.scale().empty();
    parts.factor |= job.covariance_factor() != nullptr;
    parts.box_per_coordinate |= !job.box_lower().empty();
  }
  return parts;
}

void SampleQuantum::Gather() {
  TileMemory::Host& host = memory_->host();
  const Backend& backend = memory_->backend();
  const ChainTile& tile = memory_->tile();
  for (const Group& group : groups_) {
    const SampleJobImpl::Rows from = group.job->RowsFrom(group.range.begin);
    const int64_t at = group.row * dimension_;
    const size_t bytes = group.range.rows() * dimension_ * sizeof(float);
    backend.CopyToDevice(tile.position + at, from.states, bytes);
    if (from.momenta != nullptr) {
      backend.CopyToDevice(tile.momentum + at, from.momenta, bytes);
    }
    for (int row = group.row; row < group.last_row(); ++row) {
      host.seed[row] = group.job->seed();
      host.chain[row] = group.range.begin + (row - group.row);
      host.step[row] = group.job->first_step() + group.range.done;
      FillLimits(group, row);
    }
  }
  memory_->Upload(tile.seed, host.seed);
  memory_->Upload(tile.chain, host.chain);
  memory_->Upload(tile.step, host.step);
  memory_->Upload(tile.lower, host.lower);
  memory_->Upload(tile.upper, host.upper);
  if (tile.scale != nullptr) memory_->Upload(tile.scale, host.scale);
  if (tile.factor != nullptr) {
    memory_->Upload(const_cast<const float**>(tile.factor), host.factor);
  }
}

// Box, scale and covariance of a row.
void SampleQuantum::FillLimits(const Group& group, int row) {
  TileMemory::Host& host = memory_->host();
  const ChainTile& tile = memory_->tile();
  const auto fill = [row](int64_t width, const std::vector<float>& each,
                          float all, std::vector<float>& to) {
    const auto at = to.begin() + row * width;
    if (each.empty()) {
      std::fill_n(at, width, all);
    } else {
      std::copy(each.begin(), each.end(), at);
    }
  };
  const SampleJobImpl& job = *group.job;
  fill(tile.box_columns, job.box_lower(), job.box().lower, host.lower);
  fill(tile.box_columns, job.box_upper(), job.box().upper, host.upper);
  if (tile.scale != nullptr) fill(dimension_, job.scale(), 1, host.scale);
  if (tile.factor != nullptr) host.factor[row] = job.covariance_factor();
}

void SampleQuantum::SetCoefficients(int64_t step) {
  TileMemory::Host& host = memory_->host();
  bool changed = step == 0;
  for (const Group& group : groups_) {
    const int64_t done = group.range.done + step;
    if (step > 0 && !group.job->ChangesCoefficients(done)) continue;
    changed = true;
    for (int row = group.row; row < group.last_row(); ++row) {
      host.coefficients[row] = group.job->CoefficientsOf(
          group.range.begin + (row - group.row), done);
    }
  }
  if (changed) memory_->Upload(memory_->tile().coefficients, host.coefficients);
}

// Chains that enter a level of an annealing path gain weight.
void SampleQuantum::Weigh(int64_t step) {
  for (Group& group : groups_) {
    const int64_t done = group.range.done + step;
    if (!group.job->GainsWeight(done)) continue;
    const std::vector<double> energies = EnergiesToWeigh(group);
    for (int row = group.row; row < group.last_row(); ++row) {
      if (ended_at_[row] != kAlive) continue;
      const int i = row - group.row;
      group.job->AddLogWeight(group.range.begin + i, done, energies[i]);
    }
  }
}

// Of the chains of a group, how far above the base's where there is one.
std::vector<double> SampleQuantum::EnergiesToWeigh(const Group& group) {
  const Backend& backend = memory_->backend();
  const size_t chains = group.range.rows();
  const size_t bytes = chains * sizeof(double);
  std::vector<double> energies(chains);
  if (group.job->has_base()) {
    std::vector<double> base(chains);
    backend.CopyToHost(energies.data(), path_.end_energy() + group.row, bytes);
    backend.CopyToHost(base.data(), path_.base_energy() + group.row, bytes);
    for (size_t i = 0; i < chains; ++i) {
      energies[i] = group.job->AboveBase(energies[i], base[i]);
    }
  } else if (carries_values()) {
    backend.CopyToHost(energies.data(), memory_->tile().energy + group.row,
                       bytes);
  } else {
    std::copy_n(group.job->RowsFrom(group.range.begin).energies, chains,
                energies.begin());
  }
  return energies;
}

absl::Status SampleQuantum::FirstValues(EnergyFunction& energy) {
  const auto is_new = [](const Group& group) {
    return group.job->NeedsValues(group.range.done);
  };
  if (std::none_of(groups_.begin(), groups_.end(), is_new)) {
    return absl::OkStatus();
  }
  if (!carries_values()) return FirstEnergies(energy);
  // Of all rows: those that are not new get their carried values back after.
  const ChainTile& tile = memory_->tile();
  if (transition_->carried() == Carried::kEnergy) {
    BASIN_RETURN_IF_ERROR(energy.Energy(tile.rows, tile.position, tile.energy));
  } else {
    BASIN_RETURN_IF_ERROR(energy.DecidingEnergyAndGradient(
        tile.rows, tile.position, tile.energy, tile.grad_energy));
  }
  const auto end_new_ones = [&] {
    for (const Group& group : groups_) {
      if (is_new(group)) EndIfNotFinite(group, group.range.done);
    }
  };
  FindFinite(tile.position, tile.energy);
  end_new_ones();
  if (transition_->carried() == Carried::kEnergyAndGradient) {
    // Or MALA would propose nothing possible, and stand still for ever.
    FindFinite(tile.grad_energy, nullptr);
    end_new_ones();
  }
  return absl::OkStatus();
}

// Energies of new chains that weigh them, under transitions that carry none.
absl::Status SampleQuantum::FirstEnergies(EnergyFunction& energy) {
  const auto is_due = [](const Group& group) {
    return group.range.done == 0 && group.job->NeedsEnergy(0);
  };
  if (std::none_of(groups_.begin(), groups_.end(), is_due)) {
    return absl::OkStatus();
  }
  Values values;
  BASIN_RETURN_IF_ERROR(Evaluate(energy, /*gradients=*/false, &values));
  for (Group& group : groups_) {
    if (is_due(group)) Store(group, 0, values);
  }
  return absl::OkStatus();
}

void SampleQuantum::UploadCarried() {
  if (!carries_values()) return;
  const Backend& backend = memory_->backend();
  const ChainTile& tile = memory_->tile();
  for (const Group& group : groups_) {
    if (group.job->NeedsValues(group.range.done)) continue;
    const SampleJobImpl::Rows rows = group.job->RowsFrom(group.range.begin);
    const size_t chains = group.range.rows();
    backend.CopyToDevice(tile.energy + group.row, rows.energies,
                         chains * sizeof(double));
    if (rows.grad_energies == nullptr) continue;
    backend.CopyToDevice(tile.grad_energy + group.row * dimension_,
                         rows.grad_energies,
                         chains * dimension_ * sizeof(float));
  }
}

absl::Status SampleQuantum::Advance(EnergyFunction& energy, int64_t step) {
  ChainTile& tile = memory_->tile();
  BASIN_RETURN_IF_ERROR(
      transition_->Step(energy, memory_->backend().tile_ops(), tile));
  std::vector<uint64_t>& steps = memory_->host().step;
  for (uint64_t& done : steps) ++done;
  memory_->Upload(tile.step, steps);
  const bool proposes = transition_->has_acceptance();
  if (proposes) DownloadFlags(tile.accepted);
  for (Group& group : groups_) {
    const int64_t done = group.range.done + step + 1;
    for (int row = group.row; row < group.last_row(); ++row) {
      if (ended_at_[row] == kAlive) ++group.tally.chain_steps;
    }
    if (!proposes) continue;
    CountProposals(group, done);
    if (group.job->CountsAcceptance(done)) AddAcceptance(group);
  }
  FindFinite(tile.position, carries_values() ? tile.energy : nullptr);
  for (const Group& group : groups_) {
    EndIfNotFinite(group, group.range.done + step + 1);
  }
  return absl::OkStatus();
}

void SampleQuantum::CountProposals(Group& group, int64_t done) {
  const std::vector<uint8_t>& accepted = memory_->host().flags;
  for (int row = group.row; row < group.last_row(); ++row) {
    if (ended_at_[row] != kAlive) continue;
    ++group.tally.proposals;
    group.tally.accepts += accepted[row];
    group.job->CountProposal(group.range.begin + (row - group.row), done,
                             accepted[row]);
  }
}

void SampleQuantum::AddAcceptance(const Group& group) {
  std::vector<double>& log_ratio = memory_->host().log_ratio;
  memory_->backend().CopyToHost(log_ratio.data() + group.row,
                                memory_->tile().log_ratio + group.row,
                                group.range.rows() * sizeof(double));
  for (int row = group.row; row < group.last_row(); ++row) {
    if (ended_at_[row] != kAlive) continue;
    group.job->AddAcceptance(group.range.begin + (row - group.row),
                             log_ratio[row]);
  }
}

void SampleQuantum::DownloadFlags(const uint8_t* from) {
  memory_->backend().CopyToHost(memory_->host().flags.data(), from,
                                memory_->tile().rows);
}

void SampleQuantum::FindFinite(const float* x, const double* energies) {
  memory_->backend().tile_ops().FindFinite(memory_->tile(), x, energies,
                                           memory_->finite());
  DownloadFlags(memory_->finite());
}

void SampleQuantum::EndIfNotFinite(const Group& group, int64_t done) {
  const std::vector<uint8_t>& finite = memory_->host().flags;
  for (int row = group.row; row < group.last_row(); ++row) {
    if (finite[row] == 0 && ended_at_[row] == kAlive) ended_at_[row] = done;
  }
}

bool SampleQuantum::IsDue(const Group& group, int64_t step) const {
  const int64_t done = group.range.done + step + 1;
  return group.job->FrameAt(done) >= 0 ||
         (!carries_values() &&
          (done == group.job->steps_per_row() || group.job->NeedsEnergy(done)));
}

absl::Status SampleQuantum::KeepStates(EnergyFunction& energy, int64_t step) {
  // Apart, because a model's energies may differ in their last bits with and
  // without gradient: a job's must not depend on what its neighbours want.
  for (const bool gradients : {false, true}) {
    const auto is_due = [&](const Group& group) {
      return group.job->wants_gradients() == gradients && IsDue(group, step);
    };
    if (std::none_of(groups_.begin(), groups_.end(), is_due)) continue;
    Values values;
    BASIN_RETURN_IF_ERROR(Evaluate(energy, gradients, &values));
    for (Group& group : groups_) {
      if (is_due(group)) Store(group, group.range.done + step + 1, values);
    }
  }
  return absl::OkStatus();
}

absl::Status SampleQuantum::Evaluate(EnergyFunction& energy, bool gradients,
                                     Values* values) {
  const ChainTile& tile = memory_->tile();
  const Carried carried = transition_->carried();
  *values = {tile.energy, tile.grad_energy};
  if (carried == Carried::kEnergyAndGradient ||
      (carried == Carried::kEnergy && !gradients)) {
    return absl::OkStatus();
  }
  // Into the transition's scratch: what other chains carry stays as it is.
  if (gradients) {
    values->grad_energies = tile.proposal_grad_energy;
    BASIN_RETURN_IF_ERROR(energy.DecidingEnergyAndGradient(
        tile.rows, tile.position, tile.proposal_energy,
        tile.proposal_grad_energy));
  } else {
    BASIN_RETURN_IF_ERROR(
        energy.Energy(tile.rows, tile.position, tile.proposal_energy));
  }
  if (carried == Carried::kNothing) {
    values->energies = tile.proposal_energy;
    FindFinite(tile.position, values->energies);
  }
  return absl::OkStatus();
}

void SampleQuantum::Store(Group& group, int64_t done, const Values& values) {
  if (!carries_values()) EndIfNotFinite(group, done);
  const Backend& backend = memory_->backend();
  TileMemory::Host& host = memory_->host();
  const int64_t at = group.row * dimension_;
  const size_t chains = group.range.rows();
  const size_t state_bytes = chains * dimension_ * sizeof(float);
  backend.CopyToHost(host.energies.data() + group.row,
                     values.energies + group.row, chains * sizeof(double));
  const int64_t frame = group.job->FrameAt(done);
  if (frame >= 0) {
    backend.CopyToHost(host.states.data() + at, memory_->tile().position + at,
                       state_bytes);
    if (group.job->wants_gradients()) {
      backend.CopyToHost(host.grad_energies.data() + at,
                         values.grad_energies + at, state_bytes);
    }
  }
  for (int row = group.row; row < group.last_row(); ++row) {
    if (ended_at_[row] != kAlive) continue;
    const int64_t chain = group.range.begin + (row - group.row);
    const double energy = host.energies[row];
    if (frame >= 0) {
      group.job->Keep(frame, chain, energy,
                      host.states.data() + row * dimension_,
                      host.grad_energies.data() + row * dimension_);
    }
    if (!carries_values()) {
      group.job->SetEnergy(chain, energy, &group.tally);
    }
  }
}

void SampleQuantum::Scatter(Work* work) {
  for (Group& group : groups_) {
    ScatterGroup(group, work);
    Report(group, work);
  }
}

void SampleQuantum::ScatterGroup(Group& group, Work* work) {
  const Backend& backend = memory_->backend();
  const ChainTile& tile = memory_->tile();
  const SampleJobImpl::Rows to = group.job->RowsFrom(group.range.begin);
  const int64_t at = group.row * dimension_;
  const size_t chains = group.range.rows();
  const size_t state_bytes = chains * dimension_ * sizeof(float);
  backend.CopyToHost(to.states, tile.position + at, state_bytes);
  if (to.grad_energies != nullptr) {
    backend.CopyToHost(to.grad_energies, tile.grad_energy + at, state_bytes);
  }
  if (to.momenta != nullptr) {
    backend.CopyToHost(to.momenta, tile.momentum + at, state_bytes);
  }
  std::vector<double>& energies = memory_->host().energies;
  if (carries_values()) {
    backend.CopyToHost(energies.data() + group.row, tile.energy + group.row,
                       chains * sizeof(double));
  }
  const int64_t done = group.range.done + steps_;
  RowRange run = {group.range.entry, group.range.begin, group.range.begin,
                  done};
  const auto end_run = [&] {
    if (run.rows() > 0 && done < group.job->steps_per_row()) {
      work->remaining.push_back(run);
    }
    run.begin = run.end + 1;
  };
  for (int row = group.row; row < group.last_row(); ++row) {
    const int64_t chain = group.range.begin + (row - group.row);
    run.end = chain;
    if (ended_at_[row] != kAlive) {
      group.job->Invalidate(chain, &group.tally);
      end_run();
    } else if (carries_values()) {
      group.job->SetEnergy(chain, energies[row], &group.tally);
    }
  }
  run.end = group.range.end;
  end_run();
}

void SampleQuantum::Report(Group& group, Work* work) {
  const int64_t from = group.range.done;
  const int64_t to = from + work->steps;
  int64_t alive = 0;
  int64_t alive_seen = 0;
  for (int row = group.row; row < group.last_row(); ++row) {
    const int64_t of_job = group.range.begin + (row - group.row);
    const int64_t ended = ended_at_[row];
    if (ended == kAlive) {
      ++alive;
      if (group.job->IsSeen(of_job)) ++alive_seen;
      continue;
    }
    // The state after `ended` transitions was the first that was not finite.
    group.job->PostDivergence(of_job, from, std::max<int64_t>(0, ended - 1));
  }
  group.job->PostFrames(alive_seen, from, to);
  group.job->PostTally(group.tally);
  group.job->PostArrivals(alive, group.range.rows() - alive, to);
}

}  // namespace basin::internal
