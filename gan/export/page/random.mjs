// NumPy's default_rng(seed), which generates the latents and classes of seeds: SeedSequence, PCG64, and the ziggurat of
// standard_normal(dtype=float32).
// O'Neill, "PCG", 2014 (XSL-RR 128/64); Marsaglia and Tsang, "The Ziggurat Method", 2000.

const MASK = (1n << 128n) - 1n;
const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
const R = 3.6541528853610088;  // where the tail of the ziggurat begins
const AREA = 0.00492867323399;  // of each of its 256 layers
const float = Math.fround;  // NumPy computes in fp32 here

// ---- seeds

function words(number) {  // BigInt >= 0 -> 32-bit words, the lowest first
  const found = [];
  do { found.push(Number(number & 0xffffffffn)); number >>= 32n; } while (number > 0n);
  return found;
}

// Return eight 32-bit words of numpy.random.SeedSequence(numbers).
export function seedSequence(numbers) {
  const entropy = numbers.flatMap((each) => words(BigInt(each)));
  let constant = 0x43b0d7e5;
  const hash = (value) => {
    value ^= constant;
    constant = Math.imul(constant, 0x931e8875);
    value = Math.imul(value, constant);
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mix = (x, y) => {
    const value = Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y) | 0;
    return (value ^ (value >>> 16)) >>> 0;
  };
  const pool = [0, 1, 2, 3].map((n) => hash(entropy[n] ?? 0));
  for (let from = 0; from < 4; from++)
    for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
  for (const each of entropy.slice(4)) for (let to = 0; to < 4; to++) pool[to] = mix(pool[to], hash(each));
  let other = 0x8b51f9dd;
  return Array.from({ length: 8 }, (_, n) => {
    let value = pool[n % 4] ^ other;
    other = Math.imul(other, 0x58f38ded);
    value = Math.imul(value, other);
    return (value ^ (value >>> 16)) >>> 0;
  });
}

// ---- the generator

export class Random {
  constructor(...numbers) {
    const state = seedSequence(numbers).map(BigInt);
    const long = (n) => (state[2 * n + 1] << 32n) | state[2 * n];
    this.increment = ((((long(2) << 64n) | long(3)) << 1n) | 1n) & MASK;
    this.state = 0n;
    this.step();
    this.state = (this.state + ((long(0) << 64n) | long(1))) & MASK;
    this.step();
    this.kept = null;  // the high half of the last 64 bits
  }

  step() {
    this.state = (this.state * MULTIPLIER + this.increment) & MASK;
  }

  bits64() {
    this.step();
    const high = this.state >> 64n, value = high ^ (this.state & 0xffffffffffffffffn), turn = high >> 58n;
    return ((value >> turn) | (value << (64n - turn))) & 0xffffffffffffffffn;
  }

  bits32() {
    if (this.kept !== null) {
      const value = this.kept;
      this.kept = null;
      return value;
    }
    const value = this.bits64();
    this.kept = Number(value >> 32n);
    return Number(value & 0xffffffffn);
  }

  uniform() {  // in [0, 1), 53 bits, as random()
    return Number(this.bits64() >> 11n) / 2 ** 53;
  }

  uniform32() {  // in [0, 1), 24 bits
    return (this.bits32() >>> 8) / 2 ** 24;
  }

  normal() {  // as standard_normal(dtype=float32)
    for (;;) {
      const bits = this.bits32(), layer = bits & 0xff, magnitude = (bits >>> 9) & 0x7fffff;
      const x = float(magnitude * WIDTH[layer]) * ((bits >>> 8) & 1 ? -1 : 1);
      if (magnitude < INSIDE[layer]) return x;
      if (layer === 0) {
        for (;;) {
          const more = float(float(1 / R) * -float(Math.log1p(-this.uniform32())));
          const y = -float(Math.log1p(-this.uniform32())), sign = (magnitude >>> 8) & 1 ? -1 : 1;
          if (y + y > float(more * more)) return sign * float(float(R) + more);
        }
      }
      const rise = float(float(HEIGHT[layer - 1] - HEIGHT[layer]) * this.uniform32());
      if (float(rise + HEIGHT[layer]) < Math.exp(-0.5 * x * x)) return x;
    }
  }
}

// ---- the tables of the ziggurat

const WIDTH = new Float32Array(256), HEIGHT = new Float32Array(256), INSIDE = new Uint32Array(256);
(() => {
  const density = (x) => Math.exp(-0.5 * x * x), scale = 2 ** 23;
  const edge = [AREA / density(R), R];  // of the layers, from the bottom
  for (let n = 2; n < 256; n++) edge[n] = Math.sqrt(-2 * Math.log(AREA / edge[n - 1] + density(edge[n - 1])));
  edge[256] = 0;
  // NumPy numbers the layers from the top, except that layer 0 is the bottom.
  for (let n = 0; n < 256; n++) {
    const own = n === 0 ? edge[0] : edge[256 - n];
    const inner = n === 0 ? R : n === 1 ? 0 : edge[257 - n];
    WIDTH[n] = own / scale;
    HEIGHT[n] = n === 0 ? 1 : density(own);
    INSIDE[n] = Math.floor((inner / own) * scale);
  }
})();
