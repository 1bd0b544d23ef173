// The dialog that makes an invitation: a link, also as a QR code. Anybody who has the link can join.
import { $, el, setText, toast } from "./dom.js";
import { errorWords, invitationWords, untilWords } from "./words.js";

/** Prepares the dialog. `current()` gives the group on the screen. */
export function setUpInvite(current) {
  const dialog = $("invite");
  const again = () => {
    $("invite-options").hidden = false;
    $("invite-result").hidden = true;
    // The link is a secret: it does not stay in the page.
    $("invite-link").value = "";
    $("invite-qr").removeAttribute("src");
    $("invite-password").value = "";
    setText($("invite-error"), "");
  };
  $("invite-button").addEventListener("click", () => {
    again();
    const { role, name, policy } = current();
    $("invite-password-field").hidden = !policy.passwords;
    setText($("invite-title"), `Invite to “${name}”`);
    $("invite-role-field").hidden = role !== "administrator";
    if (role !== "administrator") $("invite-role").value = "member";
    const may = role === "administrator" || role === "inviting";
    $("invite-options").hidden = !may;
    if (!may) setText($("invite-error"), "In this group you may read and write. Ask somebody who may invite others for a link.");
    dialog.showModal();
    listOpen();
  });
  /** The invitations that are open, each with a button that closes it. */
  const listOpen = async () => {
    const group = current();
    try {
      const open = await group.invitations();
      const rows = open.filter((it) => it.inviter.me || group.role === "administrator").map((invitation) => {
        const button = el("button", { type: "button", class: "quiet danger" }, "Withdraw");
        button.addEventListener("click", async () => {
          button.disabled = true;
          await invitation.withdraw().catch((error) => setText($("invite-error"), errorWords(error)));
          await listOpen();
        });
        return el("li", { "data-id": invitation.id }, el("span", { class: "small" }, invitationWords(invitation)), button);
      });
      $("invite-list").replaceChildren(...rows);
      setText($("invite-open-count"), String(rows.length));
      $("invite-open").hidden = rows.length === 0;
    } catch (error) {
      setText($("invite-error"), errorWords(error));
    }
  };
  $("invite-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", again);
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  $("invite-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    if ($("invite-options").hidden) return;
    const make = $("invite-make");
    make.disabled = true;
    setText(make, "Making the link …");
    setText($("invite-error"), "");
    try {
      const uses = Number($("invite-uses").value);
      const invitation = await current().invite({
        role: $("invite-role").value, uses, expiresIn: $("invite-expiry").value, page: pageAddress(),
        password: $("invite-password").value || undefined,
      });
      if (dialog.open) showInvitation(invitation, uses, $("invite-password").value !== "");
      listOpen();
    } catch (error) {
      setText($("invite-error"), errorWords(error));
    } finally {
      make.disabled = false;
      setText(make, "Make the link");
    }
  });
  $("invite-again").addEventListener("click", () => { again(); $("invite-make").focus(); });
  $("invite-copy").addEventListener("click", copy);
  $("invite-link").addEventListener("focus", (event) => event.target.select());
  $("invite-share").addEventListener("click", async () => {
    try {
      await navigator.share({ title: `Join “${current().name}”`, url: $("invite-link").value });
    } catch (error) {
      if (error.name !== "AbortError") toast("Sharing did not work here. Copy the link instead.");
    }
  });
}

/** This page without query and fragment: what the link opens. */
const pageAddress = () => new URL(location.pathname, location.origin);

function showInvitation(invitation, uses, password) {
  $("invite-link").value = invitation.link;
  const image = $("invite-qr");
  try {
    image.src = `data:image/svg+xml,${encodeURIComponent(invitation.qr())}`;
    image.hidden = false;
  } catch {
    image.hidden = true;
  }
  $("invite-share").hidden = typeof navigator.share !== "function";
  const who = uses === 1 ? "One person" : `Up to ${uses} people`;
  const until = invitation.expires ? `, it ends ${untilWords(invitation.expires)}` : "";
  setText($("invite-facts"),
    `${who} can join with it${password ? " and the password" : ""}${until}. `
    + `${password ? "Tell them the password in another way." : "Send it only to those who should."} `
    + "Keep this page open until they are in: your device lets them in.");
  $("invite-options").hidden = true;
  $("invite-result").hidden = false;
  $("invite-copy").focus();
}

async function copy() {
  const field = $("invite-link");
  let done = false;
  try {
    await navigator.clipboard.writeText(field.value);
    done = true;
  } catch {
    field.focus();
    field.select();
  }
  setText($("invite-copy"), done ? "Copied" : "Press Ctrl+C");
  setTimeout(() => setText($("invite-copy"), "Copy"), 3000);
}
