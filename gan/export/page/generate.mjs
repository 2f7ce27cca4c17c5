// Generate the images of seeds, as gan generate; with directions, as gan edit.

import { Random } from "./random.mjs";

const BATCH = 4;  // images in a pass
const CLASS_STREAM = 7;  // separates the classes of seeds from their latents

// Return the class of a seed, distributed as in the training images.
export function classOf(seed, edges) {
  const place = new Random(seed, CLASS_STREAM).uniform() * edges.at(-1);
  return edges.findIndex((edge) => edge > place);
}

// Return the latents of seeds (BigInt), one row of `size` numbers for each.
export function latentsOf(seeds, size) {
  const z = new Float32Array(seeds.length * size);
  seeds.forEach((seed, row) => {
    const random = new Random(seed);
    for (let k = 0; k < size; k++) z[row * size + k] = random.normal();
  });
  return z;
}

// Yield [output, n, seed]: the image of each seed is image n of the output (N, C, H, W).
//   settings: { label: class or null for the class of each seed, truncation, vectors: { NAME: multiple } }
export async function* generate(ort, sessions, model, seeds, settings) {
  for (let first = 0; first < seeds.length; first += BATCH) {
    const part = seeds.slice(first, first + BATCH), dims = [part.length, model.latent_dim];
    const labels = model.classes.length ? part.map((seed) => settings.label ?? classOf(seed, model.class_edges)) : null;
    const run = (session, name, data) => {
      const inputs = { [name]: new ort.Tensor("float32", data, dims) };
      if (session.inputNames.includes("label"))
        inputs.label = new ort.Tensor("int64", BigInt64Array.from(labels, BigInt), [part.length]);
      return session.run(inputs);
    };
    let latents = latentsOf(part, model.latent_dim);
    if (sessions.mapping) {
      latents = (await run(sessions.mapping, "z", latents)).w.data.slice();
      truncate(latents, model, labels, settings.truncation);
    }
    for (const [name, multiple] of Object.entries(settings.vectors))
      for (let n = 0; multiple && n < latents.length; n++)
        latents[n] += Math.fround(multiple * model.vectors[name][n % model.latent_dim]);
    const { image } = await (sessions.mapping ? run(sessions.synthesis, "w", latents)
      : run(sessions.generator, "z", latents));
    for (let n = 0; n < part.length; n++) yield [image, n, part[n]];
  }
}

// Move latents in w towards the mean of their class: 0 gives the mean, 1 the unchanged latents.
function truncate(latents, { means, latent_dim: size }, labels, psi) {
  for (let n = 0; psi !== 1 && n < latents.length; n++) {
    const row = means.length > 1 ? labels[Math.floor(n / size)] : 0, mean = means[row][n % size];
    latents[n] = mean + Math.fround(psi * Math.fround(latents[n] - mean));
  }
}
