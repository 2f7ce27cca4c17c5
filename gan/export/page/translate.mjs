// Translate an image, as gan translate.

import { noisePlanes } from "./noise.mjs";
import { cropped, planesOf, toFloats, toPlanes } from "./pixels.mjs";
import { thumbnail } from "./thumbnail.mjs";

// Return the planes of the translation of ImageData, which has the same size.
export async function translated(ort, session, model, image) {
  const given = planesOf(image, model.channels), tensor = ({ data, dims }) => new ort.Tensor("float32", data, dims);
  const inputs = { image: tensor(toFloats(given, model.multiple)) };
  const [, , height, width] = inputs.image.dims;
  if (session.inputNames.includes("noise")) {
    const { numbers, margin } = model.noise, dims = [1, numbers.length, height + 2 * margin, width + 2 * margin];
    inputs.noise = tensor({ data: noisePlanes(height, width, numberOf(given.planes), numbers, margin), dims });
  }
  if (session.inputNames.includes("thumbnail"))
    inputs.thumbnail = tensor(toFloats(thumbnail(given, model.thumbnail_size)));
  if (session.inputNames.includes("sides"))
    inputs.sides = tensor({ data: Float32Array.of(given.height, given.width), dims: [1, 2] });
  const { translation } = await session.run(inputs);
  return cropped(toPlanes(translation, 0), given.height, given.width);
}

// Return the number of an image, from which its noise follows: the CRC-32 of its planes.
export function numberOf(bytes) {
  const table = Int32Array.from({ length: 256 }, (_, n) => {
    for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
    return n;
  });
  let value = -1;
  for (const byte of bytes) value = (value >>> 8) ^ table[(value ^ byte) & 255];
  return ~value >>> 0;
}
