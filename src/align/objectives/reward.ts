// Losses that make a reward model's scores agree with people's comparisons.

import { ShapeError } from '../../engine/errors.ts';
import {
  add,
  cast,
  concat,
  constant,
  less,
  logSigmoid,
  logSoftmax,
  multiply,
  negate,
  reshape,
  slice,
  subtract,
  sum,
} from '../../engine/graph/build.ts';
import { describeType, type Tensor } from '../../engine/graph/tensor.ts';
import { requireAbove, requireSameShape } from './requirements.ts';

export interface ScoredPairs {
  /** Scores r of the chosen answers, [B], differentiated. */
  chosen: Tensor;
  /** [B], differentiated. */
  rejected: Tensor;
  /** m: by how much the chosen should win, from the strength of the preference; [B], constant. Default 0. */
  margin?: Tensor;
}

/**
 * −log σ(r_c − r_r − m) + c·(r_c + r_r)². Bradley and Terry 1952; Ouyang et al. 2022, Eq. 1 with K = 2
 * (arXiv:2203.02155); the margin after Touvron et al. 2023, Eq. 2 (arXiv:2307.09288); the centering term, which
 * holds scores near 0, after Eisenstein et al. 2023 (arXiv:2312.09244).
 * @param centering c ≥ 0; 0.01 is usual, 0 leaves the term out
 * @returns loss [B] (ln 2 for equal scores without margin or centering) and accuracy [B], 1 where r_c > r_r
 * @throws ShapeError unless all are [B]; UserError when c is not ≥ 0
 */
export function bradleyTerryLoss(
  { chosen, rejected, margin }: ScoredPairs,
  { centering = 0 }: { centering?: number } = {},
): { loss: Tensor; accuracy: Tensor } {
  requireAbove('Bradley–Terry loss: centering', centering, 0, { isIncluded: true });
  requireSameShape('Bradley–Terry loss', { chosen, rejected, ...(margin && { margin }) }, 1);
  const difference = subtract(chosen, rejected);
  const comparison = negate(logSigmoid(margin ? subtract(difference, margin) : difference));
  const total = add(chosen, rejected);
  const loss = centering === 0 ? comparison : add(comparison, multiply(multiply(total, total), centering));
  return { loss, accuracy: cast(less(rejected, chosen), 'float') };
}

/**
 * −1/C(K,2)·Σ log σ(r_w − r_l) over all pairs of a prompt's K ranked answers. Ouyang et al. 2022, Eq. 1
 * (arXiv:2203.02155). All pairs stand in one batch element: shuffled apart, they overfit in one epoch.
 * @param scores [B,K], best answer first, differentiated
 * @returns loss [B]
 * @throws ShapeError unless [B,K] with K ≥ 2
 */
export function kWiseLoss(scores: Tensor): Tensor {
  const [B, K] = requireRankings('K-wise loss', scores);
  const differences = subtract(reshape(scores, [B, K, 1]), reshape(scores, [B, 1, K]));
  const pairs = (K * (K - 1)) / 2;
  const weights = Array.from({ length: K * K }, (_, i) => (Math.floor(i / K) < i % K ? -1 / pairs : 0));
  const terms = multiply(logSigmoid(differences), constant(weights, [1, K, K]));
  return reshape(sum(terms, [1, 2]), [B]);
}

/**
 * Σ_k [log Σ_{j≥k} e^{r_j} − r_k]: the best answer is drawn first, then the best of the rest, and so on.
 * Plackett 1975; Luce 1959.
 * @param scores [B,K], best answer first, differentiated
 * @returns loss [B] (ln K! for equal scores)
 * @throws ShapeError unless [B,K] with K ≥ 2
 */
export function plackettLuceLoss(scores: Tensor): Tensor {
  const [B, K] = requireRankings('Plackett–Luce loss', scores);
  // The last answer is drawn from itself alone, at no cost.
  const terms = Array.from({ length: K - 1 }, (_, k) => slice(logSoftmax(slice(scores, 1, k, K)), 1, 0, 1));
  return reshape(negate(sum(concat(terms, 1), [1])), [B]);
}

function requireRankings(where: string, scores: Tensor): readonly number[] {
  if (scores.shape.length === 2 && scores.shape[1] >= 2) return scores.shape;
  throw new ShapeError({
    where,
    expected: 'scores [B,K] of K ≥ 2 ranked answers',
    found: describeType(scores),
  });
}
