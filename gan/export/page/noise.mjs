// The noise of gan.networks.tile_position, for an image that is not cut into tiles.

// The inverse of the normal distribution function: Cephes, ndtri.c (Moshier, 1989), as in torch.special.ndtri.
const CENTER = [
  [-5.99633501014107895267e1, 9.80010754185999661536e1, -5.66762857469070293439e1, 1.39312609387279679503e1,
    -1.23916583867381258016],
  [1, 1.95448858338141759834, 4.67627912898881538453, 8.63602421390890590575e1, -2.25462687854119370527e2,
    2.00260212380060660359e2, -8.20372256168333339912e1, 1.59056225126211695515e1, -1.18331621121330003142],
];
const TAIL = [
  [4.05544892305962419923, 3.15251094599893866154e1, 5.71628192246421288162e1, 4.408050738932008347e1,
    1.46849561928858024014e1, 2.18663306850790267539, -1.40256079171354495875e-1, -3.50424626827848203418e-2,
    -8.57456785154685413611e-4],
  [1, 1.57799883256466749731e1, 4.53907635128879210584e1, 4.13172038254672030440e1, 1.50425385692907503408e1,
    2.50464946208309415979, -1.42182922854787788574e-1, -3.80806407691578277194e-2, -9.33259480895457427372e-4],
];

function ratio([above, below], x) {
  const value = (factors) => factors.reduce((sum, factor) => sum * x + factor);
  return value(above) / value(below);
}

function inverseNormal(p) {  // for 2^-33 <= p <= 1 - 2^-33
  const lower = p > 1 - Math.exp(-2) ? 1 - p : p;
  if (lower > Math.exp(-2)) {
    const y = lower - 0.5;
    return (y + y * (y * y * ratio(CENTER, y * y))) * Math.sqrt(2 * Math.PI);
  }
  const x = Math.sqrt(-2 * Math.log(lower));
  const found = x - Math.log(x) / x - ratio(TAIL, 1 / x) / x;
  return lower === p ? -found : found;
}

// Return planes of standard normal noise, (height + 2 margin) x (width + 2 margin) each, as noise_planes.
//   index: the number of the image, its CRC-32 in gan translate
//   numbers: of the planes
export function noisePlanes(height, width, index = 0, numbers = [0], margin = 0) {
  const size = (height + 2 * margin) * (width + 2 * margin), noise = new Float32Array(numbers.length * size);
  let n = 0;
  for (const number of numbers)
    for (let row = -margin; row < height + margin; row++)
      for (let column = -margin; column < width + margin; column++) {
        let x = Math.imul(row, 0x9e3779b1) + Math.imul(column, 0x85ebca77) + Math.imul(index + number, 0xc2b2ae3d) >>> 0;
        x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0;
        x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0;
        noise[n++] = inverseNormal(((x ^ (x >>> 16)) >>> 0) / 2 ** 32 + 2 ** -33);
      }
  return noise;
}
