// The page's side of worker.mjs.

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
