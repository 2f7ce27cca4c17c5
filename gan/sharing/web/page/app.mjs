// The page: start the engine, which loads and checks the model, then show the controls that the model needs.

import { Engine } from "./engine.mjs";
import { start as startGenerator } from "./generator.mjs";
import { $, guarded, say } from "./status.mjs";
import { start as startTranslator } from "./translator.mjs";

const megabytes = (count) => (count / 1e6).toFixed(1);
let engine = null;

// Return the model after loading it into a new engine, which is then in use.
async function open(provider) {
  const opened = new Engine();
  let model = null;
  try {
    await opened.ask("load", { provider }, (item) => {
      if (item.all) say(`Loading the model: ${megabytes(item.now)} of ${megabytes(item.all)} MB`);
      else model = item;
    });
  } catch (error) {
    opened.close();
    throw error;
  }
  engine?.close();
  engine = opened;
  return model;
}

// Go on with the GPU. Its images may differ from those stored with the model; then the page does not use it.
async function useGpu() {
  $("gpu").disabled = true;
  try {
    if (!await navigator.gpu?.requestAdapter())
      throw new Error("WebGPU is not available in this browser or on this computer");
    await open("webgpu");
    $("gpu").hidden = true;
    $("device").textContent = "on the GPU";
    say("The GPU passed the check. The page now uses it.");
  } catch (error) {
    say(`The page continues on the CPU: ${error.message}`, true);
  }
}

const begin = guarded(async () => {
  let model;
  try {
    model = await open("wasm");
  } catch (error) {
    throw new Error(`The model cannot be used: ${error.message}`);
  }
  $("title").textContent = document.title = model.title;
  await (model.kind === "generator" ? startGenerator : startTranslator)(() => engine, model);
  $("gpu").hidden = !model.webgpu;
  $("gpu").addEventListener("click", useGpu);
  if (model.webgpu && new URLSearchParams(location.search).has("gpu")) await useGpu();
});
begin();
