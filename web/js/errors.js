// The one class of errors, the waits that a signal can end, and the options of a call.

/** Every error of this package. */
export class PeergraphError extends Error {
  constructor(code, message, { hint = "", cause, tried } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    // Programs that know nothing of this package recognise an abort by this name.
    this.name = code === "aborted" ? "AbortError" : "PeergraphError";
    this.code = code;
    this.hint = hint;
    if (tried) this.tried = triedOf(tried);
  }
}

/** Makes an error of whatever the module, the browser or we threw. */
export function errorOf(thrown) {
  if (thrown instanceof PeergraphError) return thrown;
  if (typeof thrown?.code === "string" && typeof thrown.message === "string"
    && typeof thrown.hint === "string") {
    return new PeergraphError(thrown.code, thrown.message, { hint: thrown.hint, tried: thrown.tried });
  }
  const message = `a fault of this package: ${thrown?.message ?? thrown}`;
  return new PeergraphError("internal", message, {
    hint: "reload the page, and report this", cause: thrown });
}

/** The attempts to find members, as plain data that nobody changes. */
export function triedOf(raw) {
  const frozen = (list) => Object.freeze(list.map((it) => Object.freeze(it)));
  return Object.freeze({ ...raw, nodes: frozen(raw.nodes), places: frozen(raw.places) });
}

export function closedError() {
  return new PeergraphError("closed", "this peer or group is closed", { hint: "open it again" });
}

export function badArgument(message, cause) {
  return new PeergraphError("bad-argument", message, { cause });
}

function abortedError(signal) {
  return new PeergraphError("aborted", "the wait was ended by its signal", { cause: signal.reason });
}

/** Throws if `signal` is aborted already. */
export function checkSignal(signal) {
  if (signal?.aborted) throw abortedError(signal);
}

/** The outcome of `promise`, unless `signal` comes first. Failures become errors of ours. */
export async function waitFor(promise, signal) {
  if (!signal) {
    return promise.catch((thrown) => { throw errorOf(thrown); });
  }
  let stop;
  const aborted = new Promise((_, reject) => {
    stop = () => reject(abortedError(signal));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } catch (thrown) {
    throw errorOf(thrown);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

const isText = (value) => typeof value === "string";
const isTruth = (value) => typeof value === "boolean";
const isFunction = (value) => typeof value === "function";
const isNumber = (value) => typeof value === "number" && !Number.isNaN(value);
const isWhole = (value) => Number.isSafeInteger(value) && value >= 0;
const isList = (value) => typeof value === "object" && typeof value[Symbol.iterator] === "function";

/** The types of options, by their names, whichever call takes them. */
const TYPES = Object.entries({
  "text": [isText, "name", "storage", "classifier", "comment", "password", "role", "for", "reason", "type", "types", "creator",
    "order", "after", "mediaType", "ifVersion", "file", "records", "members", "purpose", "node"],
  "true or false": [isTruth, "withRecords", "shared", "takeOver", "membersOnly", "persist", "count", "refresh", "forced", "here",
    "administrators", "passwords", "deferExpiry", "latest"],
  "a whole number": [isWhole, "uses", "presence", "payloadBytesMax", "memberRecords", "memberBytes"],
  "a number": [isNumber, "limit"],
  "a span of time: milliseconds, or text such as \"15m\", \"7d\"": [(value) => isNumber(value) || isText(value),
    "expiresIn", "membershipLifetime", "within"],
  "a list": [isList, "nodes", "priorities", "roles", "rights", "may"],
  "an object": [(value) => typeof value === "object", "attributes", "policy"],
  "a function": [isFunction, "merge", "onStored"],
  "text or a URL": [(value) => isText(value) || value instanceof URL, "page"],
  "an AbortSignal": [(value) => isTruth(value.aborted), "signal"],
}).reduce((types, [words, [test, ...names]]) => {
  for (const name of names) types.set(name, { words, test });
  return types;
}, new Map());

/** The kind of a value, in an error. */
function kindOf(value) {
  if (isText(value)) return "text";
  if (isList(value)) return "a list";
  const article = typeof value === "object" ? "an" : "a";
  return isNumber(value) ? `the number ${value}` : `${article} ${typeof value}`;
}

function checkTypes(given, call) {
  for (const [name, value] of Object.entries(given)) {
    const type = TYPES.get(name);
    if (value == null || !type || type.test(value)) continue;
    throw badArgument(`the option ${name} of ${call} is ${type.words}, not ${kindOf(value)}`);
  }
}

/**
 * The options of a call. Refuses those that `known`, a list of names, does not have, since a slip would pass unseen, and
 * those of another type than their names have.
 */
export function optionsOf(given, known, call) {
  if (given === undefined || given === null) return {};
  if (typeof given !== "object") throw badArgument(`${call} takes its options as an object`);
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    const meant = known.find((other) => isNear(name.toLowerCase(), other.toLowerCase()));
    const hint = meant ? `did you mean ${meant}?` : `it takes ${known.join(", ") || "none"}`;
    throw badArgument(`${call} has no option ${name}; ${hint}`);
  }
  checkTypes(given, call);
  return given;
}

const isNear = (one, other) => one.startsWith(other) || other.startsWith(one);
