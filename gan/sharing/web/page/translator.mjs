// The controls of a translator: photographs from files, the clipboard or the webcam, and original and translation.

import { drawn, resized, save } from "./canvas.mjs";
import { $, guarded, say, seconds } from "./status.mjs";

const WEBCAM = { video: { width: { ideal: 640 }, height: { ideal: 480 } } };
const MAX_SIDE = 16384;  // pixels, the limit of a canvas
const DIRECTIONS = { a2b: "to the target style", b2a: "back to photographs" };  // as in gan demo

// Return the size in which an image is translated: its own, unless it has more pixels than the memory allows.
function sizeFor({ width, height }, maxPixels) {
  const factor = Math.min(1, Math.sqrt(maxPixels / (width * height)));
  return [width, height].map((side) => Math.max(1, Math.floor(side * factor)));
}

// Show the controls.
//   engine: function that returns the Engine in use
export function start(engine, model) {
  model.parts.forEach((name) => $("direction").add(new Option(DIRECTIONS[name] ?? name, name)));
  $("direction-label").hidden = model.parts.length < 2;
  let given = null, name = "translated", count = 0;

  const draw = guarded(async () => {
    if (!given) return;
    const number = ++count, started = performance.now(), original = given, { width, height } = original;
    const size = sizeFor(original, model.max_pixels), whole = size[0] === width && size[1] === height;
    say("Translating …");
    const input = whole ? original : resized(drawn(original), ...size);
    await engine().ask("translate", { image: input, direction: $("direction").value }, ({ image }) => {
      if (number !== count) return;
      $("before").replaceChildren(drawn(original));
      $("after").replaceChildren(drawn(whole ? image : resized(drawn(image), width, height)));
      $("comparison").hidden = $("save").hidden = false;
      const reduced = whole ? "" : ` It was translated at ${size[0]}x${size[1]} pixels and enlarged, to save memory.`;
      say(`${width}x${height} pixels, in ${seconds(started)}.${reduced}`);
    });
  });

  const take = (source, width, height, title) => {
    if (Math.max(width, height) > MAX_SIDE)
      throw new Error(`This image has a side of more than ${MAX_SIDE} pixels; use a smaller image.`);
    [given, name] = [resized(source, width, height), title];
    return draw();
  };
  const read = guarded(async (file) => {
    if (!file) return;
    let image;
    try {
      image = await createImageBitmap(file, { premultiplyAlpha: "none" });
    } catch {
      throw new Error(
        `${file.name || "This file"} is not an image that this browser can read; use JPEG, PNG or WebP.`);
    }
    await take(image, image.width, image.height, file.name.replace(/\.\w+$/, "") || "image");
  });

  $("file").addEventListener("change", () => read($("file").files[0]));
  document.addEventListener("paste", (event) => read(event.clipboardData.files[0]));
  $("direction").addEventListener("change", draw);
  for (const [kind, over] of [["dragover", true], ["dragleave", false], ["drop", false]])
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      $("drop").classList.toggle("over", over);
      if (kind === "drop") read(event.dataTransfer.files[0]);
    });

  const video = $("video");
  const stop = () => {
    video.srcObject?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    video.hidden = $("stop").hidden = true;
    $("webcam").textContent = "Use the webcam";
  };
  $("webcam").addEventListener("click", guarded(async () => {
    if (video.srcObject) return video.videoWidth && take(video, video.videoWidth, video.videoHeight, "webcam");
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia(WEBCAM);
    } catch {
      throw new Error(
        "The webcam cannot be used. Allow it in the browser; the page must be opened from https or localhost.");
    }
    video.hidden = $("stop").hidden = false;
    $("webcam").textContent = "Translate this image";
  }));
  $("stop").addEventListener("click", stop);

  $("split").addEventListener("input", () => $("comparison").style.setProperty("--split", `${$("split").value}%`));
  $("save").addEventListener("click", () => save($("after").firstChild, `${name}_translated`));
  $("translator").hidden = false;
  say("Ready. Choose a photograph.");
}
