// The page: choices from the server's own API, a request from the choices, and its answer.

import * as api from "/ui/api.js";
import { ranked, showRanking } from "/ui/answer.js";
import { ItemPicker } from "/ui/picker.js";
import * as requests from "/ui/requests.js";

const PREFERRED = ["recommend_filtered", "recommend", "serving_default"];
const INPUTS = {
  history: ["History", "What the user touched, oldest first; empty: an unknown user."],
  exclude: ["Exclude", "Items that must not be recommended."],
  allow: ["Allow", "The only items that may be recommended; empty: all."],
  candidates: ["Candidates", "Items to score."],
  exclude_seen: ["Leave out items of the history", ""],
};
const byId = (id) => document.getElementById(id);
const [model, version, signature, k] = ["model", "version", "signature", "k"].map(byId);

let server = { models: [], titles: 0 };
let signatures = {};
let fields = []; // one an input of the signature: {input, element, value()}
const values = new Map(); // alias -> value; outlives a change of model or signature

function showError(error) {
  const known = error instanceof api.ServerError;
  byId("error").textContent = known ? error.message : `The page failed: ${error.message}`;
  byId("error").hidden = false;
  for (const id of ["summary", "ranking", "raw-answer"]) byId(id).hidden = true;
}

function choose(select, options, wanted) {
  select.replaceChildren(...options.map(({ value, label, disabled }) => {
    const option = new Option(label ?? value, value);
    option.disabled = Boolean(disabled);
    return option;
  }));
  const usable = options.filter(({ disabled }) => !disabled).map(({ value }) => value);
  select.value = usable.includes(wanted) ? wanted : usable[0] ?? "";
}

function chooseModel(wanted) {
  // A model of a link that isn't served stays to be chosen: the server then says what is wrong with it.
  const names = wanted && !server.models.includes(wanted) ? [...server.models, wanted] : server.models;
  choose(model, names.map((value) => ({ value })), wanted);
}

async function modelChanged(wanted = {}) {
  signatures = {};
  choose(version, [{ value: "", label: "latest" }]);
  choose(signature, []);
  showFields();
  const asked = model.value;
  const found = await api.versions(asked);
  if (asked !== model.value) return; // another choice was made meanwhile
  const options = found.map(({ version: value, state }) => {
    const available = state === "AVAILABLE";
    return { value, label: available ? value : `${value} (${state.toLowerCase()})`, disabled: !available };
  });
  if (wanted.version && !found.some(({ version: value }) => value === wanted.version)) {
    options.push({ value: wanted.version });
  }
  choose(version, [{ value: "", label: "latest" }, ...options], wanted.version);
  await versionChanged(wanted.signature);
}

async function versionChanged(wanted = signature.value) {
  const asked = [model.value, version.value];
  const found = await api.signatures(...asked);
  if (asked[0] !== model.value || asked[1] !== version.value) return; // another choice was made meanwhile
  signatures = found;
  byId("error").hidden = true;
  const names = Object.keys(signatures).filter((name) => name !== "__saved_model_init_op").sort();
  const preferred = wanted || PREFERRED.find((name) => name in signatures);
  choose(signature, names.map((value) => ({ value, disabled: !requests.isAskable(signatures[value]) })), preferred);
  showFields();
}

function itemsField(input) {
  const [label, hint] = INPUTS[input.alias] || [input.alias, "Any number of values; none: unknown."];
  const hasTitles = server.titles > 0 && input.alias in INPUTS;
  const picker = new ItemPicker({ label, hint, hasTitles, changed: () => showCommands() });
  picker.ids = values.get(input.alias) || [];
  return { input, element: picker.element, value: () => picker.ids, commit: () => picker.commit() };
}

function flagField(input) {
  const box = Object.assign(document.createElement("input"), { type: "checkbox" });
  box.checked = String(values.get(input.alias) ?? true) === "true";
  const element = Object.assign(document.createElement("label"), { className: "flag" });
  element.append(box, INPUTS[input.alias]?.[0] || input.alias);
  return { input, element, value: () => box.checked };
}

function plainField(input) {
  const box = Object.assign(document.createElement("input"), { type: "text" });
  box.value = (values.get(input.alias) || []).join(",");
  const element = Object.assign(document.createElement("label"), { className: "field" });
  element.append(`${input.alias} (${input.dtype.slice(3).toLowerCase()})`, box);
  const cells = () => (input.rank === 1 ? [box.value] : box.value.split(",")).map((cell) => cell.trim());
  return { input, element, value: cells };
}

function remember() {
  for (const field of fields) values.set(field.input.alias, field.value());
}

function showFields() {
  remember();
  const { inputs = {}, outputs = {} } = signatures[signature.value] || {};
  const order = Object.keys(INPUTS);
  const place = (alias) => (order.includes(alias) ? order.indexOf(alias) : order.length);
  const described = Object.entries(inputs).map(([alias, info]) => requests.describe(alias, info));
  described.sort((a, b) => place(a.alias) - place(b.alias) || a.alias.localeCompare(b.alias));
  fields = described.map((input) => (input.isItems ? itemsField : input.isFlag ? flagField : plainField)(input));
  byId("inputs").replaceChildren(...fields.map(({ element }) => element));
  byId("k-field").hidden = !("item_ids" in outputs);
  byId("ask").disabled = !signature.value;
  showCommands();
}

function currentRequest() {
  remember();
  const inputs = fields.map(({ input }) => input);
  const body = requests.body(signature.value, inputs, Object.fromEntries(values));
  return { inputs, body };
}

function showCommands() {
  byId("commands").hidden = !signature.value;
  if (!signature.value) return;
  const { inputs, body } = currentRequest();
  byId("request").textContent = requests.json(body, "");
  byId("curl").textContent = requests.curl(model.value, version.value, body);
  byId("grpcurl").textContent = requests.grpcurl(model.value, version.value, inputs, body, server);
}

function link() {
  const query = new URLSearchParams({ model: model.value, signature: signature.value, k: k.value });
  if (version.value) query.set("version", version.value);
  for (const { input, value } of fields) {
    for (const cell of [value()].flat()) query.append(input.alias, String(cell));
  }
  return `/ui?${query}`;
}

async function show(outputs, milliseconds) {
  const names = Object.keys(signatures[signature.value].outputs);
  const byName = names.length === 1 ? { [names[0]]: outputs } : outputs; // a single output comes without its name
  const items = ranked(byName, values.get("candidates"), Number(k.value) || 10);
  const parts = [`Answered in ${milliseconds.toFixed(1)} ms, there and back.`];
  const noun = byName.classes ? ["class", "classes"] : ["item", "items"];
  if (items) parts.unshift(`${items.length} ${noun[items.length === 1 ? 0 : 1]}.`);
  if (items && byName.fallback?.[0]) parts.push("The model knows nothing of this history: these are popular items.");
  if (items) await showRanking(byId("ranking"), items, server.titles > 0);
  byId("raw-answer").textContent = items ? "" : requests.json(byName, "");
  byId("summary").textContent = parts.join(" ");
  byId("error").hidden = true;
  byId("summary").hidden = false;
  byId("ranking").hidden = !items;
  byId("raw-answer").hidden = Boolean(items);
}

async function ask() {
  for (const field of fields) field.commit?.();
  const { body } = currentRequest();
  history.replaceState(null, "", link());
  byId("answer").setAttribute("aria-busy", "true");
  try {
    const began = performance.now();
    const outputs = await api.predict(model.value, version.value, requests.json(body));
    await show(outputs, performance.now() - began);
  } finally {
    byId("answer").removeAttribute("aria-busy");
  }
}

async function copy(button) {
  const shown = byId(button.dataset.copies);
  getSelection().selectAllChildren(shown); // where the browser forbids to copy, it is one key press
  try {
    await navigator.clipboard.writeText(shown.textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

async function start() {
  const query = new URLSearchParams(location.search);
  server = await api.server();
  const titles = server.titles ? `, ${server.titles.toLocaleString("en")} titles` : "";
  byId("server").textContent = `${location.host}${titles}`;
  for (const alias of query.keys()) {
    values.set(alias, query.getAll(alias).filter(Boolean));
  }
  if (query.get("k")) k.value = query.get("k");
  chooseModel(query.get("model"));
  await modelChanged({ version: query.get("version"), signature: query.get("signature") });
  if (query.get("model")) await ask();
}

const guarded = (action) => () => action().catch(showError);
model.addEventListener("change", guarded(() => modelChanged()));
version.addEventListener("change", guarded(() => versionChanged()));
signature.addEventListener("change", () => showFields());
byId("form").addEventListener("input", () => showCommands());
byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  guarded(ask)();
});
for (const button of document.querySelectorAll("[data-copies]")) button.addEventListener("click", () => copy(button));
guarded(start)();
