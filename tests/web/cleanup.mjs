// Things that a test started are ended in the opposite order, so that no page sees its server go first.
const stacks = new WeakMap();

/** Runs `work` after the test, before everything that was begun earlier is ended. The first failure is told. */
export function afterwards(t, work) {
  let stack = stacks.get(t);
  if (!stack) {
    stacks.set(t, stack = []);
    t.after(async () => {
      let first;
      for (const next of stack.reverse()) {
        try {
          await next();
        } catch (error) {
          first ??= error;
        }
      }
      if (first) throw first;
    });
  }
  stack.push(work);
}
