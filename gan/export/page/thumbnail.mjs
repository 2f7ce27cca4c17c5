// The thumbnail of an image that some translators need: bilinear with antialiasing, as PyTorch resizes uint8 images.
// PyTorch computes with 16-bit weights, first along rows and then along columns, and rounds after each.

// Return, for each pixel of the smaller side, the first pixel of the larger side and its weights as integers.
function weightsOf(from, to) {
  const scale = from / to, support = Math.max(1, scale), found = [];
  let largest = 0;
  for (let n = 0; n < to; n++) {
    const center = scale * (n + 0.5);
    const first = Math.max(Math.trunc(center - support + 0.5), 0);
    const last = Math.min(Math.trunc(center + support + 0.5), from);
    const weights = [];
    for (let k = first; k < last; k++) weights.push(Math.max(0, 1 - Math.abs((k - center + 0.5) / support)));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    found.push([first, weights.map((weight) => weight / total)]);
    largest = Math.max(largest, ...found[n][1]);
  }
  let bits = 0;  // as many as 16-bit weights allow
  while (bits < 22 && Math.trunc(0.5 + largest * 2 ** (bits + 1)) < 2 ** 15) bits++;
  const spans = found.map(([first, weights]) => [first, weights.map((weight) => Math.trunc(0.5 + weight * 2 ** bits))]);
  return { spans, bits };
}

// Return lines of `length` values at distance `step`, resized to `to` values each. `lines` are their first places.
function resized(source, lines, step, length, to, target, targetLines, targetStep) {
  const { spans, bits } = weightsOf(length, to);
  lines.forEach((line, n) => spans.forEach(([first, weights], place) => {
    let sum = 2 ** (bits - 1);
    weights.forEach((weight, k) => { sum += weight * source[line + (first + k) * step]; });
    target[targetLines[n] + place * targetStep] = Math.min(255, sum >> bits);
  }));
}

// Return planes of size x size pixels.
export function thumbnail({ planes, channels, height, width }, size) {
  const count = (n) => Array.from({ length: n }, (_, k) => k), rows = count(channels * height);
  const narrow = new Uint8Array(channels * height * size), small = new Uint8Array(channels * size * size);
  resized(planes, rows.map((row) => row * width), 1, width, size, narrow, rows.map((row) => row * size), 1);
  const columns = (stride) => count(channels * size).map((n) => Math.floor(n / size) * stride + (n % size));
  resized(narrow, columns(height * size), size, height, size, small, columns(size * size), size);
  return { planes: small, channels, height: size, width: size };
}
