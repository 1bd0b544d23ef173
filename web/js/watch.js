// First what is stored, then what arrives.

/**
 * Records that wait for a slow reader with their content. Beyond it they wait as ids, and are read again when
 * their turn comes: at most one id for each record of the group, and nothing is lost but versions in between.
 */
const WHOLE_MAX = 256;
/** Records read at once from the store. */
const PAGE = 200;
/** Records of which we remember that the reader has had them: those of about the last second. */
const SEEN_MAX = 2_000;

const QUIET = new Set(["aborted", "closed", "closing", "unknown-group"]);

/** The iterator behind `group.watch`. */
export async function* watch(group, type, signal) {
  const waiting = new Map();
  const seen = new Map();
  let whole = 0;
  let wake = () => {};

  const take = (id) => {
    const record = waiting.get(id);
    if (record) whole -= 1;
    waiting.delete(id);
    return record;
  };
  const onRecord = ({ detail: { record } }) => {
    if (type !== undefined && record.type !== type) return;
    take(record.id);
    // A deletion has no content to wait with, and could not be read again.
    const keeps = record.deleted || whole < WHOLE_MAX;
    if (keeps) whole += 1;
    waiting.set(record.id, keeps ? record : null);
    wake();
  };
  const isNews = (record) => {
    if (seen.get(record.id) >= record.version) return false;
    seen.delete(record.id);
    seen.set(record.id, record.version);
    if (seen.size > SEEN_MAX) seen.delete(seen.keys().next().value);
    return true;
  };
  const ends = () => signal?.aborted || group.closed;
  const onEnd = () => wake();

  group.addEventListener("record", onRecord);
  group.addEventListener("closed", onEnd);
  signal?.addEventListener("abort", onEnd);
  try {
    let after = null;
    do {
      const page = await group.records({ type, after, limit: PAGE, signal });
      for (const record of page) {
        if (waiting.get(record.id)?.version <= record.version) take(record.id);
        if (isNews(record)) yield record;
        if (ends()) return;
      }
      after = page.next;
    } while (after !== null);

    while (!ends()) {
      const [id] = waiting.keys();
      if (id === undefined) {
        await new Promise((resolve) => { wake = resolve; });
        continue;
      }
      const record = take(id) ?? await group.get(id, { signal });
      // Nothing: it has expired in the meantime.
      if (record && isNews(record)) yield record;
    }
  } catch (error) {
    if (!QUIET.has(error.code)) throw error;
  } finally {
    group.removeEventListener("record", onRecord);
    group.removeEventListener("closed", onEnd);
    signal?.removeEventListener("abort", onEnd);
  }
}
