// Load the model of this page, and compare its outputs with those stored beside it.

import { generate } from "./generate.mjs";
import { toPlanes } from "./pixels.mjs";
import { translated } from "./translate.mjs";

const FORMAT_VERSION = 1;
const TOLERANCE = 1;  // levels of 255 between this browser and the program that exported the model
const AGAIN = "export the page again and copy all its files";
const RUNTIMES = { wasm: "runtime", webgpu: "runtime_gpu" };

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const floats = (text) => new Float32Array(bytes(text).buffer);

// Return [ort, sessions, model].
//   provider: "wasm" or "webgpu"
//   report: called with the number of bytes that were read and that are to be read
export async function load(provider, report) {
  const model = decoded(await read("model.json"));
  const ort = await import(`./${RUNTIMES[provider]}.mjs`);
  ort.env.wasm.numThreads = 1;  // more need headers that a plain server does not send
  ort.env.logLevel = "error";
  const names = Object.keys(model.files), done = {};
  const parts = await Promise.all([`${RUNTIMES[provider]}.wasm`, ...Object.values(model.files)].map((file) =>
    read(file, (now, all) => {
      done[file] = [now, all];
      report(...[0, 1].map((n) => Object.values(done).reduce((sum, each) => sum + each[n], 0)));
    })));
  ort.env.wasm.wasmBinary = parts.shift().buffer;
  const sessions = {}, options = { executionProviders: [provider], logSeverityLevel: 3 };  // errors
  for (const [n, name] of names.entries())
    sessions[name] = await ort.InferenceSession.create(parts[n], options)
      .catch((error) => { throw new Error(`${model.files[name]} cannot be used: ${error.message}`); });
  return [ort, sessions, model];
}

async function read(file, report = () => {}) {
  const answer = await fetch(new URL(file, import.meta.url), { cache: "no-cache" });
  if (!answer.ok) throw new Error(`${file} cannot be read (${answer.status}); ${AGAIN}`);
  const parts = [], all = Number(answer.headers.get("content-length"));
  let now = 0;
  for (const reader = answer.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    report(now += value.length, Math.max(all, now));
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

// Return the model of the bytes of model.json.
function decoded(data) {
  let model;
  try {
    model = JSON.parse(new TextDecoder().decode(data));
    if (model.format_version === FORMAT_VERSION) {
      if (!isComplete(model)) throw null;
      model.means = model.means?.map(floats);
      for (const name of Object.keys(model.vectors ?? {})) model.vectors[name] = floats(model.vectors[name]);
    }
  } catch {
    throw new Error(`model.json is damaged; ${AGAIN}`);
  }
  if (model.format_version !== FORMAT_VERSION)
    throw new Error(`model.json belongs to another version of this page; ${AGAIN}`);
  return model;
}

// Return whether a model has what this page needs, with at least one output of each network for the check.
function isComplete({ kind, title, channels, files, check, ...model }) {
  const names = Object.keys(files), { seeds, image, outputs } = check;
  const needed = kind === "generator"
    ? [model.latent_dim, model.classes, model.means, model.vectors, seeds[0], outputs[0]]
    : [model.multiple, model.max_pixels, image.pixels, ...names.map((name) => outputs[name])];
  return [title, channels, names[0], ...needed].every((each) => each !== undefined && each !== null)
    && (kind !== "generator" || seeds.length === outputs.length)
    && Object.values(files).every((file) => /^\w+\.onnx$/.test(file));
}

// Throw an error if the images of this browser differ from those that are stored in the model.
export async function check(ort, sessions, model) {
  let largest = 0;
  const compare = ({ planes }, expected) => {
    if (planes.length !== expected.length) throw new Error(`model.json has a check of another size; ${AGAIN}`);
    planes.forEach((value, n) => { largest = Math.max(largest, Math.abs(value - expected[n])); });
  };
  const { seeds, image, outputs } = model.check;
  if (model.kind === "generator") {
    const stored = outputs.map(bytes);
    const settings = { label: null, truncation: 1, vectors: {} };
    for await (const [output, n] of generate(ort, sessions, model, seeds.map(BigInt), settings))
      compare(toPlanes(output, n), stored.shift());
  } else {
    const given = new ImageData(new Uint8ClampedArray(bytes(image.pixels)), image.width, image.height);
    for (const [name, session] of Object.entries(sessions))
      compare(await translated(ort, session, model, given), bytes(outputs[name]));
  }
  if (largest > TOLERANCE)
    throw new Error(
      `its images differ by ${largest} of 255 levels from those stored with the model; try another browser`);
}
