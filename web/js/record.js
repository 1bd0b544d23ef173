// Records, and what applications put into them.
import { badArgument } from "./errors.js";

const SPANS_MS = {
  s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000, y: 365 * 86_400_000,
};

/** Milliseconds of a span such as `"7d"`; `null` where none is given. */
export function spanMs(span) {
  if (span === undefined || span === null) return null;
  const [, number, unit] = /^(\d+(?:\.\d+)?)([smhdwy])$/.exec(span) ?? [];
  const ms = typeof span === "number" ? span : Number(number) * SPANS_MS[unit];
  if (!(ms >= 0 && ms <= Number.MAX_SAFE_INTEGER)) {
    throw badArgument(`not a span of time: ${span}; write milliseconds, or text such as "15m", "7d"`);
  }
  return Math.floor(ms);
}

/** The bytes of a payload: JSON, or what is bytes already. */
export function encodePayload(data) {
  if (data instanceof Uint8Array) return data;
  const text = JSON.stringify(data);
  if (text === undefined) throw badArgument("data is nothing that JSON can say");
  return new TextEncoder().encode(text);
}

/** Attributes as the module takes them: one entry a value, with its kind. */
export function encodeAttributes(attributes = {}) {
  return Object.entries(attributes).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one) => encodeAttribute(name, one)));
}

function encodeAttribute(name, value) {
  switch (typeof value) {
    case "string": return { name, kind: "string", value };
    case "boolean": return { name, kind: "boolean", value };
    case "bigint":
      if (value === BigInt.asIntN(64, value)) return { name, kind: "integer", value };
      break;
    case "number":
      if (Number.isSafeInteger(value)) return { name, kind: "integer", value: BigInt(value) };
      if (Number.isFinite(value)) return { name, kind: "real", value };
      break;
    default:
      if (value instanceof Date && value.getTime() >= 0) {
        return { name, kind: "date", value: value.getTime() };
      }
  }
  throw badArgument(`attribute ${name}: expected text, a finite number, a date, or a truth value`);
}

export function decodeAttributes(list) {
  const attributes = Object.create(null);
  for (const { name, kind, value } of list) {
    const decoded = kind === "date" ? new Date(value)
      : typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value)
      : value;
    if (!(name in attributes)) attributes[name] = decoded;
    else if (Array.isArray(attributes[name])) attributes[name].push(decoded);
    else attributes[name] = [attributes[name], decoded];
  }
  return attributes;
}

/** A signed record. A snapshot, but for `status` and names. */
export class GroupRecord {
  #group;
  #data;
  #decoded = false;
  /** As the module gave it, so that an update loses nothing. */
  #attributes;

  constructor(raw, group) {
    this.#group = group;
    this.#attributes = raw.attributes;
    this.id = raw.id;
    this.type = raw.type;
    this.version = BigInt(raw.version);
    this.creator = group.person(raw.creator);
    this.created = new Date(raw.created);
    this.modified = new Date(raw.modified);
    this.expires = new Date(raw.expires);
    this.deleted = raw.deleted;
    this.attributes = decodeAttributes(raw.attributes);
    this.bytes = raw.bytes;
    this.cursor = raw.cursor;
  }

  static attributesOf(record) {
    return record.#attributes;
  }

  get data() {
    if (!this.#decoded) {
      this.#decoded = true;
      this.#data = this.deleted ? undefined : decodePayload(this.bytes);
    }
    return this.#data;
  }

  get text() {
    return new TextDecoder().decode(this.bytes);
  }

  get status() {
    return this.#group.statusOf(this.id, this.creator.me);
  }
}

function decodePayload(bytes) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return bytes;
  }
}
