// The page: load the model, then show the controls that it needs.

import { start as startGenerator } from "./generator.mjs";
import { $, ask, guarded } from "./page.mjs";
import { start as startTranslator } from "./translator.mjs";

guarded(async () => {
  let model;
  await ask("load", {}, (item) => { model = item; });
  $("title").textContent = document.title = model.title;
  return (model.kind === "generator" ? startGenerator : startTranslator)(model);
})();
