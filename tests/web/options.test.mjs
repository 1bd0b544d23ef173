// Goal: an option of another type is refused by its name, with what it should be. Method: pure functions, no browser.
import assert from "node:assert/strict";
import { test } from "node:test";
import { optionsOf } from "../../web/js/errors.js";

const fails = (options, words) => assert.throws(() => optionsOf(options, Object.keys(options), "peer.call"),
  (error) => {
    assert.equal(error.code, "bad-argument");
    assert.equal(error.message, `the option ${words}`);
    return true;
  });

test("an option of another type is named, with the type that it has", () => {
  fails({ name: 5 }, "name of peer.call is text, not the number 5");
  fails({ nodes: "http://node.example" }, "nodes of peer.call is a list, not text");
  fails({ uses: "5" }, "uses of peer.call is a whole number, not text");
  fails({ uses: 1.5 }, "uses of peer.call is a whole number, not the number 1.5");
  fails({ roles: "editor" }, "roles of peer.call is a list, not text");
  fails({ takeOver: "yes" }, "takeOver of peer.call is true or false, not text");
  fails({ membersOnly: 1 }, "membersOnly of peer.call is true or false, not the number 1");
  fails({ storage: ["a"] }, "storage of peer.call is text, not a list");
  fails({ attributes: "room" }, "attributes of peer.call is an object, not text");
  fails({ merge: {} }, "merge of peer.call is a function, not an object");
  fails({ expiresIn: new Date(0) },
    'expiresIn of peer.call is a span of time: milliseconds, or text such as "15m", "7d", not an object');
  fails({ signal: {} }, "signal of peer.call is an AbortSignal, not an object");
});

test("options of their types are taken as they are, and those that are not given", () => {
  const given = {
    name: "Ada", nodes: new Set(["http://node.example"]), storage: undefined, comment: null, uses: 5, takeOver: false,
    expiresIn: "7d", page: new URL("http://node.example/"), signal: new AbortController().signal, attributes: { room: "a" },
    roles: Object.freeze(["editor"]), limit: Infinity, mistake: undefined,
  };
  const { mistake: _, ...known } = given;
  assert.equal(optionsOf(known, Object.keys(known), "peer.call"), known);
  assert.throws(() => optionsOf(given, Object.keys(known), "peer.call"), /no option mistake/);
  assert.deepEqual(optionsOf(undefined, [], "peer.call"), {});
});
