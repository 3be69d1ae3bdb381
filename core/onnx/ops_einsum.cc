// Einsum: operands are contracted from left to right, each pair as one batched
// product of matrices.

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/ascii.h>
#include <absl/strings/str_split.h>

#include "core/base/status_macros.h"
#include "core/onnx/index_values.h"
#include "core/onnx/operators.h"

namespace basin::internal {
namespace {

// A letter, or -1, -2, ... for the axes of "...", counted from the last one.
using Label = int;
using Labels = std::vector<Label>;

bool Has(const Labels& labels, Label label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

// A value and the label of each of its axes.
struct Term {
  Value value;
  Labels labels;
};

absl::Status EquationError(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("equation: ", what));
}

// "...ij" for `rank` axes; `ellipsis` is how many of them "..." stands for.
absl::StatusOr<Labels> ReadLabels(absl::string_view text, int rank,
                                  int& ellipsis) {
  Labels labels;
  int letters = 0;
  for (const char c : text) letters += absl::ascii_isalpha(c) ? 1 : 0;
  ellipsis = std::max(rank - letters, 0);
  bool dotted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (absl::ascii_isalpha(text[i])) {
      labels.push_back(text[i]);
    } else if (!dotted && text.substr(i, 3) == "...") {
      dotted = true;
      for (int k = ellipsis; k > 0; --k) labels.push_back(-k);
      i += 2;
    } else {
      return EquationError(absl::StrCat("unexpected ", Quoted(text)));
    }
  }
  if (!dotted) ellipsis = 0;
  return labels;
}

// Without the repetition of a label: the diagonal of its two axes.
absl::StatusOr<Term> Diagonal(NodeContext& n, Term term, size_t i, size_t j) {
  const Shape shape = n.ShapeOf(term.value);
  const int64_t size = shape.dims()[i];
  if (shape.dims()[j] != size) {
    return EquationError(absl::StrCat("a repeated label has ", size, " and ",
                                      shape.dims()[j], " elements"));
  }
  BASIN_RETURN_IF_ERROR(n.CheckGenerated(size));
  std::vector<int64_t> places(static_cast<size_t>(size));
  std::iota(places.begin(), places.end(), 0);
  const Value list = Tensor::Of<int64_t>(Shape({size}), places);
  Shape::Dims row(shape.dims().size(), 1);
  Shape::Dims column = row;
  row[i] = size;
  column[j] = size;
  const Value same =
      n.Binary(ScalarOp::kEqual, n.Reshape(list, row), n.Reshape(list, column));
  const Value kept = n.Select(same, term.value, n.NumberLike(term.value, 0));
  Shape::Dims dims = shape.dims();
  dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(j));
  term.value = n.Reshape(n.ReduceSum(kept, {static_cast<int64_t>(j)}), dims);
  term.labels.erase(term.labels.begin() + static_cast<std::ptrdiff_t>(j));
  return term;
}

absl::StatusOr<Term> WithoutRepetition(NodeContext& n, Term term) {
  for (size_t i = 0; i < term.labels.size(); ++i) {
    for (size_t j = term.labels.size() - 1; j > i; --j) {
      if (term.labels[i] != term.labels[j]) continue;
      BASIN_ASSIGN_OR_RETURN(term, Diagonal(n, std::move(term), i, j));
    }
  }
  return term;
}

// Sums over the axes that `keeps` refuses.
template <typename Predicate>
Term Summed(NodeContext& n, const Term& term, Predicate keeps) {
  IntList axes;
  Labels labels;
  Shape::Dims dims;
  for (size_t i = 0; i < term.labels.size(); ++i) {
    if (keeps(term.labels[i])) {
      labels.push_back(term.labels[i]);
      dims.push_back(n.ShapeOf(term.value).dim(static_cast<int>(i)));
    } else {
      axes.push_back(static_cast<int64_t>(i));
    }
  }
  if (axes.empty()) return term;
  return {n.Reshape(n.ReduceSum(term.value, axes), dims), labels};
}

Value Ordered(NodeContext& n, const Term& term, const Labels& order) {
  IntList permutation;
  for (const Label label : order) {
    permutation.push_back(
        std::find(term.labels.begin(), term.labels.end(), label) -
        term.labels.begin());
  }
  if (std::is_sorted(permutation.begin(), permutation.end())) {
    return term.value;
  }
  return n.Transpose(term.value, permutation);
}

using Sizes = std::map<Label, int64_t>;

Shape::Dims SizesOf(const Labels& labels, const Sizes& sizes) {
  Shape::Dims dims;
  for (const Label label : labels) dims.push_back(sizes.at(label));
  return dims;
}

Labels Joined(Labels a, const Labels& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// The product of two terms, summed over the labels that nothing else has.
absl::StatusOr<Term> Contracted(NodeContext& n, Term a, Term b,
                                const Labels& kept, const Sizes& sizes) {
  a = Summed(n, a, [&](Label l) { return Has(kept, l) || Has(b.labels, l); });
  b = Summed(n, b, [&](Label l) { return Has(kept, l) || Has(a.labels, l); });
  Labels batch;
  Labels inner;
  Labels left;
  Labels right;
  for (const Label label : a.labels) {
    if (!Has(b.labels, label)) {
      left.push_back(label);
    } else {
      (Has(kept, label) ? batch : inner).push_back(label);
    }
  }
  for (const Label label : b.labels) {
    if (!Has(a.labels, label)) right.push_back(label);
  }
  BASIN_ASSIGN_OR_RETURN(const int64_t batches, CountOf(SizesOf(batch, sizes)));
  BASIN_ASSIGN_OR_RETURN(const int64_t depth, CountOf(SizesOf(inner, sizes)));
  BASIN_ASSIGN_OR_RETURN(const int64_t rows, CountOf(SizesOf(left, sizes)));
  BASIN_ASSIGN_OR_RETURN(const int64_t columns, CountOf(SizesOf(right, sizes)));
  Shape::Dims left_dims = {batches, rows, depth};
  Shape::Dims right_dims = {batches, depth, columns};
  if (batch.empty()) {  // one product of matrices, so that weights stay packed
    left_dims.erase(left_dims.begin());
    right_dims.erase(right_dims.begin());
  }
  const Value x =
      n.Reshape(Ordered(n, a, Joined(Joined(batch, left), inner)), left_dims);
  const Value y =
      n.Reshape(Ordered(n, b, Joined(Joined(batch, inner), right)), right_dims);
  const Value product(n.builder().Matmul(n.InGraph(x), n.InGraph(y)),
                      a.value.exists() ? a.value.dtype() : DType::kFloat32);
  const Labels labels = Joined(Joined(batch, left), right);
  return Term{n.Reshape(product, SizesOf(labels, sizes)), labels};
}

// Labels that occur once, in alphabetical order, after those of "...".
Labels ImplicitOutput(const std::vector<Term>& terms) {
  std::map<Label, int> counts;
  for (const Term& term : terms) {
    for (const Label label : term.labels) ++counts[label];
  }
  Labels labels;
  for (const auto& [label, count] : counts) {
    if (label < 0 || count == 1) labels.push_back(label);
  }
  return labels;
}

// Terms stretched so that each label has one size.
absl::StatusOr<Sizes> UnifySizes(NodeContext& n, std::vector<Term>& terms) {
  Sizes sizes;
  for (const Term& term : terms) {
    for (size_t i = 0; i < term.labels.size(); ++i) {
      const int64_t size = n.ShapeOf(term.value).dims()[i];
      int64_t& known = sizes.try_emplace(term.labels[i], size).first->second;
      if (known == 1) known = size;
      if (size == 1 || size == known) continue;
      return EquationError(
          absl::StrCat("a label has ", known, " and ", size, " elements"));
    }
  }
  for (Term& term : terms) {
    BASIN_ASSIGN_OR_RETURN(const Shape shape,
                           Shape::Create(SizesOf(term.labels, sizes)));
    term.value = n.BroadcastTo(term.value, shape);
  }
  return sizes;
}

struct Equation {
  std::vector<Term> terms;
  Labels output;
};

absl::StatusOr<Equation> ReadEquation(NodeContext& n) {
  std::string text = n.String("equation", "");
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  const size_t arrow = text.find("->");
  const std::vector<std::string> parts =
      absl::StrSplit(text.substr(0, arrow), ',');
  if (static_cast<int>(parts.size()) != n.num_inputs()) {
    return EquationError(absl::StrCat(parts.size(), " operands for ",
                                      n.num_inputs(), " inputs"));
  }
  Equation equation;
  int most = 0;
  for (int i = 0; i < n.num_inputs(); ++i) {
    Term term;
    BASIN_ASSIGN_OR_RETURN(term.value, n.Input(i));
    const Shape shape = n.ShapeOf(term.value);
    int ellipsis = 0;
    BASIN_ASSIGN_OR_RETURN(
        term.labels,
        ReadLabels(parts[static_cast<size_t>(i)], shape.rank(), ellipsis));
    if (static_cast<int>(term.labels.size()) != shape.rank()) {
      return EquationError(absl::StrCat(Quoted(parts[static_cast<size_t>(i)]),
                                        " for an input of shape ",
                                        shape.ToString()));
    }
    most = std::max(most, ellipsis);
    BASIN_ASSIGN_OR_RETURN(term, WithoutRepetition(n, std::move(term)));
    equation.terms.push_back(std::move(term));
  }
  if (arrow == std::string::npos) {
    equation.output = ImplicitOutput(equation.terms);
    return equation;
  }
  const std::string output = text.substr(arrow + 2);
  const auto letters = static_cast<int>(
      std::count_if(output.begin(), output.end(), absl::ascii_isalpha));
  int ellipsis = 0;
  BASIN_ASSIGN_OR_RETURN(equation.output,
                         ReadLabels(output, letters + most, ellipsis));
  return equation;
}

absl::StatusOr<Value> LowerEinsum(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 64));
  BASIN_ASSIGN_OR_RETURN(Equation equation, ReadEquation(n));
  BASIN_ASSIGN_OR_RETURN(const Sizes sizes, UnifySizes(n, equation.terms));
  for (const Label label : equation.output) {
    const auto count =
        std::count(equation.output.begin(), equation.output.end(), label);
    if (count == 1 && sizes.contains(label)) continue;
    return EquationError("its output has a label twice or that no input has");
  }
  Term result = equation.terms[0];
  for (size_t i = 1; i < equation.terms.size(); ++i) {
    Labels kept = equation.output;
    for (size_t j = i + 1; j < equation.terms.size(); ++j) {
      kept = Joined(std::move(kept), equation.terms[j].labels);
    }
    BASIN_ASSIGN_OR_RETURN(result, Contracted(n, std::move(result),
                                              equation.terms[i], kept, sizes));
  }
  result = Summed(n, result, [&](Label l) { return Has(equation.output, l); });
  return Ordered(n, result, equation.output);
}

constexpr Operator kOperators[] = {
    {"Einsum", 12, LowerEinsum},
};

}  // namespace

absl::Span<const Operator> EinsumOperators() { return kOperators; }

}  // namespace basin::internal
