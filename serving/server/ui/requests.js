// A request in its three forms: the JSON of the REST API, a curl command and a grpcurl command.

import { modelPath } from "/ui/api.js";

const SMALLEST_BUCKET = 8;
// A word stays a word, so that the server says what is wrong with it. Nothing is an unknown value: NaN, 0 or "".
const number = (cell) => (Number.isNaN(Number(cell)) ? cell : Number(cell));
const unknownOr = (cell) => (cell === "" ? NaN : number(cell));
const DTYPES = {
  DT_FLOAT: { enumerated: 1, field: "floatVal", of: unknownOr },
  DT_DOUBLE: { enumerated: 2, field: "doubleVal", of: unknownOr },
  DT_INT32: { enumerated: 3, field: "intVal", of: number },
  DT_STRING: { enumerated: 7, field: "stringVal", of: String },
  DT_INT64: { enumerated: 9, field: "int64Val", of: number },
  DT_BOOL: { enumerated: 10, field: "boolVal", of: (cell) => cell === "true" },
};

/** Describes an input of a signature: {alias, dtype, rank, isItems, isFlag}. */
export function describe(alias, { dtype, tensor_shape: shape }) {
  const rank = shape.unknown_rank ? 2 : (shape.dim || []).length;
  const isItems = dtype === "DT_STRING" && rank === 2;
  return { alias, dtype, rank, isItems, isFlag: dtype === "DT_BOOL" && rank === 1 };
}

/** Whether the page can ask for a signature: all of its inputs can be typed. */
export function isAskable({ inputs, method_name: method }) {
  const all = Object.entries(inputs).map(([alias, info]) => describe(alias, info));
  return method.endsWith("/predict") && all.every(({ dtype, rank }) => dtype in DTYPES && (rank === 1 || rank === 2));
}

/** Histories are padded on the left to few widths, with at least one "" in front, as the Python client does. */
function padLeft(history) {
  let width = SMALLEST_BUCKET;
  while (width <= history.length) width *= 2;
  return [...Array(width - history.length).fill(""), ...history];
}

function row({ alias, dtype, isItems, isFlag }, value) {
  if (alias === "history" && isItems) return padLeft(value);
  if (isItems) return value.length ? value : [""];
  return isFlag ? [value] : value.map(DTYPES[dtype].of);
}

/** The body of a :predict for one user, from the inputs' descriptions and alias -> value. */
export function body(signature, inputs, values) {
  const columns = inputs.map((input) => {
    const cells = row(input, values[input.alias]);
    return [input.alias, input.rank === 2 ? [cells] : cells];
  });
  return { signature_name: signature, inputs: Object.fromEntries(columns) };
}

/** JSON in one line, or to read with an object's fields each on a line; NaN is written as TensorFlow Serving reads it. */
export function json(value, indent = null) {
  const inner = indent === null ? null : `${indent}  `;
  const space = indent === null ? "" : " ";
  if (Array.isArray(value)) return `[${value.map((cell) => json(cell, inner)).join(`,${space}`)}]`;
  if (value === null || typeof value !== "object") return Number.isNaN(value) ? "NaN" : JSON.stringify(value);
  const field = ([name, cell]) => `${JSON.stringify(name)}:${space}${json(cell, inner)}`;
  const fields = Object.entries(value).map(field);
  if (indent === null) return `{${fields.join(",")}}`;
  return `{\n${fields.map((each) => `${inner}${each}`).join(",\n")}\n${indent}}`;
}

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** A curl command for a shell. */
export function curl(model, version, request) {
  return `curl -d ${quoted(json(request))} ${quoted(`${location.origin}${modelPath(model, version)}:predict`)}`;
}

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

function tensor({ dtype }, nested) {
  const { enumerated, field } = DTYPES[dtype];
  const cells = nested.flat();
  const shape = Array.isArray(nested[0]) ? [nested.length, nested[0].length] : [nested.length];
  return {
    dtype: enumerated,
    tensorShape: { dim: shape.map((size) => ({ size })) },
    [field]: cells.map(dtype === "DT_STRING" ? base64 : (cell) => (Number.isNaN(cell) ? "NaN" : cell)),
  };
}

/** A grpcurl command for a shell, after one that fetches the descriptors that it needs. */
export function grpcurl(model, version, inputs, request, { grpc_port: port, tls }) {
  const message = {
    modelSpec: { name: model, signatureName: request.signature_name, ...(version && { version: { value: version } }) },
    inputs: Object.fromEntries(inputs.map((input) => [input.alias, tensor(input, request.inputs[input.alias])])),
  };
  return [
    `curl -sO ${quoted(`${location.origin}/ui/predict.protoset`)}`,
    `grpcurl ${tls ? "" : "-plaintext "}-protoset predict.protoset -d ${quoted(JSON.stringify(message))} ` +
      `${location.hostname}:${port} tensorflow.serving.PredictionService/Predict`,
  ].join("\n");
}
