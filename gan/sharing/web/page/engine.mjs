// The page's side of worker.mjs.

export class Engine {
  constructor() {
    // A worker that starts from a blob obeys the Content-Security-Policy of the page, so it cannot reach the network
    // either. One that starts from a file would not.
    const file = new URL("worker.mjs", import.meta.url).href;
    this.address = URL.createObjectURL(new Blob([`import ${JSON.stringify(file)};`], { type: "text/javascript" }));
    this.worker = new Worker(this.address, { type: "module" });
    this.waiting = new Map();
    this.count = 0;
    this.ready = new Promise((resolve, reject) => {
      this.worker.addEventListener("error", () => reject(new Error(
        "a file of this page is missing or damaged; export the page again and copy all its files")));
      this.worker.addEventListener("message", ({ data }) => data.ready ? resolve() : this.receive(data));
    });
  }

  receive({ id, item, error }) {
    const task = this.waiting.get(id);
    if (item) return task.take(item);
    this.waiting.delete(id);
    return error ? task.reject(new Error(error)) : task.resolve();
  }

  // Perform a task, and call `take` with each of its results.
  async ask(task, given, take) {
    await this.ready;
    const id = ++this.count;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { take, resolve, reject });
      this.worker.postMessage({ id, task, ...given });
    });
  }

  close() {
    this.worker.terminate();
    URL.revokeObjectURL(this.address);
  }
}
