// Elements of the page, the line that says what happens, canvases, PNG files, and tasks for the worker.

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

// ---- worker.mjs, which runs the networks

// A worker that starts from a blob obeys the Content-Security-Policy of the page, so it cannot reach the network
// either. One that starts from a file would not.
const file = new URL("worker.mjs", import.meta.url).href;
const source = new Blob([`import ${JSON.stringify(file)};`], { type: "text/javascript" });
const worker = new Worker(URL.createObjectURL(source), { type: "module" });
const waiting = new Map();
let count = 0;

const ready = new Promise((resolve, reject) => {
  worker.addEventListener("error", () => reject(new Error(
    "a file of this page is missing or damaged; export the page again and copy all its files")));
  worker.addEventListener("message", ({ data: { ready, id, item, error } }) => {
    if (ready) return resolve();
    const task = waiting.get(id);
    if (item) return task.take(item);
    waiting.delete(id);
    return error ? task.reject(new Error(error)) : task.resolve();
  });
});

// Perform a task, and call `take` with each of its results.
export async function ask(task, given, take) {
  await ready;
  const id = ++count;
  return new Promise((resolve, reject) => {
    waiting.set(id, { take, resolve, reject });
    worker.postMessage({ id, task, ...given });
  });
}
