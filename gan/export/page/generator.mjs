// The controls of a generator: seeds, class, truncation, directions and files.

import { $, ask, drawn, guarded, save, say, seconds } from "./page.mjs";

const MAX_IMAGES = 64;
const MAX_SEED = 2n ** 63n - 1n;

// A slider for a direction, which is labeled with its effect if that is known.
function slider(name, effect = name) {
  const label = document.createElement("label"), input = document.createElement("input");
  const value = document.createElement("output");
  Object.assign(input, { type: "range", min: "-3", max: "3", step: "0.1", value: "0", name });
  label.append(`${effect} `, input, value);
  return label;
}

// Return the seeds that the form asks for.
function seedsOf() {
  const text = $("seed").value.trim(), count = Number($("count").value);
  if (!/^\d{1,19}$/.test(text) || BigInt(text) > MAX_SEED)
    throw new Error(`Seed ${text || "(empty)"}: give a whole number from 0 to 2^63-1.`);
  if (!Number.isInteger(count) || count < 1 || count > MAX_IMAGES)
    throw new Error(`Number of images: give a whole number from 1 to ${MAX_IMAGES}.`);
  return Array.from({ length: count }, (_, n) => BigInt(text) + BigInt(n)).filter((seed) => seed <= MAX_SEED);
}

function settingsOf() {
  const sliders = [...$("vectors").querySelectorAll("input")].map((input) => [input.name, Number(input.value)]);
  const label = $("class").value === "" ? null : Number($("class").value);
  return { label, truncation: Number($("truncation").value), vectors: Object.fromEntries(sliders) };
}

function showValues() {
  for (const output of $("generator").querySelectorAll("output")) output.value = output.previousElementSibling.value;
}

// Show the controls, and the images of the first seeds.
export function start(model) {
  model.classes.forEach((name, n) => $("class").add(new Option(name, String(n))));
  $("class-label").hidden = !model.classes.length;
  $("truncation-label").hidden = !model.parts.includes("mapping");
  $("vectors").append(...Object.keys(model.vectors).map((name) => slider(name, model.effects[name])));
  $("vectors").hidden = !Object.keys(model.vectors).length;

  const show = ({ seed, image }, n) => {
    const canvas = drawn(image);
    canvas.title = `Seed ${seed}. Click to save.`;
    canvas.addEventListener("click", () => save(canvas, String(seed)));
    if ($("images").children[n]) $("images").children[n].replaceWith(canvas);
    else $("images").append(canvas);
  };
  const draw = guarded(async () => {
    showValues();
    const seeds = seedsOf(), started = performance.now();
    let count = 0;
    say("Generating …");
    await ask("generate", { seeds, settings: settingsOf() }, (item) => show(item, count++));
    if (count < seeds.length) return;  // a newer task has begun
    while ($("images").children.length > seeds.length) $("images").lastChild.remove();
    say(`${seeds.length > 1 ? `Seeds ${seeds[0]} to ${seeds.at(-1)}` : `Seed ${seeds[0]}`}, in ${seconds(started)}.`);
  });

  $("generator").addEventListener("input", draw);
  $("generator").addEventListener("submit", (event) => event.preventDefault());
  $("next").addEventListener("click", guarded(() => {
    const last = seedsOf().at(-1);
    $("seed").value = String(last < MAX_SEED ? last + 1n : 0n);
    return draw();
  }));
  $("generator").hidden = false;
  return draw();
}
