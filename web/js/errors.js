// The one class of errors, and the waits that a signal can end.

/** Every error of this package. */
export class PeergraphError extends Error {
  constructor(code, message, { hint = "", cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "PeergraphError";
    this.code = code;
    this.hint = hint;
  }
}

/** Makes an error of whatever the module, the browser or we threw. */
export function errorOf(thrown) {
  if (thrown instanceof PeergraphError) return thrown;
  if (typeof thrown?.code === "string" && typeof thrown.message === "string"
    && typeof thrown.hint === "string") {
    return new PeergraphError(thrown.code, thrown.message, { hint: thrown.hint });
  }
  const message = `a fault of this package: ${thrown?.message ?? thrown}`;
  return new PeergraphError("internal", message, {
    hint: "reload the page, and report this", cause: thrown });
}

export function closedError() {
  return new PeergraphError("closed", "this peer or group is closed", { hint: "open it again" });
}

export function badArgument(message) {
  return new PeergraphError("bad-argument", message);
}

function abortedError(signal) {
  return new PeergraphError("aborted", "the wait was ended by its signal", { cause: signal.reason });
}

/** Throws where `signal` is aborted already. */
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
