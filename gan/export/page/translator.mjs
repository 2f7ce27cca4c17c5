// The controls of a translator: photographs from files or the clipboard, and original and translation.

import { $, ask, drawn, guarded, resized, save, say, seconds } from "./page.mjs";

const MAX_SIDE = 16384;  // pixels, the limit of a canvas
const DIRECTIONS = { a2b: "to the target style", b2a: "back to photographs" };  // as in gan demo

// Return the size in which an image is translated: its own, unless it has more pixels than the memory allows.
function sizeFor({ width, height }, maxPixels) {
  const factor = Math.min(1, Math.sqrt(maxPixels / (width * height)));
  return [width, height].map((side) => Math.max(1, Math.floor(side * factor)));
}

// Show the controls.
export function start(model) {
  model.parts.forEach((name) => $("direction").add(new Option(DIRECTIONS[name] ?? name, name)));
  $("direction-label").hidden = model.parts.length < 2;
  let given = null, name = "translated", count = 0;

  const draw = guarded(async () => {
    if (!given) return;
    const number = ++count, started = performance.now(), original = given, { width, height } = original;
    const size = sizeFor(original, model.max_pixels), whole = size[0] === width && size[1] === height;
    say("Translating …");
    const input = whole ? original : resized(drawn(original), ...size);
    await ask("translate", { image: input, direction: $("direction").value }, ({ image }) => {
      if (number !== count) return;
      $("before").replaceChildren(drawn(original));
      $("after").replaceChildren(drawn(whole ? image : resized(drawn(image), width, height)));
      $("comparison").hidden = $("save").hidden = false;
      const reduced = whole ? "" : ` It was translated at ${size[0]}x${size[1]} pixels and enlarged, to save memory.`;
      say(`${width}x${height} pixels, in ${seconds(started)}.${reduced}`);
    });
  });

  const read = guarded(async (file) => {
    if (!file) return;
    const image = await createImageBitmap(file, { premultiplyAlpha: "none" }).catch(() => { throw new Error(
      `${file.name || "This file"} is not an image that this browser can read; use JPEG, PNG or WebP.`); });
    if (Math.max(image.width, image.height) > MAX_SIDE)
      throw new Error(`This image has a side of more than ${MAX_SIDE} pixels; use a smaller image.`);
    given = resized(image, image.width, image.height);
    name = file.name.replace(/\.\w+$/, "") || "image";
    await draw();
  });

  $("file").addEventListener("change", () => read($("file").files[0]));
  document.addEventListener("paste", (event) => read(event.clipboardData.files[0]));
  $("direction").addEventListener("change", draw);

  $("split").addEventListener("input", () => $("comparison").style.setProperty("--split", `${$("split").value}%`));
  $("save").addEventListener("click", () => save($("after").firstChild, `${name}_translated`));
  $("translator").hidden = false;
  say("Ready. Choose a photograph.");
}
