// The page: start the engine, which loads and checks the model, then show the controls that the model needs.

import { ask } from "./engine.mjs";
import { start as startGenerator } from "./generator.mjs";
import { $, guarded } from "./page.mjs";
import { start as startTranslator } from "./translator.mjs";

guarded(async () => {
  let model;
  await ask("load", {}, (item) => { model = item; });
  $("title").textContent = document.title = model.title;
  return (model.kind === "generator" ? startGenerator : startTranslator)(model);
})();
