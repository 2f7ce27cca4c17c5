// Runs the networks beside the page, which stays responsive. It answers messages { id, task, ... } one after the other
// with { id, item } for each result, and at the end { id, done } or { id, error }. A newer message ends an older task.

import { generate } from "./generate.mjs";
import { check, load } from "./model.mjs";
import { toImageData, toPlanes } from "./pixels.mjs";
import { translate } from "./translate.mjs";

let loaded, newest, last = Promise.resolve();

const tasks = {
  async *load({ provider }, say) {
    loaded = await load(provider, (now, all) => say({ now, all }));
    await check(...loaded);
    const [, sessions, { check: _, means: __, ...model }] = loaded;
    yield { ...model, parts: Object.keys(sessions) };
  },
  async *generate({ seeds, settings }) {
    for await (const [output, n, seed] of generate(...loaded, seeds, settings))
      yield { seed, image: toImageData(toPlanes(output, n)) };
  },
  async *translate({ image, direction }) {
    const [ort, sessions, model] = loaded;
    yield { image: await translate(ort, sessions[direction], model, image) };
  },
};

async function perform({ id, task, ...given }) {
  const say = (item) => postMessage({ id, item });
  try {
    for await (const item of tasks[task](given, say)) {
      await new Promise((proceed) => setTimeout(proceed));  // a newer message can arrive
      if (id !== newest) break;
      say(item);
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
