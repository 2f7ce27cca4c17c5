// Elements of the page, the line that says what happens, canvases and PNG files.

const GAP = 2;  // pixels between the images of a grid, as in gan generate --grid

export const $ = (id) => document.getElementById(id);

export function say(text, error = false) {
  $("status").textContent = text;
  $("status").classList.toggle("error", error);
}

// Return a function that performs `work` and shows its error.
export function guarded(work) {
  return async (...given) => {
    try {
      await work(...given);
    } catch (error) {
      say(error.message, true);
    }
  };
}

export function seconds(started) {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`;
}

export function canvasOf(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

// Return ImageData as a canvas, enlarged by a whole number.
export function drawn(image, scale = 1) {
  const canvas = canvasOf(image.width, image.height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  if (scale === 1) return canvas;
  const large = canvasOf(scale * image.width, scale * image.height), context = large.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas, 0, 0, large.width, large.height);
  return large;
}

// Return a source, such as a bitmap or a canvas, as ImageData of another size.
export function resized(source, width, height) {
  const context = canvasOf(width, height).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

// Return canvases of one size as a grid, which is nearly square.
export function grid(canvases) {
  const columns = Math.min(Math.round(Math.sqrt(canvases.length)) || 1, canvases.length);
  const [{ width, height }] = canvases, rows = Math.ceil(canvases.length / columns);
  const sheet = canvasOf(columns * (width + GAP) + GAP, rows * (height + GAP) + GAP), context = sheet.getContext("2d");
  canvases.forEach((canvas, n) =>
    context.drawImage(canvas, GAP + (n % columns) * (width + GAP), GAP + Math.floor(n / columns) * (height + GAP)));
  return sheet;
}

// Save a canvas as a PNG file.
export function save(canvas, name) {
  canvas.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `${name}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}
