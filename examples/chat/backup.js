// Backups: one is saved as a file under a password, and restored from that, here or in another browser.
import { $, painted, setText } from "./dom.js";
import { errorWords } from "./words.js";

/** A shorter password is soon guessed by whoever finds the file. */
const PASSWORD_CHARS_MIN = 8;

/**
 * A form that asks for a password: the work waits until the words about it are on the screen, since deriving a key from the
 * password holds the page up. `work(password)` does it, and what it throws is shown.
 */
function guard(form, error, words, { waiting, work }) {
  form.onsubmit = async (event) => {
    event.preventDefault();
    const button = form.querySelector("button.primary");
    if (button.disabled) return;
    button.disabled = true;
    setText(error, "");
    try {
      setText(words, waiting);
      await painted();
      setText(words, await work() ?? "");
    } catch (failure) {
      setText(words, "");
      setText(error, errorWords(failure));
    } finally {
      button.disabled = false;
    }
  };
}

/** A form that restores. `restore(file, password)` does it. */
export function restoreWith(prefix, restore) {
  const [file, password] = [$(`${prefix}-file`), $(`${prefix}-password`)];
  guard($(`${prefix}-form`), $(`${prefix}-error`), $(`${prefix}-words`), {
    waiting: "Opening the backup … The page stands still for some seconds.",
    work: async () => {
      if (!file.files[0]) throw missing(file, "Choose the file of the backup.");
      if (!password.value) throw missing(password, "Type the password of the backup.");
      await restore(file.files[0], password.value);
      $(`${prefix}-form`).reset();
    },
  });
}

/** Prepares the dialog. `current()` gives the open peer, `restore(file, password)` goes on from a backup. */
export function setUpBackup({ current, restore }) {
  const dialog = $("backup");
  $("menu-backup").addEventListener("click", () => {
    $("group-menu").hidePopover();
    forget();
    dialog.showModal();
    $("backup-password").focus();
  });
  const forget = () => {
    $("mend").open = false;
    for (const form of ["backup-form", "mend-form"]) $(form).reset();
    for (const words of ["backup-words", "backup-error", "mend-words", "mend-error"]) setText($(words), "");
  };
  $("backup-close").addEventListener("click", () => dialog.close());
  // A password does not stay in the page.
  dialog.addEventListener("close", forget);
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  guard($("backup-form"), $("backup-error"), $("backup-words"), {
    waiting: "Making the backup … The page stands still for some seconds.",
    work: async () => {
      const [password, again] = [$("backup-password"), $("backup-again")];
      if (password.value.length < PASSWORD_CHARS_MIN) {
        throw missing(password, `Take a password of at least ${PASSWORD_CHARS_MIN} characters.`);
      }
      if (again.value !== password.value) throw missing(again, "The two passwords differ.");
      const peer = current();
      const bytes = await peer.backup(password.value, { withRecords: $("backup-records").checked });
      download(bytes, fileName(peer.name));
      $("backup-form").reset();
      return "The backup is saved. Without its password nobody can open it, not even you.";
    },
  });
  restoreWith("mend", async (file, password) => {
    dialog.close();
    await restore(file, password);
  });
}

function fileName(name) {
  const who = name.normalize("NFC").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 40);
  return `peergraph-${who || "backup"}-${new Date().toISOString().slice(0, 10)}.backup`;
}

function download(bytes, name) {
  const url = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  Object.assign(link, { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function missing(field, words) {
  field.focus();
  return new Error(words);
}
