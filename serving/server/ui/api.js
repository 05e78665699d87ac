// What the page asks the server: TensorFlow Serving's REST API, and the page's own small endpoints.

/** An answer that is an error, with the server's words. */
export class ServerError extends Error {}

async function ask(path, body) {
  let response;
  try {
    response = await fetch(path, body === undefined ? {} : { method: "POST", body });
  } catch {
    throw new ServerError("The server can't be reached. Is it still running?");
  }
  const text = await response.text();
  let document;
  try {
    document = JSON.parse(text);
  } catch {
    if (response.ok) throw new ServerError("The answer holds NaN or infinite numbers, which JSON can't.");
    document = { error: text };
  }
  if (!response.ok) {
    throw new ServerError(`${document.error || "The server gave no reason."} (HTTP ${response.status})`);
  }
  return document;
}

/** The path of a model, or of one of its versions; an empty version is the latest. */
export function modelPath(model, version) {
  const path = `/v1/models/${encodeURIComponent(model)}`;
  return version ? `${path}/versions/${encodeURIComponent(version)}` : path;
}

/** Names of the models, gRPC port, whether it is encrypted, and how many titles there are. */
export const server = () => ask("/ui/server.json");

/** The versions of a model: [{version, state}], newest first. */
export async function versions(model) {
  const { model_version_status: found } = await ask(modelPath(model));
  return found.sort((a, b) => Number(b.version) - Number(a.version));
}

/** The signatures of a version: name -> {inputs, outputs, method_name}. */
export async function signatures(model, version) {
  const document = await ask(`${modelPath(model, version)}/metadata`);
  return document.metadata.signature_def.signature_def;
}

/** The outputs of a request, whose body is JSON. */
export async function predict(model, version, body) {
  return (await ask(`${modelPath(model, version)}:predict`, body)).outputs;
}

/** Items whose id or title holds a text: id -> title. */
export const search = (text) => ask(`/ui/items.json?search=${encodeURIComponent(text)}`);

const known = new Map();

/** Titles of items: id -> title, where there is one. */
export async function titles(ids) {
  const asked = ids.filter((id) => !known.has(id));
  for (let start = 0; start < asked.length; start += 100) {
    const part = asked.slice(start, start + 100);
    const found = await ask(`/ui/items.json?${part.map((id) => `id=${encodeURIComponent(id)}`).join("&")}`);
    for (const id of part) known.set(id, found[id]);
  }
  return Object.fromEntries(ids.filter((id) => known.get(id)).map((id) => [id, known.get(id)]));
}
