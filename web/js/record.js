// Records as plain data, and what applications put into them.
import { PeergraphError, badArgument } from "./errors.js";

/** The attribute that tells what a payload is. Source: `record::MEDIA_TYPE` of the core. */
const MEDIA_TYPE = "mediaType";
const JSON_TYPE = "application/json";
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { fatal: true });

const SPANS_MS = {
  s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000, y: 365 * 86_400_000,
};

/** Milliseconds of a span such as `"7d"`; `null` where none is given. */
export function spanMs(span, option = "expiresIn") {
  if (span === undefined || span === null) return null;
  const [, number, unit] = /^(\d+(?:\.\d+)?)([smhdwy])$/.exec(span) ?? [];
  const ms = typeof span === "number" ? span : Number(number) * SPANS_MS[unit];
  if (!(ms >= 0 && ms <= Number.MAX_SAFE_INTEGER)) {
    throw badArgument(`${option} is not a span of time: ${span}; write milliseconds, or text such as "15m", "7d"`);
  }
  return Math.floor(ms);
}

/**
 * A payload as the module takes it: its bytes (or the `Blob` that has them), and its media type, which is that of JSON
 * for everything that is not bytes.
 */
export function encodePayload(data, mediaType) {
  if (mediaType !== undefined && typeof mediaType !== "string") throw badArgument("mediaType is text");
  const bytes = bytesOf(data);
  if (bytes) return { bytes, mediaType: mediaType ?? (bytes === data && data.type ? data.type : null) };
  if (mediaType !== undefined) throw badArgument("mediaType is for bytes; everything else is JSON");
  return { bytes: ENCODER.encode(jsonOf(data)), mediaType: JSON_TYPE };
}

const tagOf = (value) => Object.prototype.toString.call(value).slice(8, -1);

/** The bytes of what is bytes: a buffer, a view of one, a blob. */
function bytesOf(data) {
  try {
    if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    switch (tagOf(data)) {
      case "ArrayBuffer":
      case "SharedArrayBuffer": return new Uint8Array(data);
      case "Blob":
      case "File": return data;
    }
  } catch (cause) {
    throw badArgument("data is bytes that cannot be read; was their buffer given away?", cause);
  }
  return null;
}

/** The bytes of a `Blob`. A file may be gone by now. */
export async function readBlob(blob) {
  try {
    return new Uint8Array(await blob.arrayBuffer());
  } catch (cause) {
    throw badArgument("data is a file that cannot be read", cause);
  }
}

/** Text in JSON that says all of `data`. */
function jsonOf(data) {
  let first = true;
  const check = function check(key, value) {
    const where = first ? "data" : `${key || '""'} in data`;
    const fault = faultOf(value, first || Array.isArray(this));
    first = false;
    if (fault) throw badArgument(`${where} is ${fault}, which JSON cannot say`);
    return value;
  };
  try {
    return JSON.stringify(data, check);
  } catch (cause) {
    if (cause instanceof PeergraphError) throw cause;
    throw badArgument(`data cannot be said in JSON: ${cause?.message ?? cause}`, cause);
  }
}

/** The fault of a value, if JSON would lose it or a part of it. */
function faultOf(value, needed) {
  switch (typeof value) {
    case "undefined": return needed ? "undefined" : null;
    case "number": return Number.isFinite(value) ? null : String(value);
    case "bigint":
    case "symbol":
    case "function": return `a ${typeof value}`;
    case "object": return value === null || Array.isArray(value) || isPlain(value) ? null : `a ${tagOf(value)}`;
    default: return null;
  }
}

/** Whether an object is what its fields say. One of a class without any hides what it is. */
function isPlain(value) {
  if (tagOf(value) !== "Object") return false;
  const parent = Object.getPrototypeOf(value);
  const isBare = parent === null || Object.getPrototypeOf(parent) === null;
  return isBare || Object.keys(value).length > 0;
}

/** Attributes as the module takes them: one entry a value, with its kind. */
export function encodeAttributes(attributes = {}) {
  if (attributes === null || typeof attributes !== "object") throw badArgument("attributes is an object");
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

/** Attributes of a record as the module takes them, with its media type among them. */
export function withMediaType(attributes, mediaType) {
  if (attributes.some(({ name }) => name === MEDIA_TYPE)) {
    throw badArgument(`the attribute ${MEDIA_TYPE} is written by the package; use the option ${MEDIA_TYPE}`);
  }
  return mediaType ? [...attributes, { name: MEDIA_TYPE, kind: "string", value: mediaType }] : attributes;
}

/** The media type of a record whose new content is bytes, too. */
export function keptMediaType(mediaType) {
  return mediaType === JSON_TYPE ? null : mediaType;
}

/** Attributes as applications read them. Whole numbers that no `number` can hold come as text, which JSON takes. */
export function decodeAttributes(list) {
  const attributes = Object.create(null);
  for (const { name, kind, value } of list) {
    const decoded = kind === "date" ? new Date(value) : typeof value === "bigint" ? wholeNumber(value) : value;
    if (!(name in attributes)) attributes[name] = decoded;
    else if (Array.isArray(attributes[name])) attributes[name].push(decoded);
    else attributes[name] = [attributes[name], decoded];
  }
  return attributes;
}

function wholeNumber(value) {
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}

/** A version that an application gives; `null` where it gives none. */
export function encodeVersion(version) {
  if (version === undefined) return null;
  if (typeof version === "string" && /^\d{20}$/.test(version)) return version;
  throw badArgument("ifVersion is the version of a record: text of 20 digits");
}

/** The id of a record, or of a text that is one. */
export function idOf(record) {
  const id = typeof record === "string" ? record : record?.id;
  if (typeof id !== "string") throw badArgument("expected a record, or its id");
  return id;
}

/**
 * A record as the module tells it, taken apart. Its words come as one text, since each text that crosses costs as much as
 * all the rest; the media type is the last of them, and may be any text.
 */
export function rawOf({ words, deleted = false, attributes = [], ...rest }) {
  const [id, type, version, edition, creator, modifier, ...mediaType] = words.split("\n");
  return {
    ...rest, id, type, version, edition, creator, modifier, deleted, attributes,
    mediaType: mediaType.length > 0 ? mediaType.join("\n") : null,
  };
}

/** Sizes of records that were made here. */
const SIZES = new WeakMap();

/** The size of what a record says, about: bytes of its payload, characters of its attributes. */
export const sizeOf = (record) => SIZES.get(record) ?? 0;

/** A record as plain data. `group` knows names and how far records of ours got. */
export function recordOf(raw, group) {
  const { mediaType } = raw;
  const record = {
    id: raw.id,
    type: raw.type,
    version: raw.version,
    edition: raw.edition,
    creator: group.person(raw.creator),
    modifier: raw.modifier ? group.person(raw.modifier) : null,
    created: new Date(raw.created),
    modified: new Date(raw.modified),
    expires: new Date(raw.expires),
    deleted: raw.deleted,
    attributes: decodeAttributes(raw.attributes),
    mediaType,
    data: raw.deleted ? undefined : decodePayload(raw.bytes, mediaType),
    status: group.statusOf(raw.id),
    // As `convert.rs` reads it.
    cursor: `${raw.modified}.${raw.id}`,
  };
  const attributes = raw.attributes.map(({ name, value }) => name.length + String(value).length);
  SIZES.set(record, attributes.reduce((sum, size) => sum + size, raw.bytes.length + (mediaType?.length ?? 0)));
  return record;
}

/** A payload that is called JSON, as the value that it says; everything else as the bytes that it is. */
export function decodePayload(bytes, mediaType) {
  if (mediaType !== JSON_TYPE) return bytes;
  try {
    return JSON.parse(DECODER.decode(bytes));
  } catch {
    return bytes;
  }
}
