// Runs the networks beside the page, which stays responsive. It answers messages { id, task, ... } one after the other
// with { id, item } for each result, and at the end { id, done } or { id, error }. A newer message ends an older task.

import { generate } from "./generate.mjs";
import { toImageData, toPlanes } from "./pixels.mjs";
import { translated } from "./translate.mjs";

const AGAIN = "export the page again and copy all its files";

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const floats = (text) => new Float32Array(bytes(text).buffer);
let loaded, newest, last = Promise.resolve();

async function read(file) {
  const answer = await fetch(new URL(file, import.meta.url), { cache: "no-cache" });
  if (!answer.ok) throw new Error(`The model cannot be used: ${file} cannot be read (${answer.status}); ${AGAIN}`);
  return answer.arrayBuffer();
}

// Return [ort, sessions, model].
async function load() {
  let model;
  try {
    model = JSON.parse(new TextDecoder().decode(await read("model.json")));
    model.means = model.means?.map(floats);
    for (const name of Object.keys(model.vectors ?? {})) model.vectors[name] = floats(model.vectors[name]);
    for (const name of ["files", "title", "channels"]) if (!model[name]) throw new Error(name);
  } catch {
    throw new Error(`The model cannot be used: model.json is damaged; ${AGAIN}`);
  }
  const ort = await import("./runtime.mjs"), sessions = {};
  Object.assign(ort.env, { logLevel: "error" });
  // More threads need headers that a plain server does not send.
  Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: await read("runtime.wasm") });
  for (const [name, file] of Object.entries(model.files))
    sessions[name] = await ort.InferenceSession.create(new Uint8Array(await read(file)), { logSeverityLevel: 3 })
      .catch((error) => { throw new Error(`The model cannot be used: ${file} cannot be used: ${error.message}`); });
  return [ort, sessions, model];
}

const tasks = {
  async *load() {
    loaded = await load();
    const [, sessions, { means: _, ...model }] = loaded;
    yield { ...model, parts: Object.keys(sessions) };
  },
  async *generate({ seeds, settings }) {
    for await (const [output, n, seed] of generate(...loaded, seeds, settings))
      yield { seed, image: toImageData(toPlanes(output, n)) };
  },
  async *translate({ image, direction }) {
    const [ort, sessions, model] = loaded;
    yield { image: toImageData(await translated(ort, sessions[direction], model, image), image) };
  },
};

async function perform({ id, task, ...given }) {
  try {
    for await (const item of tasks[task](given)) {
      await new Promise((proceed) => setTimeout(proceed));  // a newer message can arrive
      if (id !== newest) break;
      postMessage({ id, item });
    }
    postMessage({ id, done: true });
  } catch (error) {
    postMessage({ id, error: String(error?.message ?? error) });
  }
}

addEventListener("message", ({ data }) => {
  newest = data.id;
  last = last.then(() => perform(data));
});
postMessage({ ready: true });
