// Calibration: raw scores of held-out texts → a logit whose logistic is a probability (Platt), and the threshold
// that a wanted share of benign texts stays under. Both are made of scores by models that had not seen a text's
// source, because scores of seen sources flatter.

export interface Scored {
  score: number;
  label: 0 | 1;
  weight: number;
}

export interface Platt {
  slope: number;
  offset: number;
}

/** Fits probability = 1 / (1 + exp(−(slope × score + offset))) by Newton's method, with Platt's smoothed targets. */
export function platt(scored: readonly Scored[]): Platt {
  let positives = 0;
  let negatives = 0;
  for (const { label, weight } of scored) {
    if (label) positives += weight;
    else negatives += weight;
  }
  const target = [1 / (negatives + 2), (positives + 1) / (positives + 2)];
  let slope = 1;
  let offset = 0;
  for (let step = 0; step < 50; step++) {
    let [ga, gb, haa, hab, hbb] = [0, 0, 1e-9, 0, 1e-9];
    for (const { score, label, weight } of scored) {
      const p = 1 / (1 + Math.exp(-(slope * score + offset)));
      const g = weight * (p - (target[label] as number));
      const h = weight * p * (1 - p);
      ga += g * score;
      gb += g;
      haa += h * score * score;
      hab += h * score;
      hbb += h;
    }
    const determinant = haa * hbb - hab * hab;
    if (determinant < 1e-12) break;
    const da = (hbb * ga - hab * gb) / determinant;
    const db = (haa * gb - hab * ga) / determinant;
    slope -= da;
    offset -= db;
    if (Math.abs(da) + Math.abs(db) < 1e-9) break;
  }
  return { slope, offset };
}

/** The lowest threshold that at most `rate` of the benign scores lie above. */
export function thresholdAt(benign: readonly number[], rate: number): number {
  const sorted = Float64Array.from(benign).sort().reverse();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * rate))] ?? 0;
}
