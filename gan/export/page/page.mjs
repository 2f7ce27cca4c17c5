// Elements of the page, the line that says what happens, canvases and PNG files.

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

// Return ImageData as a canvas.
export function drawn(image) {
  const canvas = canvasOf(image.width, image.height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// Return a source, such as a bitmap or a canvas, as ImageData of another size.
export function resized(source, width, height) {
  const context = canvasOf(width, height).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

// Save a canvas as a PNG file.
export function save(canvas, name) {
  canvas.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `${name}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}
