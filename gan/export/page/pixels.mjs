// Pixels in the three forms of this page: ImageData (straight RGBA in rows), uint8 planes (channels, height, width),
// and the floats in [-1, 1] of the networks. Four channels are premultiplied RGBA.

const MIN_SIDE = 16;  // pixels; every translator accepts it

// Return uint8 planes of image `n` of an output (N, C, H, W), with the rounding of gan.images.convert.to_uint8.
export function toPlanes(output, n) {
  const [, channels, height, width] = output.dims, length = channels * height * width;
  const planes = new Uint8Array(length), start = n * length;
  for (let place = 0; place < length; place++) {
    const value = Math.fround(Math.fround(output.data[start + place] * 127.5) + 128);
    planes[place] = Math.min(255, Math.max(0, value));  // the assignment truncates
  }
  return { planes, channels, height, width };
}

// Return planes as ImageData. `alpha` is an image whose alpha replaces that of the planes.
export function toImageData({ planes, channels, height, width }, alpha = null) {
  const area = width * height, image = new ImageData(width, height), { data } = image;
  for (let place = 0; place < area; place++) {
    const own = channels === 4 ? planes[3 * area + place] : 255;
    for (let color = 0; color < 3; color++) {
      const value = planes[(channels === 1 ? 0 : color * area) + place];
      data[4 * place + color] = channels === 4 ? divided(value, own) : value;
    }
    data[4 * place + 3] = alpha ? alpha.data[4 * place + 3] : own;
  }
  return image;
}

function divided(value, alpha) {  // the color of a premultiplied value
  return alpha && Math.min(255, Math.floor((value * 255 + (alpha >> 1)) / alpha));
}

// Return the planes of ImageData that gan translate gives to a network.
export function planesOf({ data, width, height }, channels) {
  const area = width * height, planes = new Uint8Array(channels * area);
  for (let place = 0; place < area; place++) {
    const alpha = data[4 * place + 3];
    const hidden = alpha === 0 && channels < 4;  // networks without alpha do not see colors of transparent pixels
    const [red, green, blue] = [0, 1, 2].map((color) => hidden ? 255 : data[4 * place + color]);
    if (channels === 1) planes[place] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;  // as Pillow
    else [red, green, blue].forEach((value, color) => {
      planes[color * area + place] = channels === 4 ? multiplied(value, alpha) : value;
    });
    if (channels === 4) planes[3 * area + place] = alpha;
  }
  return { planes, channels, height, width };
}

function multiplied(value, alpha) {  // as Pillow's conversion to premultiplied RGBA
  const product = value * alpha + 128;
  return ((product >> 8) + product) >> 8;
}

// Return the floats (1, C, H', W') of planes. The last row and column are repeated until both sides fit the network.
export function toFloats({ planes, channels, height, width }, multiple = 1, least = MIN_SIDE) {
  const [rows, columns] = [height, width].map((side) => Math.ceil(Math.max(least, side) / multiple) * multiple);
  const data = new Float32Array(channels * rows * columns);
  for (let channel = 0; channel < channels; channel++)
    for (let row = 0; row < rows; row++) {
      const from = (channel * height + Math.min(row, height - 1)) * width, to = (channel * rows + row) * columns;
      for (let column = 0; column < columns; column++)
        data[to + column] = Math.fround(planes[from + Math.min(column, width - 1)] / 127.5) - 1;
    }
  return { data, dims: [1, channels, rows, columns] };
}

// Return planes without the rows and columns that `toFloats` has added.
export function cropped({ planes, channels, height, width }, rows, columns) {
  const found = new Uint8Array(channels * rows * columns);
  for (let channel = 0; channel < channels; channel++)
    for (let row = 0; row < rows; row++) {
      const from = (channel * height + row) * width;
      found.set(planes.subarray(from, from + columns), (channel * rows + row) * columns);
    }
  return { planes: found, channels, height: rows, width: columns };
}
